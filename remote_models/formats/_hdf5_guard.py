"""A file as libhdf5 may see it: without the heaps on which it does not come to an end.

libhdf5 1.14 steps through a global heap collection by the sizes that stand in it, and
through a local heap by a list of free blocks. A size of zero, or one that overflows,
or a list that runs in a circle makes it step for ever, and in the second case take
memory with each step (CWE-835, CWE-789). Fuzzing found no other such loop. So each
heap is checked as its first bytes pass by. HDF5 File Format Specification 3.0: III.D
local heaps, III.E global heap.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from typing import IO, TYPE_CHECKING

from remote_models.errors import FormatError
from remote_models.formats._hdf5_text import heap_objects

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["GuardedFile"]

_GLOBAL, _LOCAL = b"GCOL\x01", b"HEAP\x00"
"""Signature and version."""

_GLOBAL_HEADER = struct.Struct("<8xQ")
"""The collection's size, this header included."""

_LOCAL_HEADER = struct.Struct("<8xQQQ")
"""The size of the data, the offset of its first free block, and the data's address."""

_FREE_BLOCK = struct.Struct("<QQ")
"""The offset of the next free block, and the size of this one."""

_NO_BLOCK = 1

_MAX_HEAP = 256 * 1024 * 1024
"""Bytes of one heap. Keras writes a model's whole configuration into one."""


class GuardedFile(io.RawIOBase):
    """A file that refuses to hand out a heap through which no way leads to the end.

    Closing it closes nothing.

    Args:
        file: The file.
        where: Its name, for messages.
    """

    def __init__(self, file: IO[bytes], *, where: str) -> None:
        super().__init__()
        self._file = file
        self._where = where
        self._size = file.seek(0, os.SEEK_END)
        self._base = _user_block(file, self._size)
        self._checked: set[int] = set()
        self._tail_stop, self._tail = 0, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        start = self._file.tell()
        data = self._file.read(len(view))
        self._look_for_heaps(start, data)
        view[: len(data)] = data
        return len(data)

    def _look_for_heaps(self, start: int, data: bytes) -> None:
        if self._tail_stop == start:  # a signature may lie over the end of one read
            start, data = start - len(self._tail), self._tail + data
        self._tail_stop, self._tail = start + len(data), data[1 - len(_GLOBAL) :]
        self._check_each(start, data, _GLOBAL, self._is_sound_collection)
        self._check_each(start, data, _LOCAL, self._is_sound_local_heap)

    def _check_each(
        self, start: int, data: bytes, signature: bytes, is_sound: Callable[[int], bool]
    ) -> None:
        found = data.find(signature)
        while found >= 0:
            address = start + found
            if address not in self._checked:
                self._checked.add(address)
                if not is_sound(address):
                    raise FormatError(
                        "a damaged HDF5 file",
                        where=self._where,
                        found=f"a heap at {address} in which the sizes make no sense",
                        hint="Save or copy it again",
                    )
            found = data.find(signature, found + 1)

    def _is_sound_collection(self, address: int) -> bool:
        header = self._peek(address, _GLOBAL_HEADER.size)
        if header is None:
            return False
        (size,) = _GLOBAL_HEADER.unpack(header)
        heap = self._peek(address + len(header), size - len(header))
        return heap is not None and heap_objects(heap) is not None

    def _is_sound_local_heap(self, address: int) -> bool:
        header = self._peek(address, _LOCAL_HEADER.size)
        if header is None:
            return False
        size, free, place = _LOCAL_HEADER.unpack(header)
        heap = self._peek(self._base + place, size)
        return heap is not None and _free_list_ends(heap, free)

    def _peek(self, offset: int, nbytes: int) -> bytes | None:
        """Return bytes of the file, or ``None`` if it does not have them."""
        if not 0 <= nbytes <= min(_MAX_HEAP, self._size - offset):
            return None
        position = self._file.tell()
        self._file.seek(offset)
        data = self._file.read(nbytes)
        self._file.seek(position)
        return data if len(data) == nbytes else None


def _user_block(file: IO[bytes], size: int) -> int:
    """Return where HDF5 begins, from which addresses count: at 0, 512, 1024, 2048, …."""
    start = 0
    while start < size:
        file.seek(start)
        if file.read(8) == b"\x89HDF\r\n\x1a\n":
            return start
        start = 2 * start or 512
    return 0


def _free_list_ends(heap: bytes, offset: int) -> bool:
    for _ in range(len(heap) // _FREE_BLOCK.size + 1):
        if offset == _NO_BLOCK:
            return True
        if offset + _FREE_BLOCK.size > len(heap):
            return False
        offset, _ = _FREE_BLOCK.unpack_from(heap, offset)
    return False
