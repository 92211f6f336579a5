"""What lies around the tensors of a file: headers, names and the gaps between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from remote_models.digest import FileHasher
from remote_models.documents import StoredDocument
from remote_models.errors import RemoteModelsError
from remote_models.manifest import FileEntry, Manifest
from remote_models.storage import Location, Store, read_range

__all__ = ["Surroundings"]

_MAX_TAIL = 1024 * 1024
"""Bytes behind the last tensor that are read at most to learn what is in front of it."""


class Surroundings:
    """Tells if a coming file and a known one are alike around their tensors, as it passes.

    The manifest has one digest of all that belongs to no tensor. So if the coming file has
    its tensors at the same places, then its own bytes around them and the known bytes
    behind the last one, which are read, must have that digest together.

    Args:
        entry: The known file.
        apart: Where its tensors and documents lie.
        stop: Where the last tensor ends.
    """

    def __init__(self, entry: FileEntry, apart: Sequence[tuple[int, int]], stop: int) -> None:
        self._entry = entry
        self._stop = stop
        self._position = 0
        self._hasher = FileHasher(apart=apart)

    @classmethod
    def of(
        cls,
        manifest: Manifest,
        entry: FileEntry,
        places: Sequence[tuple[int, int]],
        documents: Sequence[StoredDocument],
    ) -> Self | None:
        """Return what compares a file with that of an entry, if it can be compared.

        Args:
            manifest: The manifest of the known file.
            entry: Its entry there.
            places: Where the coming file's tensors lie, in order.
            documents: The coming file's documents.
        """
        known = sorted(
            (piece.offset, piece.nbytes)
            for tensor in manifest.tensors
            for piece in tensor.pieces
            if piece.file == entry.path and piece.nbytes
        )
        stop = known[-1][0] + known[-1][1] if known else 0
        texts = [each for each in manifest.documents if each.file == entry.path]
        coming = {(each.offset, each.nbytes, each.sha256) for each in documents}
        in_front = {(each.offset, each.nbytes, each.sha256) for each in texts if each.offset < stop}
        if (
            known != list(places)
            or entry.rest_sha256 is None
            or entry.size - stop > _MAX_TAIL
            or not in_front <= coming
        ):
            return None
        return cls(entry, [*known, *((each.offset, each.nbytes) for each in texts)], stop)

    def update(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes of the coming file."""
        left = self._stop - self._position
        if left > 0:
            self._hasher.update_ranges(memoryview(chunk)[:left])
        self._position += len(chunk)

    def are_alike(self, store: Store, location: Location) -> bool:
        """Whether all is the same in front of the last tensor's end, once that has passed.

        ``False`` where the known file cannot be read.
        """
        try:
            tail = read_range(store, location, self._stop, self._entry.size, etag=self._entry.etag)
        except RemoteModelsError:
            return False
        self._hasher.update_ranges(tail)
        return self._hasher.rest_sha256() == self._entry.rest_sha256
