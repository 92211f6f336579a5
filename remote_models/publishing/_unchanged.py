"""Files of a coming artifact that the store holds already, byte for byte."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from remote_models.digest import FileHasher
from remote_models.errors import AccessDeniedError, ModelNotFoundError
from remote_models.manifest import FileEntry, Manifest
from remote_models.publishing._artifact import Artifact
from remote_models.publishing._file_source import FileSource
from remote_models.storage import Location, Store

__all__ = ["UnchangedFiles"]

_Range = tuple[int, int]
"""Offset and length of a tensor, or of a slice of one, in its file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UnchangedFiles:
    """Tells which files need not travel, since what they would replace is the same.

    Two things must be certain. That the coming bytes are those which a manifest at the
    URL names: they are hashed, block by block while a block may still differ, so that
    a model that was trained on is told from its first block. And that the object is
    still the one of which the manifest speaks: by the etag that the store gave when it
    was written. Without proof a file travels, so that saving again repairs it.

    Attributes:
        store: Where the artifact goes.
        folder: The folder that the paths of its files start from.
        artifact: What is coming.
        candidates: The manifests at the URL.
        block_size: Bytes per block of the coming tensors' digests.
    """

    store: Store
    folder: Location
    artifact: Artifact
    candidates: Sequence[Manifest]
    block_size: int

    def find(self, path: str, source: FileSource, hasher: FileHasher) -> FileEntry | None:
        """Return the entry of the file that is there, or ``None`` if this one must travel.

        Args:
            path: Where the coming file belongs.
            source: Its bytes, which may have to be made again afterwards.
            hasher: A new hasher of the coming file; it has seen all of it if an entry is
                returned, and any part of it otherwise.

        Raises:
            StorageError: the store failed.
        """
        places = [
            (piece.offset, piece.nbytes)
            for tensor in self.artifact.tensors
            for piece in tensor.pieces
            if piece.file == path
        ]
        alike = next(self._alike(path, source.size, places), None)
        if alike is None:
            return None
        entry, digests = alike
        order = sorted(range(len(places)), key=lambda number: places[number])
        expected = deque((number, digests[places[number]]) for number in order)
        if not _is_same(source, hasher, entry, expected):
            return None
        return self._still_there(path, entry)

    def _alike(
        self, path: str, size: int, places: Sequence[_Range]
    ) -> Iterator[tuple[FileEntry, Mapping[_Range, bytes]]]:
        """Yield what may be the same, and the digests of the tensors in it."""
        for manifest in self.candidates:
            entry = manifest.file(path)
            if entry is None or entry.etag is None or entry.size != size:
                continue
            digests = {
                (piece.offset, piece.nbytes): piece.digests
                for tensor in manifest.tensors
                for piece in tensor.pieces
                if piece.file == path
            }
            same_blocks = not places or manifest.block_size == self.block_size
            if same_blocks and digests.keys() == set(places):
                yield entry, digests

    def _still_there(self, path: str, entry: FileEntry) -> FileEntry | None:
        try:
            found = self.store.head(self.folder.join(path))
        except (ModelNotFoundError, AccessDeniedError):
            return None
        if (found.size, found.etag) != (entry.size, entry.etag):
            return None
        # Written once more with the same bytes, the object may have another version.
        return replace(entry, version=found.version)


def _is_same(
    source: FileSource, hasher: FileHasher, entry: FileEntry, expected: deque[tuple[int, bytes]]
) -> bool:
    """Hash a file for as long as it may be the one that an entry and digests tell of.

    ``expected`` holds the number of each range and the digests of its blocks, in the
    order in which they pass.
    """
    size = 0
    for chunk in source.chunks():
        hasher.update(chunk)
        size += len(chunk)
        while expected:
            number, digests = expected[0]
            found = hasher.blocks(number)
            if not digests.startswith(found):
                return False
            if len(found) < len(digests):
                break
            expected.popleft()
    return size == entry.size and hasher.sha256() == entry.sha256
