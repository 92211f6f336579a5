"""Find an artifact's manifest, or its files where it has none."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import TypeVar

from remote_models.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    CredentialsError,
    ManifestError,
    ModelNotFoundError,
)
from remote_models.formats import shard_names
from remote_models.manifest import (
    DIRECTORY_MANIFEST,
    FILE_MANIFEST_SUFFIX,
    MAX_MANIFEST_BYTES,
    Layout,
    RelativePath,
    StoredManifest,
    parse_relative_path,
)
from remote_models.signing import DIRECTORY_SIGNATURE
from remote_models.storage import Location, ObjectInfo, Store, read_all

__all__ = [
    "BESIDE_FILES",
    "find_beside",
    "find_files",
    "find_manifest",
    "manifest_location",
    "parse_stored_manifest",
    "pin_manifest",
    "read_any_manifest",
    "read_stored_manifest",
]

T = TypeVar("T")

BESIDE_FILES = frozenset({DIRECTORY_MANIFEST, DIRECTORY_SIGNATURE})
"""What lies in a directory artifact's folder and is no file of the artifact."""

_FILE_SUFFIXES = (".h5", ".hdf5", ".keras", ".json")


def manifest_location(location: Location, layout: Layout) -> Location:
    """Return where the manifest of the artifact at ``location`` lies."""
    if layout is Layout.DIRECTORY:
        return location.join(DIRECTORY_MANIFEST)
    return location.with_suffix(FILE_MANIFEST_SUFFIX)


def read_stored_manifest(store: Store, location: Location, layout: Layout) -> StoredManifest:
    """Read and check the manifest at ``location``.

    Raises:
        ModelNotFoundError: none is there.
        ManifestError: it is malformed, unsafe, or one of another layout.
    """
    data = read_all(store, location, limit=MAX_MANIFEST_BYTES)
    return parse_stored_manifest(data, location, layout)


def read_any_manifest(store: Store, location: Location) -> tuple[Layout, StoredManifest]:
    """Read and check the manifest at ``location``, of either layout.

    Raises:
        ModelNotFoundError: none is there.
        ManifestError: it is malformed or unsafe.
    """
    return _parse(read_all(store, location, limit=MAX_MANIFEST_BYTES), location)


def parse_stored_manifest(data: bytes, location: Location, layout: Layout) -> StoredManifest:
    """Check what was read at ``location``.

    Raises:
        ManifestError: it is malformed, unsafe, or one of another layout.
    """
    found, stored = _parse(data, location)
    if found is not layout:
        raise _other_layout(location, layout, found)
    return stored


def _parse(data: bytes, location: Location) -> tuple[Layout, StoredManifest]:
    stored = StoredManifest.from_bytes(data, where=str(location))
    layout = stored.candidates[0].layout
    for manifest in stored.candidates:
        if manifest.layout is not layout:
            raise _other_layout(location, layout, manifest.layout)
    return layout, stored


def _other_layout(location: Location, expected: Layout, found: Layout) -> ManifestError:
    return ManifestError(
        "the manifest describes another kind of artifact",
        where=str(location),
        expected=f"layout {expected.value}",
        found=found.value,
    )


def find_manifest(store: Store, location: Location) -> tuple[Layout, StoredManifest] | None:
    """Read the manifest of what lies at ``location``, a file or a directory; ``None`` without one.

    Raises:
        ManifestError: it is malformed or unsafe.
        BucketNotFoundError: the bucket does not exist.
        AccessDeniedError: one may not look.
    """

    def read(layout: Layout) -> StoredManifest:
        return read_stored_manifest(store, manifest_location(location, layout), layout)

    return find_beside(location, read)


def find_beside(location: Location, read: Callable[[Layout], T]) -> tuple[Layout, T] | None:
    """Read what lies with an artifact where its layout says; ``None`` if it is in no such place.

    Raises:
        BucketNotFoundError: the bucket does not exist.
        AccessDeniedError: one may not look.
    """
    refused: AccessDeniedError | None = None
    for layout in _likely_layouts(location):
        try:
            found = read(layout)
        except BucketNotFoundError:
            if not location.is_local:  # locally it only says that `location` is no folder
                raise
        except ModelNotFoundError:
            continue
        except CredentialsError:
            raise
        except AccessDeniedError as error:
            # S3 says 403 of a missing object to those who may not list the bucket.
            refused = refused or error
        else:
            return layout, found
    if refused is not None:
        raise refused
    return None


def _likely_layouts(location: Location) -> tuple[Layout, ...]:
    if location.is_bucket:  # what lies beside a bucket is another bucket
        return (Layout.DIRECTORY,)
    if location.name.lower().endswith(_FILE_SUFFIXES):
        return Layout.FILE, Layout.DIRECTORY
    return Layout.DIRECTORY, Layout.FILE


def find_files(store: Store, location: Location) -> tuple[Layout, Mapping[str, ObjectInfo]]:
    """Find the files of an artifact that has no manifest.

    Raises:
        ModelNotFoundError: nothing is there.
    """
    if not location.is_bucket and (file := _file(store, location)):
        return Layout.FILE, {**file, **_shards(store, location)}
    inside = store.list(location)
    inside = {path: info for path, info in inside.items() if path not in BESIDE_FILES}
    if inside:
        return Layout.DIRECTORY, {_checked(path): info for path, info in inside.items()}
    if not location.is_bucket and (files := _checkpoint(store, location)):
        return Layout.FILE, files
    raise ModelNotFoundError("no model is stored here", where=str(location), hint="Check the URL")


def _file(store: Store, location: Location) -> Mapping[str, ObjectInfo]:
    try:
        return {location.name: store.head(location)}
    except ModelNotFoundError:
        return {}


def _checkpoint(store: Store, location: Location) -> Mapping[str, ObjectInfo]:
    """Return the files of a checkpoint whose prefix ``location`` is."""
    around = store.list_names(location.parent, location.name)
    return {
        name: info
        for name, info in around.items()
        if name[len(location.name) :].startswith((".index", ".data-"))
    }


def _shards(store: Store, location: Location) -> Mapping[str, ObjectInfo]:
    """Return the shards beside a ``.weights.json`` map, which are part of its artifact."""
    if not location.name.endswith(".weights.json"):
        return {}
    content = read_all(store, location, limit=MAX_MANIFEST_BYTES)
    names = shard_names(io.BytesIO(content), where=str(location))
    return {name: store.head(location.parent.join(name)) for name in names}


def _checked(path: str) -> RelativePath:
    return parse_relative_path(path, where="file name")


def pin_manifest(stored: StoredManifest, digest: str, where: str) -> StoredManifest:
    """Keep the candidate with this digest, and no other.

    Raises:
        ManifestError: none has it.
    """
    for manifest in stored.candidates:
        if manifest.digest == digest:
            return StoredManifest(current=manifest)
    raise ManifestError(
        "not the pinned manifest",
        where=where,
        expected=digest,
        found=stored.candidates[0].digest,
        hint="The model was replaced: pin the new digest if that was meant",
    )
