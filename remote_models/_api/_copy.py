"""Copy artifacts from store to store; no framework is imported, and nothing lies on disk."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import IO

from remote_models._api._arguments import URL, Progress, StorageOptions
from remote_models._api._artifacts import open_model, pull_model, push_model, renamed
from remote_models._api._keys import Key
from remote_models._api._local_copy import temporary_directory
from remote_models._api._publish import publish_artifact, publish_files
from remote_models.adoption import lost_directories, producer_of
from remote_models.digest import format_digest
from remote_models.errors import FormatError, IntegrityError, ModelNotFoundError
from remote_models.manifest import FileEntry, Layout, Manifest
from remote_models.publishing import Artifact
from remote_models.remote_model import RemoteModel, find_manifest
from remote_models.storage import (
    Buffer,
    Location,
    Store,
    TransferSettings,
    open_reader,
    read_chunks,
)

__all__ = ["copy_model"]

_ATTEMPTS = 4
"""Copies of an artifact that is replaced meanwhile."""

_BACKOFF_SECONDS = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredFile:
    """A file in a store, checked as it passes."""

    store: Store
    location: Location
    size: int
    sha256: str | None = None
    version: str | None = None
    etag: str | None = None

    @classmethod
    def of(cls, remote: RemoteModel, entry: FileEntry) -> _StoredFile:
        """Return a file of which a manifest tells, in the version that the manifest pins."""
        store, location = remote.folder.store, remote.file_location(entry.path)
        version = entry.version
        if version is not None and not _is_kept(store, location, version):
            version = None  # what is there instead is read, and found to be something else
        return cls(
            store=store, location=location, size=entry.size, sha256=entry.sha256, version=version
        )

    @classmethod
    def bare(cls, remote: RemoteModel, path: str) -> _StoredFile:
        """Return a file for which nothing vouches, as it is now."""
        store, location = remote.folder.store, remote.file_location(path)
        info = store.head(location)
        return cls(store=store, location=location, size=info.size, etag=info.etag)

    def chunks(self) -> Iterator[Buffer]:
        """Yield its bytes from front to back, and fail at the end if they are others."""
        chunks = read_chunks(
            self.store, self.location, self.size, version=self.version, etag=self.etag
        )
        return chunks if self.sha256 is None else self._checked(chunks, self.sha256)

    def _checked(self, chunks: Iterator[Buffer], sha256: str) -> Iterator[Buffer]:
        hasher = hashlib.sha256()
        try:
            for chunk in chunks:
                hasher.update(chunk)
                yield chunk
        except ModelNotFoundError as error:
            raise IntegrityError(
                "a file of the model is missing",
                where=error.where,
                hint="Save the model again, or restore the file",
            ) from error
        if hasher.hexdigest() != sha256:
            raise IntegrityError(
                "the bytes are not those that the manifest vouches for",
                where=str(self.location),
                expected=format_digest(sha256),
                found=format_digest(hasher.hexdigest()),
                hint="Restore the file or save the model again",
            )

    def open(self) -> IO[bytes]:
        """Open it for reading, to look at its structure."""
        return open_reader(self.store, self.location, self.size, etag=self.etag)


def copy_model(
    source: URL,
    target: URL,
    *,
    manifest_digest: str | None = None,
    manifest_url: URL | None = None,
    public_key: Key | None = None,
    overwrite: bool = True,
    storage_options: StorageOptions | None = None,
    target_options: StorageOptions | None = None,
    transfer: TransferSettings | None = None,
    progress: Progress = None,
) -> Manifest:
    """Copy an artifact from store to store, verified; no framework is imported.

    The bytes pass through this process and not over its disk. Each file is compared with
    the manifest before the copy becomes visible, which is as in :func:`save_model`: whole
    or not at all. The manifest of the copy says what that of the source says: names and
    digests of the tensors, producer, time and metadata. A signature is not copied, since
    what the stores call the files is part of the manifest; sign the copy.

    Args:
        source: Where it was saved. Without a manifest, the copy gets one of what is read.
        target: Where to put it.
        manifest_digest: ``sha256:<hex>``: copy exactly this artifact or nothing.
        manifest_url: As in :func:`open_model`.
        public_key: As in :func:`open_model`.
        overwrite: If false, the store itself refuses when something is there.
        storage_options: Arguments for the fsspec filesystem, as in pandas.
        target_options: The same for ``target``, if they are others.
        transfer: As in :func:`open_model`.
        progress: As in :func:`save_model`.

    Returns:
        The manifest of the copy.

    Raises:
        ModelNotFoundError: nothing is at ``source``.
        IntegrityError: bytes are not those that the manifest vouches for.
        FormatError: it is no model, or of a format of a later version; or its files name
            each other, and ``target`` ends in another name.
        ModelExistsError: something is at ``target`` and ``overwrite`` is false.
        StorageError: a store refused or failed.
    """
    options = storage_options if target_options is None else target_options
    location = Location.parse(target, options)

    def opened() -> RemoteModel:
        return open_model(
            source,
            manifest_digest=manifest_digest,
            manifest_url=manifest_url,
            public_key=public_key,
            storage_options=storage_options,
            transfer=transfer,
        )

    remote = opened()
    if remote.is_verifiable and remote.manifest is None:
        # A signature of whole files, and no manifest: what is inside them, a copy shows.
        with temporary_directory() as folder:
            pull_model(
                source, folder / "copy", public_key=public_key,
                storage_options=storage_options, transfer=transfer, progress=progress,
            )  # fmt: skip
            return push_model(
                folder / "copy", target, overwrite=overwrite,
                storage_options=options, transfer=transfer, progress=progress,
            )  # fmt: skip
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _copied(remote, location, overwrite, transfer, progress)
        except (IntegrityError, ModelNotFoundError):
            latest = opened()
            is_other = _digest(latest) != _digest(remote) or _is_being_saved(latest)
            if attempt == _ATTEMPTS or not is_other:
                raise
        time.sleep(_BACKOFF_SECONDS * attempt)
        remote = opened()
    raise AssertionError("unreachable")


def _is_kept(store: Store, location: Location, version: str) -> bool:
    """Whether an object was replaced, and the store still has the version that is wanted."""
    try:
        if store.head(location).version == version:
            return False  # read without its name: that needs no s3:GetObjectVersion
    except ModelNotFoundError:
        pass  # deleted, and perhaps kept
    try:
        store.head(location, version=version)
    except ModelNotFoundError:
        return False
    return True


def _digest(remote: RemoteModel) -> str | None:
    return remote.manifest.digest if remote.manifest else None


def _is_being_saved(remote: RemoteModel) -> bool:
    found = find_manifest(remote.folder.store, remote.location)
    return found is not None and bool(found[1].pending)


def _copied(
    remote: RemoteModel,
    target: Location,
    overwrite: bool,
    transfer: TransferSettings | None,
    progress: Progress,
) -> Manifest:
    if remote.manifest is not None:
        artifact = _artifact(remote, remote.manifest, target)
        return publish_artifact(
            target, artifact, overwrite=overwrite, transfer=transfer, progress=progress
        )
    what = remote.recognise()
    return publish_files(
        target,
        what.format,
        renamed({path: _StoredFile.bare(remote, path) for path in remote.files}, remote, target),
        producer=producer_of(what),
        overwrite=overwrite,
        metadata=None,
        transfer=transfer,
        progress=progress,
        empty_directories=lost_directories(what, remote.files),
    )


def _artifact(remote: RemoteModel, manifest: Manifest, target: Location) -> Artifact:
    """Return what a manifest tells of, as it is to be put at ``target``."""
    if remote.format is None:
        raise FormatError(
            "a format of a later version",
            where=str(remote.location),
            found=repr(manifest.format),
            hint="Upgrade remote_models",
        )
    names = _new_names(remote, manifest, target)
    return Artifact(
        format=remote.format,
        layout=manifest.layout,
        created=manifest.created,
        producer=manifest.producer,
        metadata=manifest.metadata,
        files={names[entry.path]: _StoredFile.of(remote, entry) for entry in manifest.files},
        empty_directories=manifest.empty_directories,
        tensors=tuple(
            replace(
                tensor,
                pieces=tuple(replace(each, file=names[each.file]) for each in tensor.pieces),
            )
            for tensor in manifest.tensors
        ),
        documents=tuple(replace(each, file=names[each.file]) for each in manifest.documents),
        exports={kind: names[path] for kind, path in manifest.exports.items()},
    )


def _new_names(remote: RemoteModel, manifest: Manifest, target: Location) -> Mapping[str, str]:
    """Return what each file is called in the copy: exports are named after their model."""
    new = renamed({str(each.path): str(each.path) for each in manifest.own_files}, remote, target)
    names = {old: name for name, old in new.items()}
    name = remote.location.name
    for path in map(str, manifest.exports.values()):
        is_named = manifest.layout is Layout.FILE and path.startswith(name)
        names[path] = f"{target.name}{path[len(name) :]}" if is_named else path
    return names
