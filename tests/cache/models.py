"""Models that lie in a store, put there without the library's own way to save."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from remote_models.cache import Cache, CacheSettings, open_cache
from remote_models.manifest import (
    DIRECTORY_MANIFEST,
    FILE_MANIFEST_SUFFIX,
    FileEntry,
    Layout,
    Manifest,
    parse_relative_path,
)
from remote_models.remote_model import RemoteModel
from remote_models.storage import Location, open_store

ENOUGH = 1000**3

SCRATCH = "/dev/shm" if os.path.isdir("/dev/shm") else None


@dataclass(frozen=True, kw_only=True)
class StoredModel:
    """A model, and what a copy of it should hold."""

    location: Location
    manifest: Manifest
    files: Mapping[str, bytes]

    @property
    def digests(self) -> Mapping[str, str]:
        """The digest of each file."""
        return {str(entry.path): entry.sha256 for entry in self.manifest.files}

    def place_of(self, path: str) -> Location:
        """Where a file lies."""
        is_folder = self.manifest.layout is Layout.DIRECTORY
        return (self.location if is_folder else self.location.parent).join(path)


def content_of(*sizes: int, seed: int = 0) -> dict[str, bytes]:
    """Files of these sizes, each with bytes of its own."""
    return {
        f"variables/part-{number}": (f"{seed}/{number} ".encode() * size)[:size]
        for number, size in enumerate(sizes)
    }


def put_model(
    location: Location, files: Mapping[str, bytes], layout: Layout = Layout.DIRECTORY
) -> StoredModel:
    """Put a model into a store, the manifest last."""
    manifest = Manifest(
        format="saved_model",
        layout=layout,
        created="2026-11-24T00:00:00Z",
        producer={"tests": "1"},
        files=[
            FileEntry(
                path=parse_relative_path(path, where="path"),
                size=len(data),
                sha256=sha256(data).hexdigest(),
            )
            for path, data in sorted(files.items())
        ],
    )
    model = StoredModel(location=location, manifest=manifest, files=files)
    for path, data in files.items():
        put_bytes(model.place_of(path), data)
    put_bytes(manifest_of(model), manifest.to_bytes())
    return model


def manifest_of(model: StoredModel) -> Location:
    """Where a model's manifest lies."""
    if model.manifest.layout is Layout.DIRECTORY:
        return model.location.join(DIRECTORY_MANIFEST)
    return model.location.with_suffix(FILE_MANIFEST_SUFFIX)


def put_bytes(location: Location, data: bytes) -> None:
    """Write an object."""
    if location.is_local:
        Path(location.path).parent.mkdir(parents=True, exist_ok=True)
    staged = open_store(location).stage(location, len(data))
    staged.write(data)
    staged.commit()


def cache_in(directory: Path, *, max_size: int = ENOUGH) -> Cache:
    """Open a cache, which must be possible."""
    found = open_cache(CacheSettings(directory=directory, max_size=max_size))
    assert isinstance(found, Cache), found
    return found


def load(cache: Cache | None, location: Location) -> dict[str, bytes]:
    """Copy a model as a load does, and return its files."""
    with TemporaryDirectory(dir=SCRATCH) as folder:
        paths = RemoteModel.open(open_store(location), location).download(Path(folder), cache=cache)
        return {path: Path(folder, path).read_bytes() for path in paths}


def entry_path(cache: Cache, digest: str) -> Path:
    """Return where the file with this digest lies, as documented."""
    return cache.directory / "sha256" / digest[:2] / digest


def names_in(cache: Cache) -> list[str]:
    """Return the names of all files in a cache, entries or not."""
    return sorted(path.name for path in cache.directory.rglob("*") if not path.is_dir())
