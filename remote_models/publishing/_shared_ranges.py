"""Bytes of a coming file that lie in an earlier artifact, where the store copies them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from remote_models.digest import FileHasher
from remote_models.manifest import FileEntry
from remote_models.publishing._artifact import Artifact
from remote_models.publishing._base import Base
from remote_models.publishing._file_source import FileSource
from remote_models.publishing._surroundings import Surroundings
from remote_models.storage import WORTH_COPYING, Location, Store, StoredRange
from remote_models.tensors import Piece

__all__ = ["SharedRanges"]

_Range = tuple[int, int]
"""Offset and length of a tensor, or of a slice of one, in its file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedRanges:
    """Finds which bytes of a coming file an earlier artifact has, by the tensors' digests.

    Tensors that lie in both as far apart make one range with what is between them, such as
    the headers of HDF5. That this is the same too is certain if all of it is; else it is a
    guess, which the store has to prove when it copies. A tensor that was trained on is told
    from its first block.

    Attributes:
        store: Where both artifacts lie.
        artifact: What is coming.
        bases: The earlier artifacts, the likeliest first.
        block_size: Bytes per block of the coming tensors' digests.
    """

    store: Store
    artifact: Artifact
    bases: Sequence[Base]
    block_size: int

    def find(self, path: str, source: FileSource) -> Sequence[StoredRange]:
        """Return ranges of a file that the store may copy, in order; none if it copies none.

        Args:
            path: Where the file belongs in the coming artifact.
            source: Its bytes, which have to be made again afterwards.
        """
        if source.size < WORTH_COPYING or not self.bases or not self.store.copies_ranges:
            return ()
        places = sorted(
            (piece.offset, piece.nbytes)
            for tensor in self.artifact.tensors
            for piece in tensor.pieces
            if piece.file == path and piece.nbytes
        )
        found = (self._find(base, path, source, places) for base in self.bases)
        return next(filter(None, found), ())

    def _find(
        self, base: Base, path: str, source: FileSource, places: Sequence[_Range]
    ) -> Sequence[StoredRange]:
        entry = base.file(path)
        if entry is None or entry.etag is None or entry.size < WORTH_COPYING:
            return ()
        location = base.folder.join(entry.path)
        if places:
            comparison = self._compare(base, entry, path, source, places)
            runs = list(_runs(places, comparison.found if comparison else {}))
        elif entry.size == source.size and _sha256(source) == entry.sha256:
            comparison, runs = None, [(0, entry.size, 0)]
        else:
            return ()
        is_certain = comparison is None or (
            any(stop - start >= WORTH_COPYING for start, stop, _ in runs)
            and comparison.has_same_surroundings(self.store, location)
        )
        return [
            StoredRange(
                start=start,
                stop=stop,
                source=location,
                source_start=start + shift,
                etag=entry.etag,
                is_certain=is_certain or _is_filled(start, stop, places),
            )
            for start, stop, shift in runs
        ]

    def _compare(
        self, base: Base, entry: FileEntry, path: str, source: FileSource, places: Sequence[_Range]
    ) -> _Comparison | None:
        """Compare a file with one of the base; ``None`` if they have nothing in common."""
        if base.manifest.block_size != self.block_size:
            return None
        known: dict[int, list[Piece]] = {}
        for tensor in base.manifest.tensors:
            for piece in tensor.pieces:
                if piece.file == entry.path:
                    known.setdefault(piece.nbytes, []).append(piece)
        if not any(nbytes in known for _, nbytes in places):
            return None
        documents = [each for each in self.artifact.documents if each.file == path]
        surroundings = Surroundings.of(base.manifest, entry, places, documents)
        comparison = _Comparison(places, known, self.block_size, surroundings)
        for chunk in source.chunks():
            comparison.update(chunk)
        return comparison


class _Comparison:
    """Compares the tensors of a file with known ones, as the file's bytes pass.

    Args:
        places: Where the tensors lie, in order.
        known: The known ones by their lengths.
        block_size: Bytes per block of all digests.
        surroundings: Compares what lies around the tensors, if that may be the same.

    Attributes:
        found: Of each tensor that is known, the offsets of those that it is equal to.
    """

    def __init__(
        self,
        places: Sequence[_Range],
        known: Mapping[int, Sequence[Piece]],
        block_size: int,
        surroundings: Surroundings | None,
    ) -> None:
        self._surroundings = surroundings
        self._places = places
        self._known = known
        self._block_size = block_size
        self._next = 0
        self._position = 0
        self._begin()
        self.found: dict[_Range, Sequence[int]] = {}

    def update(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes of the file."""
        view = memoryview(chunk)
        if self._surroundings is not None:
            self._surroundings.update(view)
        stop = self._position + len(view)
        while self._next < len(self._places):
            offset, nbytes = self._places[self._next]
            if offset >= stop:
                break
            start = max(offset, self._position) - self._position
            self._take(view[start : offset + nbytes - self._position])
            if offset + nbytes > stop:
                break
            self.found[offset, nbytes] = [piece.offset for piece in self._alike]
            self._next += 1
            self._begin()
        self._position = stop

    def has_same_surroundings(self, store: Store, location: Location) -> bool:
        """Whether all is the same around the tensors, once the file has passed."""
        return self._surroundings is not None and self._surroundings.are_alike(store, location)

    def _begin(self) -> None:
        if self._next < len(self._places):
            _, nbytes = self._places[self._next]
            self._alike = self._known.get(nbytes, ())
            self._hasher = FileHasher([(0, nbytes)], block_size=self._block_size)

    def _take(self, view: memoryview) -> None:
        """Hash bytes of a tensor for as long as it may be a known one."""
        # The first block alone: of most tensors that have changed it is another one.
        for part in (view[: self._block_size], view[self._block_size :]):
            if self._alike and part:
                self._hasher.update_ranges(part)
                digests = self._hasher.blocks(0)
                self._alike = [each for each in self._alike if each.digests.startswith(digests)]


def _runs(
    places: Sequence[_Range], found: Mapping[_Range, Sequence[int]]
) -> Iterator[tuple[int, int, int]]:
    """Yield the start and stop of each run of known tensors, and how much further on it lies."""
    start = stop = shift = 0
    for number, (offset, nbytes) in enumerate(places):
        shifts = [other - offset for other in found.get((offset, nbytes), ())]
        if not shifts or (stop > start and shift not in shifts):
            if stop > start:
                yield start, stop, shift
            start = stop = offset
        if not shifts:
            continue
        if stop == start:
            shift = shift if shift in shifts else shifts[0]
            # What is in front of the first tensor belongs to it.
            start = 0 if number == 0 and shift == 0 else offset
        stop = offset + nbytes
    if stop > start:
        yield start, stop, shift


def _is_filled(start: int, stop: int, places: Sequence[_Range]) -> bool:
    """Whether there is nothing but tensors in a range."""
    inside = [nbytes for offset, nbytes in places if start <= offset < stop]
    return sum(inside) == stop - start


def _sha256(source: FileSource) -> str:
    hasher = FileHasher()
    for chunk in source.chunks():
        hasher.update_whole(chunk)
    return hasher.sha256()
