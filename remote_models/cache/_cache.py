"""The cache: what loads take files from and leave them in, and what keeps it small."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path

from remote_models._cache_settings import CacheSettings
from remote_models._file_lock import hold
from remote_models.cache._entries import CacheEntry, Entries
from remote_models.cache._room import Disk, least_recently_used, make_room

__all__ = ["Cache", "NoCache", "open_cache"]

_LOG = logging.getLogger(__name__)

_SLOWEST = 1000**2
"""Bytes per second of a download that is still worth waiting for, and not starting again."""

_PATIENCE = 30.0
"""Seconds to wait for even the smallest file, with which a process may have stopped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NoCache:
    """That there is no cache, and why.

    Attributes:
        directory: Where it would be, if that can be said.
        reason: What is in the way.
    """

    directory: Path | None
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Cache:
    """Files by digest in a folder of this machine. Its methods never make a load fail.

    Several processes and threads may use one folder at once. Entries are only ever made
    and deleted whole; a process that is killed leaves at most files that nobody reads and
    that go with the next use.

    Attributes:
        entries: The files.
        max_size: Bytes of all entries together. Room is made before files come, so only
            processes that download at the same moment can go beyond it together.
        is_kept: Whether what is downloaded stays in the cache.
    """

    entries: Entries
    max_size: int
    is_kept: bool = True

    @property
    def directory(self) -> Path:
        """The folder that holds all of it."""
        return self.entries.directory

    @property
    def size(self) -> int:
        """The bytes of all entries together."""
        return sum(entry.size for entry in self.entries)

    def reading_only(self) -> Cache:
        """Return the same cache for somebody who leaves nothing in it."""
        return replace(self, is_kept=False)

    def prepare(self, files: Sequence[tuple[str, int]], copies: Path) -> Cache:
        """Make room for files, and return the cache to use for them.

        Files that do not all fit are not kept at all: one would push out the other, and
        the next load would find none.

        Args:
            files: Digest and size of every file that is about to be copied.
            copies: The folder that they are copied to.
        """
        try:
            return self._prepare(files, copies)
        except OSError as error:
            _LOG.debug("no room is made in %s: %s", self.directory, error)
            return self.reading_only()

    def open(self, sha256: str, size: int) -> FileIO | None:
        """Open the file with this digest, or return ``None``. Compare its bytes while you read."""
        file = self.entries.open(sha256, size)
        if file is not None:
            self.entries.touch(sha256)
        return file

    def add(self, sha256: str, source: Path) -> None:
        """Keep a copy of ``source``, whose bytes have this digest, if that is possible."""
        if self.is_kept:
            try:
                self.entries.add(sha256, source)
            except OSError as error:
                _LOG.debug("%s is not kept in %s: %s", sha256, self.directory, error)

    def discard(self, sha256: str) -> None:
        """Delete an entry whose bytes are not what its name says."""
        _LOG.warning("a damaged file was removed from the cache %s: %s", self.directory, sha256)
        self.entries.remove(sha256)

    @contextmanager
    def turn(self, sha256: str, size: int) -> Iterator[None]:
        """Let one process at a time run a block for the file with this digest.

        Waits no longer than a download may reasonably take, and not at all where
        nothing is kept or nothing can be locked.
        """
        path = self._lock_path(sha256) if self.is_kept else None
        if path is None:
            yield
            return
        with hold(path, _PATIENCE + size / _SLOWEST):
            yield

    def prune(self, max_size: int, *, dry_run: bool = False) -> Sequence[CacheEntry]:
        """Delete what was not used for longest until ``max_size`` bytes are left.

        What killed processes have left behind goes as well. A model that was loaded
        does not need its entries any more, so nothing that is in use is lost.

        Returns:
            The entries that went, or would go.
        """
        entries = list(self.entries)
        held = sum(entry.size for entry in entries)
        # To leave nothing is to leave no empty file either.
        removed = least_recently_used(entries, held - max_size if max_size else held + 1)
        if not dry_run:
            self.entries.remove_leftovers()
            self._remove(removed)
        return removed

    def verify(self) -> Sequence[CacheEntry]:
        """Read every entry, delete those that are damaged, and return these."""
        damaged = [entry for entry in self.entries if not self._is_whole(entry)]
        for entry in damaged:
            self.discard(entry.sha256)
        return damaged

    def _prepare(self, files: Sequence[tuple[str, int]], copies: Path) -> Cache:
        # Two files with the same bytes are one entry and two copies.
        missing = {each: n for each, n in files if not self.entries.has(each, n)}
        disk, copied = _disk(self.directory), sum(n for _, n in files)
        if os.stat(copies).st_dev != os.stat(self.directory).st_dev:
            copied = 0  # the copy takes its room elsewhere
        if not missing and copied <= disk.free:
            return self
        self.entries.remove_leftovers()
        room = make_room(
            self.entries,
            coming=sum(missing.values()) if self.is_kept else 0,
            copied=copied,
            wanted={each for each, _ in files},
            max_size=self.max_size,
            disk=disk,
        )
        self._remove(room.removed)
        return self if room.is_enough else self.reading_only()

    def _remove(self, entries: Sequence[CacheEntry]) -> None:
        for entry in entries:
            self.entries.remove(entry.sha256)

    def _lock_path(self, sha256: str) -> Path | None:
        try:
            return self.entries.lock_path(sha256)
        except OSError:
            return None

    def _is_whole(self, entry: CacheEntry) -> bool:
        file = self.entries.open(entry.sha256, entry.size)
        if file is None:  # deleted meanwhile
            return True
        with file:
            try:
                return hashlib.file_digest(file, "sha256").hexdigest() == entry.sha256
            except OSError:  # the disk cannot read it
                return False


def open_cache(settings: CacheSettings) -> Cache | NoCache:
    """Return the cache that the settings describe, or why there is none; makes its folders."""
    if settings.directory is None:
        return NoCache(directory=None, reason=settings.reason)
    entries = Entries(settings.directory)
    try:
        reason = _foreign_home(settings) or entries.make()
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    if reason:
        return NoCache(directory=settings.directory, reason=reason)
    return Cache(entries=entries, max_size=settings.max_size)


def _foreign_home(settings: CacheSettings) -> str:
    """Return why the folder should not be made: root would make it in somebody's home.

    Under ``sudo`` the home directory may still be that of the user, who could no longer
    make a cache of their own in it.
    """
    if sys.platform == "win32" or not settings.is_default or settings.directory is None:
        return ""
    nearest = settings.directory
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if os.geteuid() == 0 and nearest.stat().st_uid != 0:
        return f"{nearest} belongs to another user"
    return ""


def _disk(folder: Path) -> Disk:
    usage = shutil.disk_usage(folder)
    return Disk(free=usage.free, total=usage.total)
