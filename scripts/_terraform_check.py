"""What scripts/terraform_check does in its environment.

Works on a copy, so that nothing is left in the tree. Terraform finds the providers in a
folder of this machine (Terraform documentation, "Provider Installation": filesystem_mirror);
what lies there is ``tests/terraform/provider/stub_provider.py``.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_STUB = _ROOT / "tests/terraform/provider/stub_provider.py"
_PROVIDERS = {"aws": "6.69.1", "google": "8.7.0"}
_PLATFORMS = ("linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64")


class CheckError(Exception):
    """A check has found something, or could not be done."""


def main() -> None:
    """Check the modules that the command line names; end with status 1 if one is wrong."""
    parser = argparse.ArgumentParser(prog="terraform_check")
    parser.add_argument("modules", nargs="*", help="folders below terraform/ (default: all)")
    parser.add_argument("--directory", type=Path, default=_ROOT / "terraform")
    parser.add_argument("--no-checkov", action="store_true", help="what Terraform itself knows")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            check(arguments.directory, arguments.modules, Path(folder), not arguments.no_checkov)
    except CheckError as error:
        sys.exit(f"terraform_check: {error}")


def check(directory: Path, names: list[str], folder: Path, with_checkov: bool) -> None:
    """Check modules of ``directory``, working in an empty ``folder``."""
    if shutil.which("terraform") is None:
        raise CheckError("no terraform here: install Terraform 1.9 or later")
    copy = folder / "terraform"
    shutil.copytree(directory, copy, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    modules = names or sorted(
        str(each.parent.relative_to(copy)) for each in copy.rglob("versions.tf")
    )
    for module in modules:
        if not (copy / module / "versions.tf").is_file():
            raise CheckError(f"{module} is no module of {directory}")
    environment = offline(folder)
    run("fmt", ["terraform", "fmt", "-check", "-diff", "-recursive", str(copy)], copy, environment)
    with ThreadPoolExecutor(2) as pool:
        for line in pool.map(lambda module: check_module(copy, module, environment), modules):
            print(line, flush=True)
    if with_checkov:
        print(run_checkov(copy))


def offline(folder: Path) -> dict[str, str]:
    """Return an environment in which Terraform takes its providers from this machine."""
    for name, version in _PROVIDERS.items():
        for platform in _PLATFORMS:
            place = folder / f"mirror/registry.terraform.io/hashicorp/{name}/{version}/{platform}"
            place.mkdir(parents=True)
            program = place / f"terraform-provider-{name}_v{version}"
            command = shlex.join([sys.executable, str(_STUB), name])
            program.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
            program.chmod(0o755)
    settings = folder / "terraform.rc"
    settings.write_text(
        "provider_installation {\n"
        f'  filesystem_mirror {{\n    path = "{folder / "mirror"}"\n  }}\n'
        "}\n"
        "disable_checkpoint = true\n",
        encoding="utf-8",
    )
    # What is set for other Terraform of the user must not reach in here.
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))
    }
    return {**inherited, "TF_CLI_CONFIG_FILE": str(settings), "TF_IN_AUTOMATION": "1"}


def check_module(directory: Path, module: str, environment: dict[str, str]) -> str:
    """Initialise, validate and test one module; return a line that says so."""
    for command in (["init", "-backend=false", "-input=false"], ["validate"], ["test"]):
        output = run(
            f"{module}: {command[0]}",
            ["terraform", *command, "-no-color"],
            directory / module,
            environment,
        )
    passed = re.search(r"Success! (\d+) passed, 0 failed\.", output)
    if passed is None:
        raise CheckError(f"{module}: no test ran\n{output}")
    return f"{module}: valid, {passed[1]} runs passed"


def run_checkov(directory: Path) -> str:
    """Return what checkov counted; every skip has its reason beside it, in the modules."""
    checkov = Path(sys.executable).with_name("checkov")
    output = run(
        "checkov",
        [
            sys.executable, str(checkov), "--directory", str(directory), "--framework", "terraform",
            "--skip-download", "--quiet", "--compact",
        ],
        directory,
        {name: value for name, value in os.environ.items() if not name.startswith("BC_")},
    )  # fmt: skip
    counts = re.search(r"Passed checks: \d+, Failed checks: 0, Skipped checks: \d+", output)
    if counts is None or "Passed checks: 0," in output:
        raise CheckError(f"checkov looked at nothing\n{output}")
    return f"checkov: {counts[0]}"


def run(what: str, command: list[str], cwd: Path, environment: dict[str, str]) -> str:
    """Return what a command prints."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CheckError(f"{what} failed\n{done.stdout}")
    return done.stdout


if __name__ == "__main__":
    main()
