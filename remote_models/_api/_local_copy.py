"""Copies of artifacts on this machine, for frameworks that need files."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from remote_models.errors import BucketNotFoundError, FormatError, StoreFullError
from remote_models.formats import Format

__all__ = [
    "LOCAL_NAMES",
    "empty_directories_of",
    "files_of",
    "full_disk_named",
    "make_temporary_directory",
    "refuse_reference_to_copy",
    "require_folder_around",
    "temporary_directory",
]

_PREFIX = ".remote_models-"

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

LOCAL_NAMES = {
    Format.SAVED_MODEL: "model",
    Format.KERAS_DIRECTORY: "model",
    Format.KERAS: "model.keras",
    Format.H5: "model.h5",
    Format.H5_WEIGHTS: "model.h5",
    Format.KERAS_WEIGHTS: "model.weights.h5",
    Format.ARCHITECTURE: "model.json",
}
"""Keras decides by extensions, so a copy on disk gets the one that its content calls for."""


def files_of(folder: Path) -> dict[str, Path]:
    """Return every file below ``folder`` by its relative path."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def empty_directories_of(folder: Path) -> list[str]:
    """Return the relative paths of the folders below ``folder`` that hold nothing."""
    return [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.is_dir() and not any(path.iterdir())
    ]


def refuse_reference_to_copy(folder: Path, where: str) -> None:
    """Refuse a SavedModel whose graph reads a file of a temporary copy, soon to be gone.

    TensorFlow makes one out of a loaded model whose asset it has lost sight of.

    Raises:
        FormatError: it does.
    """
    graph = folder / "saved_model.pb"
    if graph.is_file() and f"/{_PREFIX}".encode() in graph.read_bytes():
        raise FormatError(
            "the model reads a file of the artifact that it was loaded from, "
            "which would not be saved with it",
            where=where,
            hint="Load it with the classes of its custom layers (custom_objects=) and save again",
        )


def require_folder_around(target: Path) -> None:
    """Check that a file or folder can be made at ``target``.

    Raises:
        BucketNotFoundError: the folder around it does not exist.
        NotADirectoryError: a file is there instead.
    """
    folder = target.absolute().parent
    if not folder.exists():
        raise BucketNotFoundError(
            "the folder does not exist", where=str(folder), hint="Make it first"
        )
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def make_temporary_directory(parent: Path | None = None) -> Path:
    """Make an empty folder that nobody else can read, in ``parent`` or where they belong."""
    return Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))


@contextmanager
def temporary_directory(parent: Path | None = None) -> Iterator[Path]:
    """Make a folder on this machine for the length of a block.

    Raises:
        StoreFullError: the disk fills up in the block.
    """
    folder = make_temporary_directory(parent)
    try:
        with full_disk_named(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def full_disk_named(folder: Path) -> Iterator[None]:
    """Say which disk is full when a block, or a framework in it, fills it."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL and not isinstance(error, StoreFullError):
            raise StoreFullError(
                "no space left for the temporary copy",
                where=str(folder.parent),
                hint="Free some space, or set TMPDIR to a larger disk",
            ) from error
        raise
