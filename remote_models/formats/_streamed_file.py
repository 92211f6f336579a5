"""Files that are made while they are read, so that they need no room of their own."""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from remote_models.errors import IntegrityError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["DelayedTensor", "StreamedFile"]

_CHUNK = 8 * 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class DelayedTensor:
    """A tensor whose values are asked for when their turn comes.

    Attributes:
        name: What it is called where it is kept, for messages.
        dtype: Its dtype.
        shape: Its shape.
        read: Returns the values, without a copy where that can be.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    read: Callable[[], np.ndarray[Any, Any]]

    @property
    def nbytes(self) -> int:
        """The number of bytes of all values."""
        return self.dtype.itemsize * int(np.prod(self.shape, dtype=np.int64))

    def to_bytes(self) -> memoryview:
        """Return the values as one range of bytes, row by row.

        Raises:
            IntegrityError: they are no longer what was announced.
        """
        array = np.asarray(self.read())
        if array.dtype != self.dtype or array.shape != self.shape:
            raise IntegrityError(
                "the model changed while it was saved",
                where=self.name,
                expected=f"{self.dtype} of shape {self.shape}",
                found=f"{array.dtype} of shape {array.shape}",
                hint="Save it when nothing else works on it",
            )
        return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


class StreamedFile:
    """A file made of bytes that are known and of tensors that are read in their turn.

    Args:
        pieces: Its content, from front to back.

    Attributes:
        size: Its length in bytes.
    """

    def __init__(self, pieces: Sequence[bytes | DelayedTensor]) -> None:
        self.pieces = [piece for piece in pieces if _size(piece)]
        self.size = sum(map(_size, self.pieces))

    def chunks(self) -> Iterator[memoryview]:
        """Yield the content from front to back, at most 8 MiB at once.

        A chunk is good until the next one is asked for. Of the tensors no more than one
        is held at a time.
        """
        for piece in self.pieces:
            with _content(piece) as content:
                for start in range(0, len(content), _CHUNK):
                    # Whoever still has the name of a chunk must not keep a tensor alive.
                    with content[start : start + _CHUNK] as chunk:
                        yield chunk

    def frozen(self) -> StreamedFile:
        """Return the file with the values that its tensors have now, copied."""
        return StreamedFile([_frozen(piece) for piece in self.pieces])

    def open(self) -> IO[bytes]:
        """Open the file to look at its structure: in place of a tensor there are zeros.

        Whoever follows the structure, as libhdf5 does, reads some bytes beyond it.
        """
        return io.BufferedReader(_Structure(self.pieces))


class _Structure(io.RawIOBase):
    def __init__(self, pieces: Sequence[bytes | DelayedTensor]) -> None:
        super().__init__()
        self._pieces = pieces
        self._starts = [0, *accumulate(map(_size, pieces))]
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        size = self._starts[-1]
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read up to the end of a piece at most."""
        if self._position >= self._starts[-1]:
            return 0
        index = bisect_right(self._starts, self._position) - 1
        piece, start = self._pieces[index], self._position - self._starts[index]
        view = memoryview(buffer).cast("B")
        count = min(len(view), _size(piece) - start)
        view[:count] = piece[start : start + count] if isinstance(piece, bytes) else bytes(count)
        self._position += count
        return count


def _frozen(piece: bytes | DelayedTensor) -> bytes | DelayedTensor:
    if isinstance(piece, bytes):
        return piece
    array = np.array(piece.read())
    return replace(piece, read=lambda: array)


def _size(piece: bytes | DelayedTensor) -> int:
    return piece.nbytes if isinstance(piece, DelayedTensor) else len(piece)


def _content(piece: bytes | DelayedTensor) -> memoryview:
    return piece.to_bytes() if isinstance(piece, DelayedTensor) else memoryview(piece)
