"""Staged files: bytes that have travelled and that nobody can see yet."""

from __future__ import annotations

import shutil
import tempfile
from abc import ABC, abstractmethod
from dataclasses import dataclass

from fsspec import AbstractFileSystem

__all__ = ["CommittedFile", "SpooledStagedFile", "StagedFile"]

_SPOOL_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class CommittedFile:
    """What a store says of the bytes that it has just made visible.

    Attributes:
        version: The store's name for these bytes, where it keeps versions.
        etag: What ``head`` says of the object for as long as these bytes are there;
            ``None`` where the store does not say it in the same step.
    """

    version: str | None = None
    etag: str | None = None


class StagedFile(ABC):
    """A file on its way to a store: written, then committed or discarded.

    Until :meth:`commit` returns, whatever was at the location stays there.
    """

    @abstractmethod
    def write(self, data: bytes | memoryview) -> None:
        """Append ``data``. The caller may reuse a buffer once this returns."""

    @abstractmethod
    def commit(self) -> CommittedFile:
        """Make the file visible in one step, and return what the store calls it.

        Raises:
            FileExistsError: it was staged ``if_absent`` and something is there.
        """

    @abstractmethod
    def discard(self) -> None:
        """Forget the bytes; nothing of them stays in the store. Does nothing twice."""


class SpooledStagedFile(StagedFile):
    """Staging for any fsspec filesystem: a local temporary file, copied on commit.

    What a reader sees during the copy is up to the filesystem, and ``if_absent``
    is a look before the leap: fsspec offers no more in general.
    """

    def __init__(self, filesystem: AbstractFileSystem, key: str, *, if_absent: bool) -> None:
        self._filesystem = filesystem
        self._key = key
        self._if_absent = if_absent
        self._spool = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 - closed by commit and discard

    def write(self, data: bytes | memoryview) -> None:
        self._spool.write(data)

    def commit(self) -> CommittedFile:
        if self._if_absent and self._filesystem.exists(self._key):
            raise FileExistsError(self._key)
        self._spool.seek(0)
        with self._filesystem.open(self._key, "wb") as target:
            shutil.copyfileobj(self._spool, target, _SPOOL_BYTES)
        self._spool.close()
        return CommittedFile()

    def discard(self) -> None:
        self._spool.close()
