"""scripts/terraform_check: it passes what is here, and sees what is planted."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from terraform.modules import MODULES, ROOT

pytestmark = pytest.mark.skipif(
    shutil.which("terraform") is None,
    reason="no terraform here (it comes from no package registry that the tests may use)",
)

SCRIPT = ROOT.parent / "scripts" / "terraform_check"


def check(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    # What users have set for Terraform of their own must not matter.
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": "/nowhere/terraformrc"}
    return subprocess.run(
        [SCRIPT, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )


def test_every_module_passes() -> None:
    done = check()
    assert done.returncode == 0, done.stdout
    runs = dict(re.findall(r"^(\S+): valid, (\d+) runs passed$", done.stdout, re.MULTILINE))
    assert sorted(runs) == MODULES
    counts = re.search(r"Passed checks: (\d+), Failed checks: 0", done.stdout)
    assert counts is not None
    assert int(counts[1]) >= 50
    print(f"{sum(map(int, runs.values()))} runs of {len(runs)} modules, {counts[0]}")
    left = [path for path in ROOT.rglob("*") if path.name.startswith(".terraform")]
    assert left == []


@pytest.mark.parametrize(
    ("module", "right", "wrong", "finding"),
    [
        ("gcp_model_bucket", "versioning {", "versionning {", "validate failed"),
        ("aws_model_bucket", "bucket_key_enabled =", "bucket_key_on =", "validate failed"),
        ("gcp_model_bucket", '"enforced"', '"inherited"', "test failed"),
        ("gcp_access", "  project  ", " project ", "fmt failed"),
    ],
)
def test_sees_what_is_wrong(
    module: str, right: str, wrong: str, finding: str, tmp_path: Path
) -> None:
    copy = plant(tmp_path, module, right, wrong)
    done = check("--no-checkov", "--directory", copy, module)
    assert done.returncode == 1
    assert finding in done.stdout, done.stdout


def test_checkov_sees_what_is_open(tmp_path: Path) -> None:
    right = "uniform_bucket_level_access = true"
    copy = plant(tmp_path, "gcp_model_bucket", right, right.replace("true", "false"))
    done = check("--directory", copy, "examples/aws")
    assert done.returncode == 1
    assert "checkov failed" in done.stdout
    assert "CKV_GCP_29" in done.stdout


def test_refuses_a_module_that_is_none() -> None:
    done = check("aws_nothing")
    assert done.returncode == 1
    assert "aws_nothing is no module" in done.stdout


def plant(folder: Path, module: str, right: str, wrong: str) -> Path:
    """Return a copy of the modules in which one of them is wrong."""
    copy = folder / "terraform"
    shutil.copytree(ROOT, copy)
    main = copy / module / "main.tf"
    text = main.read_text(encoding="utf-8")
    assert right in text
    main.write_text(text.replace(right, wrong, 1), encoding="utf-8")
    return copy
