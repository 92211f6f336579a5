"""Use the installed wheel without any extra, as ``scripts/build`` does in a clean environment."""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
import tempfile
from importlib import metadata, resources
from pathlib import Path

import remote_models as rm
from remote_models.errors import MissingDependencyError

# Modules below these may want what an extra brings; all others must import without.
_MAY_NEED_EXTRAS = (
    "remote_models.frameworks.",
    "remote_models.runtimes._",
    "remote_models.storage._",
)
_FOREIGN = ("keras", "tensorflow", "tf_keras", "s3fs", "gcsfs", "botocore", "distributed")
_ARCHITECTURE = {"class_name": "Sequential", "config": {"name": "m", "layers": []}}


def main() -> None:
    """Exit with a message if the wheel lacks something."""
    installed = Path(rm.__file__).parent
    if not installed.is_relative_to(sys.prefix):
        sys.exit(f"not the installed wheel: {installed}")
    if rm.__version__ != metadata.version("remote_models"):
        sys.exit("the package and its metadata name different versions")
    if not (resources.files("remote_models") / "py.typed").is_file():
        sys.exit("the wheel lacks py.typed")
    _import_modules()
    _refuse_s3_helpfully()
    _copy_a_model()
    print(f"the wheel of {rm.__version__} works without extras")


def _import_modules() -> None:
    for module in pkgutil.walk_packages(rm.__path__, "remote_models."):
        if module.name.endswith("__main__"):  # would run the command line
            continue
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            ours = (error.name or "").startswith("remote_models")
            if ours or not module.name.startswith(_MAY_NEED_EXTRAS):
                raise
    present = [name for name in _FOREIGN if name in sys.modules]
    if present:
        sys.exit(f"imported without being asked for: {present}")


def _refuse_s3_helpfully() -> None:
    try:
        rm.open_model("s3://bucket/model")
    except MissingDependencyError as error:
        if "remote_models[s3]" not in str(error):
            sys.exit(f"does not say what to install: {error}")
    else:
        sys.exit("s3:// worked without s3fs: this environment is not clean")


def _copy_a_model() -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source.json")
        source.write_text(json.dumps(_ARCHITECTURE), encoding="utf-8")
        target = str(Path(folder, "target.json"))
        program = Path(sys.executable).with_name("remote-models")
        for arguments in (["push", source, target], ["verify", target], ["ls", folder]):
            subprocess.run([program, *arguments, "--quiet"], check=True)


if __name__ == "__main__":
    main()
