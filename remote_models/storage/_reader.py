"""A seekable, read-only file over ranges of an object."""

from __future__ import annotations

import io
from collections import OrderedDict
from typing import IO, cast

from remote_models.storage._location import Location
from remote_models.storage._store import Store
from remote_models.storage._transfer import read_range

__all__ = ["open_reader"]

_BLOCK = 256 * 1024
"""Bytes per request at least: the structure of a file is many small reads close together."""

_MAX_BLOCKS = 64
"""Blocks that are kept (16 MiB): who walks a file's structure comes back to the same places."""


def open_reader(
    store: Store, location: Location, size: int, *, etag: str | None = None
) -> IO[bytes]:
    """Open an object of ``size`` bytes for reading, by requests for blocks of it.

    Meant for the structure of a file, which is small and scattered. Nothing checks
    the bytes; with ``etag`` they are those of one and the same object, or reading
    raises an IntegrityError.
    """
    return cast("IO[bytes]", _RangeReader(store, location, size, etag))


class _RangeReader(io.RawIOBase):
    def __init__(self, store: Store, location: Location, size: int, etag: str | None) -> None:
        super().__init__()
        self._store = store
        self._location = location
        self._size = size
        self._etag = etag
        self._position = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: object) -> int:
        """Fill all of ``buffer``, as far as the file goes: HDF5 takes fewer bytes for zeros."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # typeshed calls it Buffer
        start = self._position
        stop = min(start + len(view), self._size)
        while self._position < stop:
            data = self._at_position(stop)
            if not data:
                break  # the object is shorter than it was
            at = self._position - start
            view[at : at + len(data)] = data
            self._position += len(data)
        return self._position - start

    def _at_position(self, stop: int) -> memoryview:
        """Return bytes from the position on, some of those before ``stop``."""
        number, offset = divmod(self._position, _BLOCK)
        if number not in self._blocks:
            self._fetch(number, stop)
        self._blocks.move_to_end(number)
        return memoryview(self._blocks[number])[offset : offset + stop - self._position]

    def _fetch(self, first: int, stop: int) -> None:
        """Read the blocks from ``first`` on that are wanted and not here, in one request."""
        end = first + 1
        while end * _BLOCK < stop and end not in self._blocks and end - first < _MAX_BLOCKS:
            end += 1
        data = self._read(first * _BLOCK, min(end * _BLOCK, self._size))
        for number in range(first, end):
            start = (number - first) * _BLOCK
            self._blocks[number] = data[start : start + _BLOCK]
        while len(self._blocks) > _MAX_BLOCKS:
            self._blocks.popitem(last=False)

    def _read(self, start: int, stop: int) -> bytes:
        return bytes(read_range(self._store, self._location, start, stop, etag=self._etag))
