"""``memory://``, fsspec's file system in the memory of this process."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from remote_models.storage._location import Location
from remote_models.storage._staging import CommittedFile, StagedFile
from remote_models.storage._store import ObjectInfo, Store

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

    def _describe(self, info: Mapping[str, Any]) -> ObjectInfo:
        file = self._filesystem.store.get(info["name"])
        etag = None if file is None else _etag(file)  # another thread may have deleted it
        return ObjectInfo(size=int(info["size"]), etag=etag)


class MemoryStagedFile(StagedFile):
    """Bytes kept aside until they are put into the dictionary."""

    def __init__(self, filesystem: MemoryFileSystem, key: str, *, if_absent: bool) -> None:
        self._filesystem = filesystem
        self._if_absent = if_absent
        self._key = key
        self._file = MemoryFile(filesystem, key)

    def write(self, data: bytes | memoryview) -> None:
        self._file.write(data)

    def commit(self) -> CommittedFile:
        if self._key in self._filesystem.pseudo_dirs:
            raise IsADirectoryError(self._key)
        self._file.seek(0)
        if self._if_absent:
            # setdefault is one step for all threads; a look before the write is not.
            if self._filesystem.store.setdefault(self._key, self._file) is not self._file:
                raise FileExistsError(self._key)
        else:
            self._filesystem.store[self._key] = self._file
        return CommittedFile(etag=_etag(self._file))

    def discard(self) -> None:
        """Nothing to do: the bytes were never put anywhere."""


def _etag(file: MemoryFile) -> str:
    """Name the bytes of a file: every write but one into its middle makes another object."""
    return f"{id(file):x}-{file.modified.timestamp():f}-{file.size:x}"
