"""The scripts that people and continuous integration start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = [*sorted((ROOT / "scripts").glob("[!_]*[!.py]")), ROOT / ".ci/run"]


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_is_executable_and_parses(script: Path) -> None:
    assert os.access(script, os.X_OK)
    first = script.read_text(encoding="utf-8").splitlines()[0]
    if "bash" in first:
        run("bash", "-n", script)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with its own environment that has pip and nothing else."""
    copy = tmp_path / "a checkout"
    (copy / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "scripts/setup", copy / "scripts")
    (copy / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "empty"\nversion = "1"\n[project.optional-dependencies]\ndev = []\n',
        encoding="utf-8",
    )
    (copy / "backend.py").write_text(BACKEND, encoding="utf-8")
    return copy


# Builds a wheel of nothing but metadata, so that the test needs no network.
BACKEND = """
import zipfile


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "empty-1-py3-none-any.whl"
    with zipfile.ZipFile(f"{wheel_directory}/{name}", "w") as wheel:
        info = "empty-1.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: empty\\nVersion: 1\\n"
                       "Provides-Extra: dev\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n"
                       "Tag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return name
"""


def test_setup_installs_once_and_again_after_a_change(checkout: Path, tmp_path: Path) -> None:
    setup = checkout / "scripts/setup"
    environment = {"PYTHON": sys.executable}
    first = run(setup, cwd=tmp_path, **environment)
    assert "making .venv" in first
    assert "installing" in first
    assert run(setup, cwd=tmp_path, **environment) == ""
    with (checkout / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("# another dependency\n")
    changed = run(setup, cwd=tmp_path, **environment)
    assert "making .venv" not in changed
    assert "installing" in changed
    (checkout / ".venv/bin/python").unlink()
    repaired = run(setup, cwd=tmp_path, **environment)
    assert "making .venv" in repaired
    assert run(setup, cwd=tmp_path, **environment) == ""


@pytest.mark.parametrize(
    ("python", "told"),
    [
        ("no-such-python", "setup: no no-such-python here: install Python 3.11 or later"),
        ("old", "Python 3.10.9: Python 3.11 or later is needed"),
    ],
)
def test_setup_names_the_python_that_it_needs(
    checkout: Path, tmp_path: Path, python: str, told: str
) -> None:
    old = tmp_path / "old"
    old.write_text('#!/bin/sh\ncase "$1" in -V) echo Python 3.10.9;; *) exit 1;; esac\n')
    old.chmod(0o755)
    done = subprocess.run(
        [checkout / "scripts/setup"],
        env={**os.environ, "PYTHON": str(old) if python == "old" else python},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_wheel_is_whole(tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    names = set(archive.namelist())
    package = ROOT / "remote_models"
    wanted = {str(path.relative_to(ROOT)) for path in package.rglob("*.py")}
    assert wanted | {"remote_models/py.typed", "pytest_remote_models.py"} <= names
    (entry_points,) = (name for name in names if name.endswith("/entry_points.txt"))
    told = archive.read(entry_points).decode()
    assert "[pytest11]\npytest_remote_models = pytest_remote_models\n" in told
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "scripts/", "examples/")) for name in names)
