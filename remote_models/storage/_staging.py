"""Staged files: bytes that have travelled and that nobody can see yet."""

from __future__ import annotations

import errno
import secrets
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from fsspec import AbstractFileSystem

__all__ = [
    "WRITER",
    "CommittedFile",
    "SpooledStagedFile",
    "StagedFile",
    "StaleUploadError",
    "new_writer",
    "refused",
]

WRITER = "remote-models-writer"
"""Under which name stores keep the writer of an object, among the object's metadata."""

_SPOOL_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class CommittedFile:
    """What a store says of the bytes that it has just made visible.

    Attributes:
        version: The store's name for these bytes, where it keeps versions.
        etag: What ``head`` says of the object for as long as these bytes are there;
            ``None`` where the store does not say it in the same step.
        notices_damage: Whether the etag is another one when the bytes are damaged where
            they lie, so that it may vouch for them.
    """

    version: str | None = None
    etag: str | None = None
    notices_damage: bool = True


def new_writer() -> str:
    """Return a random name for whoever writes one object once."""
    return secrets.token_hex(16)


def refused(key: str) -> FileExistsError:
    """Return the error for a condition that does not hold, which ``translate`` knows."""
    return FileExistsError(errno.EEXIST, "not on this condition", key)


class StagedFile(ABC):
    """A file on its way to a store: written, then committed or discarded.

    Until :meth:`commit` returns, whatever was at the location stays there.

    Attributes:
        writer: What ``head`` names as the writer of the object once this is committed, and
            of no other; ``None`` where the store keeps no such name.
    """

    writer: str | None = None

    @abstractmethod
    def write(self, data: bytes | memoryview) -> None:
        """Append ``data``. The caller may reuse a buffer once this returns."""

    @abstractmethod
    def commit(self) -> CommittedFile:
        """Make the file visible in one step, and return what the store calls it.

        Raises:
            FileExistsError: it was staged on a condition that does not hold.
        """

    @abstractmethod
    def discard(self) -> None:
        """Forget the bytes; nothing of them stays in the store. Does nothing twice."""


class StaleUploadError(Exception):
    """What a killed process has sent of a file are other bytes than those that come now.

    Raised by ``write``: whoever stages the file discards it and begins again. Nobody else
    sees it.
    """


class SpooledStagedFile(StagedFile):
    """Staging for any fsspec filesystem: a local temporary file, copied on commit.

    What a reader sees during the copy is up to the filesystem, and a condition
    is a look before the leap: fsspec offers no more in general.
    """

    def __init__(
        self, filesystem: AbstractFileSystem, key: str, *, may_write: Callable[[], bool]
    ) -> None:
        self._filesystem = filesystem
        self._key = key
        self._may_write = may_write
        self._spool = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115 - closed by commit and discard

    def write(self, data: bytes | memoryview) -> None:
        self._spool.write(data)

    def commit(self) -> CommittedFile:
        if not self._may_write():
            raise refused(self._key)
        self._spool.seek(0)
        with self._filesystem.open(self._key, "wb") as target:
            shutil.copyfileobj(self._spool, target, _SPOOL_BYTES)
        self._spool.close()
        return CommittedFile()

    def discard(self) -> None:
        self._spool.close()
