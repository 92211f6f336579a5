"""Copy an artifact's files to this machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from remote_models.digest import format_digest, sha256_hex
from remote_models.errors import IntegrityError, ModelNotFoundError
from remote_models.manifest import FileEntry, Manifest
from remote_models.remote_model._damage import name_damage
from remote_models.remote_model._folder import ArtifactFolder
from remote_models.storage import Buffer, Location, ProgressCallback, ProgressMeter, read_chunks

if TYPE_CHECKING:
    from remote_models.cache import Cache

__all__ = ["copy_unverified", "copy_verified", "empty_directory", "read_verified"]

_CACHE_CHUNK = 1024 * 1024


def copy_verified(
    folder: ArtifactFolder,
    manifest: Manifest,
    directory: Path,
    progress: ProgressCallback | None,
    cache: Cache | None,
) -> None:
    """Copy what ``manifest`` names into an empty directory, checked on the way.

    Files that are in the cache are copied from there, and checked as all others.

    Raises:
        IntegrityError: a byte differs from what the manifest vouches for.
        ModelNotFoundError: a file is missing.
    """
    meter = ProgressMeter("download", str(folder), manifest.total_size, progress)
    if cache is not None:
        cache = cache.prepare([(entry.sha256, entry.size) for entry in manifest.files], directory)
    for entry in manifest.files:
        target = directory / entry.path
        if cache is None:
            _copy_entry(folder, manifest, entry, target, meter)
        else:
            _copy_through(cache, folder, manifest, entry, target, meter=meter)
    for path in manifest.empty_directories:
        (directory / path).mkdir(parents=True, exist_ok=True)


def read_verified(folder: ArtifactFolder, entry: FileEntry) -> bytes:
    """Return the bytes of a file, which must be those that its entry vouches for.

    Raises:
        IntegrityError: a byte differs.
        ModelNotFoundError: it is missing.
    """
    try:
        return _read_version(folder, entry, None)
    except (IntegrityError, ModelNotFoundError):
        if entry.version is None:
            raise
        return _read_version(folder, entry, entry.version)


def _read_version(folder: ArtifactFolder, entry: FileEntry, version: str | None) -> bytes:
    location = folder.file(entry.path)
    # Chunks in a list and no buffer of their sum: a stranger's manifest may claim any size.
    chunks = list(read_chunks(folder.store, location, entry.size, version=version))
    data = bytes(chunks[0]) if len(chunks) == 1 else b"".join(chunks)
    digest = sha256_hex(data)
    if digest != entry.sha256:
        raise _unexpected(location, entry, digest)
    return data


def _copy_through(
    cache: Cache,
    folder: ArtifactFolder,
    manifest: Manifest,
    entry: FileEntry,
    target: Path,
    *,
    meter: ProgressMeter,
) -> None:
    """Copy a file from the cache, or from the store to here and to the cache."""
    if _copy_cached(cache, entry, target, meter):
        return
    with cache.turn(entry.sha256, entry.size):
        if _copy_cached(cache, entry, target, meter):  # another process was first
            return
        _copy_entry(folder, manifest, entry, target, meter)
        # The copy that is needed comes first: where the disk is full, only the cache lacks it.
        cache.add(entry.sha256, target)


def _copy_cached(cache: Cache, entry: FileEntry, target: Path, meter: ProgressMeter) -> bool:
    """Copy a file from the cache, and say whether it was there, unharmed.

    It is a copy and no link, so that nobody who writes into it, or keeps it open for as
    long as a model lives, has to do with the cache.
    """
    file = cache.open(entry.sha256, entry.size)
    if file is None:
        return False
    with file:
        try:
            with _counted_back(meter) as count:
                digest = _write_file(target, count(_chunks_of(file, entry)))
                if digest != entry.sha256:
                    raise _damaged(entry)
        except IntegrityError:
            cache.discard(entry.sha256)
            return False
    return True


def _chunks_of(file: BinaryIO, entry: FileEntry) -> Iterator[Buffer]:
    left = entry.size
    while left:
        try:
            chunk = file.read(min(left, _CACHE_CHUNK))
        except OSError as error:  # a bad sector
            raise _damaged(entry) from error
        if not chunk:
            raise _damaged(entry)
        left -= len(chunk)
        yield chunk


def _damaged(entry: FileEntry) -> IntegrityError:
    return IntegrityError("the cache holds other bytes", where=entry.path)


def _copy_entry(
    folder: ArtifactFolder, manifest: Manifest, entry: FileEntry, target: Path, meter: ProgressMeter
) -> None:
    try:
        _copy_version(folder, manifest, entry, target, meter)
    except (IntegrityError, ModelNotFoundError):
        if entry.version is None:
            raise
        # Replaced since, but the store still holds the version that the
        # manifest pins. (Asked for second: it needs s3:GetObjectVersion.)
        _copy_version(folder, manifest, entry, target, meter, version=entry.version)


def _copy_version(
    folder: ArtifactFolder,
    manifest: Manifest,
    entry: FileEntry,
    target: Path,
    meter: ProgressMeter,
    *,
    version: str | None = None,
) -> None:
    location = folder.file(entry.path)
    chunks = read_chunks(folder.store, location, entry.size, version=version)
    with _counted_back(meter) as count:
        digest = _write_file(target, count(chunks))
        if digest != entry.sha256:
            damage = name_damage(target, manifest, entry)
            raise _unexpected(location, entry, digest, damage=damage)


def _unexpected(
    location: Location, entry: FileEntry, digest: str, *, damage: str | None = None
) -> IntegrityError:
    return IntegrityError(
        "the bytes are not those that the manifest vouches for",
        where=str(location),
        expected=format_digest(entry.sha256),
        found=format_digest(digest) + (f", which differs in {damage}" if damage else ""),
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
