"""The cache's folder: ``sha256/ab/abcdef…``, one file for each digest."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from remote_models._file_lock import remove_abandoned, safe_open, try_lock
from remote_models._private_folder import FOLDER_MODE, is_folder, make_folder, what_is_wrong_with

__all__ = ["CacheEntry", "Entries"]

_NAME = re.compile(r"[0-9a-f]{64}")

_LEFTOVER = re.compile(r"\.[0-9a-f]{64}\.(lock|[0-9a-f]+\.part)")

_CHUNK = 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheEntry:
    """A file in the cache.

    Attributes:
        sha256: What its bytes should have, in hexadecimal digits.
        size: Its length in bytes.
        last_used: When it was written or last read, in seconds since 1970.
    """

    sha256: str
    size: int
    last_used: float


class Entries:
    """Files by digest below one folder. No link is followed, and none is written through."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._root = directory / "sha256"

    def make(self) -> str:
        """Make the folders where they are missing, and return why they are no good, or ``""``.

        Raises:
            OSError: they cannot be made.
        """
        self.directory.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        make_folder(self._root)
        return what_is_wrong_with(self._root)

    def lock_path(self, sha256: str) -> Path:
        """Return the name of the file whose lock says that somebody downloads an entry.

        Raises:
            OSError: its folder cannot be made.
        """
        return self._shelf(sha256) / f".{sha256}.lock"

    def open(self, sha256: str, size: int) -> FileIO | None:
        """Open an entry; ``None`` if there is none of this size.

        What has its name and is something else is deleted.
        """
        path = self._path(sha256)
        try:
            if not is_folder(path.parent):
                return None
            descriptor = safe_open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        except OSError:  # a link, or nothing that may be read
            self.remove(sha256)
            return None
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode) or info.st_size != size:
            os.close(descriptor)
            self.remove(sha256)
            return None
        return open(descriptor, "rb", buffering=0)

    def has(self, sha256: str, size: int) -> bool:
        """Say whether there is an entry of this size; its bytes are not looked at."""
        path = self._path(sha256)
        try:
            info = os.lstat(path)
            return is_folder(path.parent) and stat.S_ISREG(info.st_mode) and info.st_size == size
        except OSError:
            return False

    def touch(self, sha256: str) -> None:
        """Write down that an entry is used now, if that is possible."""
        with suppress(OSError, NotImplementedError):
            os.utime(self._path(sha256), follow_symlinks=False)

    def add(self, sha256: str, source: Path) -> None:
        """Make an entry out of a copy of ``source``: all of it in one step, or nothing.

        Raises:
            OSError: it cannot be written.
        """
        staging = self._shelf(sha256) / f".{sha256}.{secrets.token_hex(6)}.part"
        descriptor = safe_open(staging, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            with open(descriptor, "wb", buffering=0) as target, open(source, "rb") as file:
                try_lock(descriptor)  # tells those who tidy up that somebody is at work here
                shutil.copyfileobj(file, target, _CHUNK)
                os.replace(staging, self._path(sha256))
        except BaseException:
            with suppress(OSError):
                os.unlink(staging)
            raise

    def remove(self, sha256: str) -> None:
        """Delete an entry, if it is there and may be deleted."""
        path = self._path(sha256)
        with suppress(OSError):
            if is_folder(path.parent):
                os.unlink(path)

    def remove_leftovers(self) -> int:
        """Delete what processes that were killed have left behind, and return how many files."""
        leftovers = (each for each in self._files() if _LEFTOVER.fullmatch(each.name))
        return sum(remove_abandoned(Path(each.path)) for each in leftovers)

    def __iter__(self) -> Iterator[CacheEntry]:
        """Every entry, in no order."""
        for each in self._files():
            if _NAME.fullmatch(each.name) and each.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):  # deleted meanwhile
                    info = each.stat(follow_symlinks=False)
                    yield CacheEntry(sha256=each.name, size=info.st_size, last_used=info.st_mtime)

    def _files(self) -> Iterator[os.DirEntry[str]]:
        with suppress(FileNotFoundError), os.scandir(self._root) as shelves:
            for shelf in shelves:
                if shelf.is_dir(follow_symlinks=False):
                    with suppress(FileNotFoundError), os.scandir(shelf.path) as files:
                        yield from files

    def _path(self, sha256: str) -> Path:
        return self._root / sha256[:2] / sha256

    def _shelf(self, sha256: str) -> Path:
        """Make the folder for an entry and return it."""
        folder = self._path(sha256).parent
        make_folder(folder)
        return folder
