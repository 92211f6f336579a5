"""Adopt an artifact that others made: read it once, in place, and write its manifest."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from remote_models._exports import EXPORT_KINDS, export_path
from remote_models.errors import (
    AccessDeniedError,
    IntegrityError,
    ModelExistsError,
    ModelNotFoundError,
)
from remote_models.formats import Format, Recognition
from remote_models.manifest import (
    FileEntry,
    Layout,
    Manifest,
    RelativePath,
    StoredManifest,
    parse_relative_path,
)
from remote_models.remote_model import (
    ArtifactFolder,
    RemoteModel,
    find_files,
    find_manifest,
    manifest_location,
)
from remote_models.storage import (
    Location,
    ObjectInfo,
    ProgressCallback,
    ProgressMeter,
    Publication,
    Store,
    open_reader,
    open_store,
    read_chunks,
)
from remote_models.tensor_hashing import ArtifactHasher

if TYPE_CHECKING:
    from typing import IO

    from remote_models.documents import StoredDocument
    from remote_models.formats.indexing import Index

__all__ = ["adopt", "lost_directories", "producer_of"]

_KERAS_3 = 3


def adopt(
    store: Store,
    location: Location,
    *,
    created: str,
    producer: Mapping[str, str],
    metadata: Mapping[str, Any],
    overwrite: bool,
    manifest_at: Location | None = None,
    progress: ProgressCallback | None = None,
) -> tuple[Manifest, Sequence[str]]:
    """Write a manifest for what lies at ``location``; its files are read and left alone.

    Args:
        store: The store that serves ``location``.
        location: The artifact's URL.
        created: The time to record, UTC, ``YYYY-MM-DDThh:mm:ssZ``.
        producer: What is known of who made it.
        metadata: The caller's own JSON object.
        overwrite: Whether a manifest that is there already may be replaced.
        manifest_at: Where to put the manifest, if not with the artifact.
        progress: Told how many bytes have been read.

    Returns:
        The manifest, and the keys of tensors that cannot be read lazily.

    Raises:
        ModelNotFoundError: nothing is there.
        ModelExistsError: it has a manifest, and ``overwrite`` is false.
        ConflictError: somebody has written one meanwhile, by saving a model here, say.
        FormatError: it is no model; the message says what it is.
        IntegrityError: a file changed while it was read.
        StorageError: the store refused or failed.
    """
    if not overwrite:
        _refuse_existing(store, location, manifest_at)
    layout, found = find_files(store, location)
    place = _Place.look(manifest_at or manifest_location(location, layout), overwrite=overwrite)
    folder = ArtifactFolder(store=store, location=location, layout=layout)
    infos = {path: store.head(folder.file(path)) for path in sorted(found)}
    sizes = {path: info.size for path, info in infos.items()}
    what = RemoteModel(folder, stored=None, infos=infos).recognise()
    index, documents = _index(folder, infos, what)
    hashers = ArtifactHasher(index.tensors, documents)
    meter = ProgressMeter("adopt", str(location), sum(sizes.values()), progress)
    files = [_read(folder, path, info, hashers, meter) for path, info in infos.items()]
    manifest = Manifest(
        format=what.format.value,
        layout=layout,
        created=created,
        producer={**producer_of(what), **producer},
        metadata=metadata,
        files=tuple(files),
        empty_directories=lost_directories(what, sizes),
        tensors=hashers.tensors(),
        block_size=hashers.block_size,
        documents=tuple(documents),
        exports=_exports(layout, sizes),
    )
    place.write(manifest)
    return manifest, [skipped.key for skipped in index.skipped]


def _exports(layout: Layout, paths: Container[str]) -> Mapping[str, RelativePath]:
    """Return the exports of a directory artifact, which lie where a save puts them."""
    if layout is not Layout.DIRECTORY:
        return {}
    found = {kind: export_path(kind, file=None) for kind in EXPORT_KINDS}
    return {kind: RelativePath(path) for kind, path in found.items() if path in paths}


def lost_directories(what: Recognition, paths: Iterable[str]) -> Sequence[RelativePath]:
    """Return the folder that TensorFlow always writes and a store of objects cannot hold."""
    if what.format is not Format.SAVED_MODEL or any(path.startswith("assets/") for path in paths):
        return ()
    return (RelativePath("assets"),)


def _refuse_existing(store: Store, location: Location, manifest_at: Location | None) -> None:
    """Refuse early what the store's exclusive create would refuse at the end."""
    if manifest_at is None:
        is_there = find_manifest(store, location) is not None
    else:
        try:
            is_there = bool(open_store(manifest_at).head(manifest_at))
        except (ModelNotFoundError, AccessDeniedError):  # whom S3 lets not look it says 403
            is_there = False
    if is_there:
        raise ModelExistsError(
            "the model has a manifest already",
            where=str(manifest_at or location),
            hint="Pass overwrite=True to write it anew, if the files were changed on purpose",
        )


def producer_of(what: Recognition) -> Mapping[str, str]:
    """Return which Keras wrote the artifact, as far as its bytes tell."""
    if what.generation is None or what.keras_version is None:
        return {}
    return {"keras" if what.generation == _KERAS_3 else "tf_keras": what.keras_version}


def _index(
    folder: ArtifactFolder, infos: Mapping[str, ObjectInfo], what: Recognition
) -> tuple[Index, Sequence[StoredDocument]]:
    from remote_models.formats.indexing import find_documents, index_artifact

    def open_file(path: str) -> IO[bytes]:
        info = infos[path]
        return open_reader(folder.store, folder.file(path), info.size, etag=info.etag)

    name, where = folder.location.name, str(folder)
    sizes = {path: info.size for path, info in infos.items()}
    index = index_artifact(what, sizes, open_file, name=name, where=where)
    return index, find_documents(what.format, sizes, open_file, name=name, where=where)


def _read(
    folder: ArtifactFolder,
    path: str,
    before: ObjectInfo,
    hashers: ArtifactHasher,
    meter: ProgressMeter,
) -> FileEntry:
    """Hash a file that must be, from before its index was made, one and the same."""
    hasher = hashers.of_file(path)
    location = folder.file(path)
    for chunk in read_chunks(folder.store, location, before.size, etag=before.etag):
        hasher.update(chunk)
        meter.advance(len(chunk))
    after = folder.store.head(location)
    if after != before:
        raise IntegrityError(
            "the file changed while it was read",
            where=str(location),
            expected=before,
            found=after,
            hint="Adopt the model when nobody writes to it",
        )
    return FileEntry(
        path=parse_relative_path(path, where="file name"),
        size=before.size,
        sha256=hasher.sha256(),
        rest_sha256=hasher.rest_sha256(),
        version=before.version,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """Where the manifest goes, and the one that it replaces, if any."""

    location: Location
    if_absent: bool
    if_match: str | None = None

    @classmethod
    def look(cls, location: Location, *, overwrite: bool) -> _Place:
        if not overwrite:
            return cls(location=location, if_absent=True)
        try:
            etag = open_store(location).head(location).etag
        except ModelNotFoundError:
            return cls(location=location, if_absent=True)
        except AccessDeniedError:
            etag = None
        return cls(location=location, if_absent=False, if_match=etag)

    def write(self, manifest: Manifest) -> None:
        data = StoredManifest(current=manifest).to_bytes()
        with Publication(
            open_store(self.location), if_absent=self.if_absent, if_match=self.if_match
        ) as publication:
            publication.stage(self.location, len(data), [data])
            publication.commit(lambda _location, _version: None)
