"""Parts of tensors on their way: copied into their place, and compared with their digests."""

from __future__ import annotations

import hashlib
import mmap
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from remote_models.errors import IntegrityError
from remote_models.storage import ByteRange
from remote_models.tensors import DIGEST_SIZE, Piece, StoredTensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]

__all__ = ["Arrival", "Part"]

_ALIGNMENT = 64
"""Of the first byte of what is read. TensorFlow and JAX take over aligned arrays as they are."""


_LARGE = 4 * 1024 * 1024
"""Where NumPy begins to ask for huge pages. In virtual machines that give free memory back
to their host (Firecracker, free page reporting) the first touch of these was measured to
take up to 2.5 CPU seconds per GiB, and of ordinary pages 0.5."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Bytes ``start`` to ``stop`` of a piece, counted from the piece's first byte."""

    entry: StoredTensor
    piece: Piece
    start: int
    stop: int

    def widened(self, block_size: int) -> ByteRange:
        """Return the range of whole blocks around the part."""
        first = self.start // block_size * block_size
        last = min(-(-self.stop // block_size) * block_size, self.piece.nbytes)
        offset = self.piece.offset
        return ByteRange(self.piece.file, offset + first, offset + last)


class Arrival:
    """The whole blocks around a part, which come in any order.

    Args:
        part: What is wanted.
        block_size: Bytes per block of the digests.
        where: The artifact's URL, for messages.

    Attributes:
        wide: The range of the blocks.
        missing: How many slices of it have not been received; for the caller to keep.
    """

    def __init__(self, part: Part, *, block_size: int, where: str) -> None:
        self.wide = part.widened(block_size)
        self.missing = 0
        self._part = part
        self._block_size = block_size
        self._where = where
        self._buffer: list[Bytes] = []

    @property
    def buffer(self) -> Bytes:
        """Where the bytes go; memory is taken when the first of them are here."""
        if not self._buffer:
            self._buffer.append(_empty(self.wide.size))
        return self._buffer[0]  # of two threads that come at once, the first one's

    def slices(self, most: int) -> list[ByteRange]:
        """Split the range into slices of ``most`` bytes or one block that can be checked alone."""
        unit = self._block_size if self._part.piece.digests else 1
        slices = self.wide.split(most, unit=unit)
        self.missing = len(slices)
        return slices

    def receive(self, where: ByteRange, data: memoryview) -> None:
        """Copy some blocks into their place, and compare them with their digests there.

        A copy first: what is checked must neither change with a mapped file later, nor
        with what a caller writes into the array that it gets.

        Raises:
            IntegrityError: a block has another digest.
        """
        offset = where.start - self.wide.start
        target = self.buffer[offset : offset + where.size]
        target[:] = np.frombuffer(data, np.uint8)
        piece = self._part.piece
        if piece.digests and not self._matches(piece, where, target):
            raise IntegrityError(
                "the bytes are not those that the manifest vouches for",
                where=f"{self._where} ({self._part.entry.label})",
                expected=f"the digests of bytes {where.start} to {where.stop} of {piece.file}",
                hint="Open the model again if it was replaced meanwhile, or restore the file",
            )

    def narrowed(self) -> Bytes:
        """Return the part itself out of the blocks around it."""
        start = self._part.piece.offset + self._part.start - self.wide.start
        return self.buffer[start : start + self._part.stop - self._part.start]

    def _matches(self, piece: Piece, where: ByteRange, data: Bytes) -> bool:
        first = (where.start - piece.offset) // self._block_size
        for number in range(-(-len(data) // self._block_size)):
            block = data[number * self._block_size : (number + 1) * self._block_size]
            at = (first + number) * DIGEST_SIZE
            if hashlib.sha256(block.data).digest() != piece.digests[at : at + DIGEST_SIZE]:
                return False
        return True


def _empty(nbytes: int) -> Bytes:
    """Return an aligned buffer of bytes with any content."""
    if nbytes >= _LARGE:
        return np.frombuffer(_pages(nbytes), np.uint8)  # begins at a page
    raw = np.empty(nbytes + _ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % _ALIGNMENT
    return raw[start : start + nbytes]


def _pages(nbytes: int) -> mmap.mmap:
    """Return memory of this process alone: a forked child that writes to it gets its own."""
    if sys.platform == "win32":
        return mmap.mmap(-1, nbytes)
    # mmap's default is MAP_SHARED, which takes half as much time again to be touched first.
    return mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
