"""A seekable, read-only file over ranges of an object."""

from __future__ import annotations

import io
from typing import IO, cast

from remote_models.storage._location import Location
from remote_models.storage._store import Store

__all__ = ["open_reader"]

_BUFFER = 256 * 1024
"""Bytes per request: the structure of a file is many small reads close to each other."""


def open_reader(store: Store, location: Location, size: int) -> IO[bytes]:
    """Open an object of ``size`` bytes for reading; every read is a range request.

    Meant for the structure of a file, which is small and scattered. Nothing checks
    the bytes.
    """
    return cast("IO[bytes]", io.BufferedReader(_RangeReader(store, location, size), _BUFFER))


class _RangeReader(io.RawIOBase):
    def __init__(self, store: Store, location: Location, size: int) -> None:
        super().__init__()
        self._store = store
        self._location = location
        self._size = size
        self._position = 0

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
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # typeshed calls it Buffer
        stop = min(self._position + len(view), self._size)
        data = self._store.read(self._location, self._position, stop)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)
