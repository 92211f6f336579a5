"""``memory://``, fsspec's file system in the memory of this process."""

from __future__ import annotations

from contextlib import suppress
from typing import cast

from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from remote_models.storage._location import Location
from remote_models.storage._staging import StagedFile
from remote_models.storage._store import Store

__all__ = ["MemoryStagedFile", "MemoryStore"]


class MemoryStore(Store):
    """A dictionary of files; one assignment publishes a file."""

    def stage(self, location: Location, size: int, *, if_absent: bool = False) -> StagedFile:
        filesystem = cast("MemoryFileSystem", self._filesystem)
        return MemoryStagedFile(filesystem, self._key(location), if_absent=if_absent)

    def _key(self, location: Location) -> str:
        # fsspec takes "::" in a name for a chain of URLs and leaves out the slash.
        return f"/{location.path.strip('/')}"

    def make_directory(self, location: Location) -> bool:
        key = self._key(location)
        if key in self._filesystem.pseudo_dirs:
            return False
        with self.errors(location):
            self._filesystem.makedirs(key, exist_ok=True)
        return True

    def remove_directory(self, location: Location) -> None:
        key = self._key(location)
        if key in self._filesystem.pseudo_dirs and not self._filesystem.ls(key):
            with suppress(FileNotFoundError):  # another thread was faster
                self._filesystem.rmdir(key)


class MemoryStagedFile(StagedFile):
    """Bytes kept aside until they are put into the dictionary."""

    def __init__(self, filesystem: MemoryFileSystem, key: str, *, if_absent: bool) -> None:
        self._filesystem = filesystem
        self._if_absent = if_absent
        self._key = key
        self._file = MemoryFile(filesystem, key)

    def write(self, data: bytes | memoryview) -> None:
        self._file.write(data)

    def commit(self) -> str | None:
        if self._key in self._filesystem.pseudo_dirs:
            raise IsADirectoryError(self._key)
        self._file.seek(0)
        if self._if_absent:
            # setdefault is one step for all threads; a look before the write is not.
            if self._filesystem.store.setdefault(self._key, self._file) is not self._file:
                raise FileExistsError(self._key)
        else:
            self._filesystem.store[self._key] = self._file
        return None

    def discard(self) -> None:
        """Nothing to do: the bytes were never put anywhere."""
