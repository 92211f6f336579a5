"""Which of the artifacts that a manifest names is there, while a save is under way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from remote_models.errors import AccessDeniedError, ModelNotFoundError
from remote_models.manifest import FileEntry, Manifest
from remote_models.remote_model._folder import ArtifactFolder
from remote_models.storage import ObjectInfo
from remote_models.tensors import DIGEST_SIZE

__all__ = ["choose_candidate"]

_SMALL_FILE = 1024 * 1024
"""Up to which size a file is read whole to tell it from another one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sample:
    """Some bytes of a file, and what vouches for them."""

    start: int
    stop: int
    sha256: bytes


def choose_candidate(folder: ArtifactFolder, candidates: Sequence[Manifest]) -> Manifest:
    """Return the first candidate whose files seem to be there, or else the first of all.

    A file is told by its size and etag. Where the manifest has no etag for it, since it had
    not been written then, or lies on a disk, a block of a tensor is read that is another one
    in the other candidates, or a document, or a small file as a whole. That is enough to
    choose, and vouches for nothing: what is read of the artifact later is checked as ever.

    Raises:
        StorageError: the store refused or failed.
    """
    if len(candidates) == 1:
        return candidates[0]
    look = _Look(folder=folder)
    for manifest in candidates:
        others = [other for other in candidates if other is not manifest]
        if all(look.is_there(entry, manifest, others) for entry in manifest.files):
            return manifest
    return candidates[0]


@dataclass(frozen=True, kw_only=True)
class _Look:
    """Looks at each file once."""

    folder: ArtifactFolder
    _infos: dict[str, ObjectInfo | None] = field(default_factory=dict)

    def is_there(self, entry: FileEntry, manifest: Manifest, others: Sequence[Manifest]) -> bool:
        found = self._info(entry.path)
        if found is not None and found.size == entry.size and entry.etag in (None, found.etag):
            if entry.etag is not None:
                return True
            sample = next(_samples(entry, manifest, others), None)
            if sample is None or self._is_same(entry, sample):
                return True
        return entry.version is not None and self._has_version(entry)

    def _info(self, path: str) -> ObjectInfo | None:
        if path not in self._infos:
            self._infos[path] = self._found(lambda: self._head(path))
        return self._infos[path]

    def _has_version(self, entry: FileEntry) -> bool:
        return self._found(lambda: self._head(entry.path, entry.version)) is not None

    def _head(self, path: str, version: str | None = None) -> ObjectInfo:
        store = self.folder.store
        return store.transfer.retry.retried(
            lambda: store.head(self.folder.file(path), version=version)
        )

    def _found(self, head: Callable[[], ObjectInfo]) -> ObjectInfo | None:
        try:
            return head()
        except (ModelNotFoundError, AccessDeniedError):
            return None

    def _is_same(self, entry: FileEntry, sample: _Sample) -> bool:
        store, location = self.folder.store, self.folder.file(entry.path)
        try:
            data = store.transfer.retry.retried(
                lambda: store.read(location, sample.start, sample.stop)
            )
        except ModelNotFoundError:
            return False
        return hashlib.sha256(data).digest() == sample.sha256


def _samples(entry: FileEntry, manifest: Manifest, others: Sequence[Manifest]) -> Iterator[_Sample]:
    """Yield what tells the file from that of another candidate, the smallest part first."""
    rivals = [rival for other in others if (rival := other.file(entry.path)) is not None]
    if all(rival.sha256 == entry.sha256 for rival in rivals):
        return
    known = {digest for other in others for digest in _digests(entry.path, other)}
    for document in manifest.documents:
        digest = bytes.fromhex(document.sha256)
        if document.file == entry.path and document.nbytes and digest not in known:
            yield _Sample(
                start=document.offset, stop=document.offset + document.nbytes, sha256=digest
            )
    yield from _blocks(entry.path, manifest, known)
    if entry.size <= _SMALL_FILE:
        yield _Sample(start=0, stop=entry.size, sha256=bytes.fromhex(entry.sha256))


def _blocks(path: str, manifest: Manifest, known: set[bytes]) -> Iterator[_Sample]:
    for tensor in manifest.tensors:
        for piece in tensor.pieces:
            for number in range(len(piece.digests) // DIGEST_SIZE if piece.file == path else 0):
                digest = piece.digests[number * DIGEST_SIZE :][:DIGEST_SIZE]
                if digest not in known:
                    start = piece.offset + number * manifest.block_size
                    stop = min(start + manifest.block_size, piece.stop)
                    yield _Sample(start=start, stop=stop, sha256=digest)


def _digests(path: str, manifest: Manifest) -> Iterator[bytes]:
    """Yield the digests of the documents and blocks of one file."""
    for document in manifest.documents:
        if document.file == path:
            yield bytes.fromhex(document.sha256)
    for tensor in manifest.tensors:
        for piece in tensor.pieces:
            if piece.file == path:
                for start in range(0, len(piece.digests), DIGEST_SIZE):
                    yield piece.digests[start : start + DIGEST_SIZE]
