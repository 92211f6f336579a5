"""What each entry to the library imports, in processes that have imported nothing yet."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import remote_models as rm

PACKAGE = Path(rm.__file__).parent
SAMPLES = Path(__file__).parents[1] / "formats/samples"

FRAMEWORKS = ("tensorflow", "keras", "tf_keras", "jax", "torch")
CLIENTS = ("s3fs", "gcsfs", "botocore", "aiobotocore", "boto3", "aiohttp", "google", "obstore")
HEAVY = (*FRAMEWORKS, *CLIENTS, "h5py", "numpy", "yaml", "rich", "tqdm")

KERAS3_PATH = (
    "frameworks/tf_keras.py", "frameworks/_assets.py", "frameworks/_tf_keras_budget.py",
    "frameworks/_tf_keras_saving.py", "frameworks/_tf_keras_serving.py",
    "frameworks/_tf_keras_training.py",
)  # fmt: skip
"""The only modules that may name TensorFlow: they are for tf_keras."""


def imported_by(code: str) -> set[str]:
    """Return the packages of which a new process imports something to run ``code``."""
    # Packages may bring .pth files that import parts of google in every process.
    modules = modules_after(code) - modules_after("")
    return {name.partition(".")[0] for name in modules}


def modules_after(code: str) -> set[str]:
    ended = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stderr == ""
    return set(ended.stdout.split())


def test_import_is_light() -> None:
    imported = imported_by("import remote_models")
    assert "remote_models" in imported
    assert imported & set(HEAVY) == set()


def test_copying_imports_no_framework(tmp_path: Path) -> None:
    """Pushing looks into files (h5py, protobuf); no framework helps it."""
    for name in (
        "tf_keras-2.21.0/saved_model",
        "keras-3.15.1/model.keras",
        "keras-3.15.1/model.h5",
    ):
        code = f"""
import remote_models as rm
rm.push_model({str(SAMPLES / name)!r}, "memory://m/{Path(name).name}")
rm.pull_model("memory://m/{Path(name).name}", {str(tmp_path / Path(name).name)!r})
"""
        assert imported_by(code) & {*FRAMEWORKS, *CLIENTS} - {"google"} == set()


def test_opening_and_verifying_imports_next_to_nothing(tmp_path: Path) -> None:
    rm.push_model(SAMPLES / "tf_keras-2.21.0/saved_model", tmp_path / "model")
    code = f"""
import remote_models as rm
assert rm.verify_model({str(tmp_path / "model")!r}).ok
assert rm.open_model({str(tmp_path / "model")!r}).manifest.format == "saved_model"
"""
    assert imported_by(code) & {*HEAVY} - {"numpy"} == set()


def importers(*packages: str) -> set[str]:
    """Return the modules of ours whose source imports one of ``packages`` at run time."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[object] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                names = [each.value for each in node.args if isinstance(each, ast.Constant)]
            if {str(name).partition(".")[0] for name in names} & set(packages):
                found.add(path.relative_to(PACKAGE).as_posix())
    return found


ON_TENSORFLOW = (
    "frameworks/_graph_model.py", "frameworks/_keras_serving.py", "frameworks/_keras_lazy.py",
    "frameworks/_lazy_variable.py", "frameworks/_graph_runtime.py", "frameworks/_tf_exports.py",
)  # fmt: skip
"""What Keras 3 does on TensorFlow only, or to save a SavedModel."""

IN_FUNCTIONS = ("frameworks/_keras_saved_model.py", "frameworks/_program.py")
"""What other backends do, too, but for some function."""


def test_only_what_needs_it_imports_tensorflow() -> None:
    found = importers("tensorflow", "tf_keras")
    assert found == {*KERAS3_PATH, *ON_TENSORFLOW, *IN_FUNCTIONS}
    for path in IN_FUNCTIONS:
        at_once = {
            alias.name
            for node in ast.parse((PACKAGE / path).read_text()).body
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        assert "tensorflow" not in at_once, path


def test_keras_is_imported_by_frameworks_only() -> None:
    assert importers("keras") >= {"frameworks/keras.py"}
    assert all(path.startswith("frameworks/") for path in importers("keras") - ALLOWED)


ALLOWED = {"callbacks.py"}
"""Callbacks are objects of Keras; the module is imported by those who use them."""


@pytest.mark.parametrize("module", [*KERAS3_PATH, *ON_TENSORFLOW])
def test_keras3_does_not_reach_what_imports_tensorflow(module: str) -> None:
    """No module that does without leads there, except inside a function."""
    name = module.removesuffix(".py").rpartition("/")[2]
    there = {path.rpartition("/")[2] for path in (*KERAS3_PATH, *ON_TENSORFLOW)}
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                leads = node.module == f"remote_models.frameworks.{name}"
                assert not leads or path.name in there, path
