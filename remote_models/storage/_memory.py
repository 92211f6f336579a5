"""``memory://``, fsspec's file system in the memory of this process."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from threading import Lock
from typing import Any, ClassVar, cast

from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from remote_models.storage._location import Location
from remote_models.storage._staging import CommittedFile, StagedFile, new_writer, refused
from remote_models.storage._store import ObjectInfo, Store

__all__ = ["MemoryStagedFile", "MemoryStore"]


class MemoryStore(Store):
    """A dictionary of files; one assignment publishes a file."""

    may_lose_answers: ClassVar[bool] = False

    def stage(
        self,
        location: Location,
        size: int,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> StagedFile:
        filesystem = cast("MemoryFileSystem", self._filesystem)
        return MemoryStagedFile(
            filesystem, self._key(location), if_absent=if_absent, if_match=if_match
        )

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
        writer = file.writer if isinstance(file, _WrittenFile) else None
        modified = None if file is None else file.modified
        return ObjectInfo(size=int(info["size"]), etag=etag, writer=writer, modified=modified)


class _WrittenFile(MemoryFile):  # type: ignore[misc]
    """A file of the dictionary that knows who wrote it."""

    writer: str | None = None


class MemoryStagedFile(StagedFile):
    """Bytes kept aside until they are put into the dictionary."""

    # For all files, since the dictionary is one for the process.
    _comparing: ClassVar[Lock] = Lock()

    def __init__(
        self,
        filesystem: MemoryFileSystem,
        key: str,
        *,
        if_absent: bool,
        if_match: str | None = None,
    ) -> None:
        self._filesystem = filesystem
        self._if_absent = if_absent
        self._if_match = if_match
        self._key = key
        self._file = _WrittenFile(filesystem, key)
        self.writer = self._file.writer = new_writer()

    def write(self, data: bytes | memoryview) -> None:
        self._file.write(data)

    def commit(self) -> CommittedFile:
        if self._key in self._filesystem.pseudo_dirs:
            raise IsADirectoryError(self._key)
        self._file.seek(0)
        if self._if_absent:
            # setdefault is one step for all threads; a look before the write is not.
            if self._filesystem.store.setdefault(self._key, self._file) is not self._file:
                raise refused(self._key)
        elif self._if_match is None:
            self._filesystem.store[self._key] = self._file
        else:
            self._replace(self._if_match)
        return CommittedFile(etag=_etag(self._file))

    def _replace(self, etag: str) -> None:
        with self._comparing:
            found = self._filesystem.store.get(self._key)
            if found is None or _etag(found) != etag:
                raise refused(self._key)
            self._filesystem.store[self._key] = self._file

    def discard(self) -> None:
        """Nothing to do: the bytes were never put anywhere."""


def _etag(file: MemoryFile) -> str:
    """Name the bytes of a file: every write but one into its middle makes another object."""
    return f"{id(file):x}-{file.modified.timestamp():f}-{file.size:x}"
