"""Copy an artifact's files to this machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from remote_models.digest import format_digest
from remote_models.errors import IntegrityError, ModelNotFoundError
from remote_models.manifest import FileEntry, Manifest
from remote_models.remote_model._folder import ArtifactFolder
from remote_models.storage import Buffer, ProgressCallback, ProgressMeter, read_chunks

__all__ = ["copy_unverified", "copy_verified", "empty_directory"]


def copy_verified(
    folder: ArtifactFolder, manifest: Manifest, directory: Path, progress: ProgressCallback | None
) -> list[str]:
    """Copy what ``manifest`` names into an empty directory, checked on the way.

    Raises:
        IntegrityError: a byte differs from what the manifest vouches for.
        ModelNotFoundError: a file is missing.
    """
    meter = ProgressMeter("download", str(folder), manifest.total_size, progress)
    for entry in manifest.files:
        _copy_entry(folder, entry, directory / entry.path, meter)
    for path in manifest.empty_directories:
        (directory / path).mkdir(parents=True, exist_ok=True)
    return [entry.path for entry in manifest.files]


def _copy_entry(
    folder: ArtifactFolder, entry: FileEntry, target: Path, meter: ProgressMeter
) -> None:
    try:
        _copy_version(folder, entry, None, target, meter)
    except (IntegrityError, ModelNotFoundError):
        if entry.version is None:
            raise
        # Replaced since, but the store still holds the version that the
        # manifest pins. (Asked for second: it needs s3:GetObjectVersion.)
        _copy_version(folder, entry, entry.version, target, meter)


def _copy_version(
    folder: ArtifactFolder,
    entry: FileEntry,
    version: str | None,
    target: Path,
    meter: ProgressMeter,
) -> None:
    location = folder.file(entry.path)
    chunks = read_chunks(folder.store, location, entry.size, version=version)
    with _counted_back(meter) as count:
        digest = _write_file(target, count(chunks))
        if digest != entry.sha256:
            raise IntegrityError(
                "the bytes are not those that the manifest vouches for",
                where=str(location),
                expected=format_digest(entry.sha256),
                found=format_digest(digest),
                hint="Restore the file or save the model again",
            )


def copy_unverified(
    folder: ArtifactFolder,
    files: Mapping[str, int],
    etags: Mapping[str, str],
    directory: Path,
    progress: ProgressCallback | None,
) -> list[str]:
    """Copy files for which nothing vouches into an empty directory.

    Args:
        folder: Where they lie.
        files: Their relative paths and sizes.
        etags: What the store said of each when its size was asked for, if it did.
        directory: Where to put them.
        progress: Told how many bytes have been read.

    Raises:
        IntegrityError: a file was replaced since, or is shorter than its size says.
        ModelNotFoundError: a file is missing.
    """
    meter = ProgressMeter("download", str(folder), sum(files.values()), progress)
    for path, size in files.items():
        with _counted_back(meter) as count:
            chunks = read_chunks(folder.store, folder.file(path), size, etag=etags.get(path))
            _write_file(directory / path, count(chunks))
    return list(files)


@contextmanager
def _counted_back(
    meter: ProgressMeter,
) -> Iterator[Callable[[Iterator[Buffer]], Iterator[Buffer]]]:
    """Count bytes as they pass, and take them back if the block fails."""
    passed = 0

    def count(chunks: Iterator[Buffer]) -> Iterator[Buffer]:
        nonlocal passed
        for chunk in chunks:
            passed += len(chunk)
            meter.advance(len(chunk))
            yield chunk

    try:
        yield count
    except (IntegrityError, ModelNotFoundError):
        meter.advance(-passed)
        raise


def _write_file(target: Path, chunks: Iterator[Buffer]) -> str:
    """Write a new file and return the SHA-256 of what was written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    hasher = hashlib.sha256()
    with open(target, "wb") as file:
        for chunk in chunks:
            hasher.update(chunk)
            file.write(chunk)
    return hasher.hexdigest()


def empty_directory(directory: Path) -> None:
    """Delete all that is inside ``directory``."""
    for folder, folders, names in os.walk(directory, topdown=False):
        for name in names:
            os.unlink(os.path.join(folder, name))
        for name in folders:
            os.rmdir(os.path.join(folder, name))
