"""The local file system: temporary file, fsync, rename or link."""

from __future__ import annotations

import errno
import mmap
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import BufferedReader
from typing import ClassVar

from remote_models.storage._errors import missing_parent, replaced, translate
from remote_models.storage._location import Location
from remote_models.storage._staging import CommittedFile, StagedFile, refused
from remote_models.storage._store import Buffer, ObjectInfo, Store, absence_as_such, check_size

__all__ = ["LocalStagedFile", "LocalStore"]

_STAGING_SUFFIX = ".remote-models-staging"

_STAGING_NAME = re.compile(rf"\.(.*)\.[0-9a-f]{{12}}{re.escape(_STAGING_SUFFIX)}", re.DOTALL)

_READ_ONLY = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)  # opening a FIFO would wait for its other end
    | getattr(os, "O_BINARY", 0)
)

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
"""What ``link`` says on file systems without hard links (FAT, some FUSE mounts)."""


class LocalStore(Store):
    """Files of this machine.

    A file is written beside its place and flushed to the disk, then renamed over
    it, or linked there when nothing may be replaced: both are one step for every
    reader (rename(2), link(2)). A file that may only replace a certain other one is
    compared with it under a lock on the folder (flock(2)), which all such writers take.
    """

    may_lose_answers: ClassVar[bool] = False

    def head(self, location: Location, *, version: str | None = None) -> ObjectInfo:
        with self.errors(location), absence_as_such():
            if os.path.isdir(location.path):
                raise IsADirectoryError(location.path)
            status = os.stat(location.path)
            _refuse_special(status.st_mode)
            return _describe(status)

    def map(self, location: Location) -> memoryview | None:
        with self.errors(location), absence_as_such(), _open(location.path) as file:
            if not os.fstat(file.fileno()).st_size:
                return memoryview(b"")
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))

    def list(self, location: Location) -> Mapping[str, ObjectInfo]:
        found: dict[str, ObjectInfo] = {}
        with self.errors(location):
            for folder, folders, names in os.walk(location.path, onerror=_raise_unless_absent):
                links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
                if links:
                    # Following could lead anywhere, round in circles too; leaving it
                    # out would make half a model look whole.
                    raise OSError(f"{links[0]!r} is a link to a folder, which is not followed")
                for name in names:
                    path = os.path.join(folder, name)
                    status = None if name.endswith(_STAGING_SUFFIX) else _status(path)
                    if status is not None:
                        relative = os.path.relpath(path, location.path).replace(os.sep, "/")
                        _refuse_special(status.st_mode)
                        found[relative] = _describe(status)
        return found

    def list_names(self, folder: Location, prefix: str) -> Mapping[str, ObjectInfo]:
        with self.errors(folder):
            try:
                names = os.listdir(folder.path)
            except FileNotFoundError:
                return {}
            looks = {
                name: _status(os.path.join(folder.path, name))
                for name in names
                if name.startswith(prefix) and not name.endswith(_STAGING_SUFFIX)
            }
            return {
                name: _describe(status)
                for name, status in looks.items()
                if status is not None and stat.S_ISREG(status.st_mode)
            }

    def delete(self, location: Location) -> None:
        with self.errors(location):
            try:
                os.unlink(location.path)
            except FileNotFoundError:
                return

    def stage(
        self,
        location: Location,
        size: int,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> StagedFile:
        return LocalStagedFile(location.path, if_absent=if_absent, if_match=if_match)

    def staging_files(self, location: Location) -> Mapping[Location, ObjectInfo]:
        with self.errors(location):
            parent = location.parent
            beside = os.listdir(parent.path) if os.path.isdir(parent.path) else []
            places = [parent.join(name) for name in _staging_names(beside, location.name)]
            for folder, _, names in os.walk(location.path, onerror=_raise_unless_absent):
                inside = os.path.relpath(folder, location.path).replace(os.sep, "/")
                around = location if inside == "." else location.join(inside)
                places += [around.join(name) for name in _staging_names(names)]
            return {place: _describe(os.lstat(place.path)) for place in places if _is_file(place)}

    def make_directory(self, location: Location) -> bool:
        with self.errors(location):
            try:
                os.mkdir(location.path)
            except FileExistsError as error:
                if not os.path.isdir(location.path):
                    raise NotADirectoryError(
                        errno.ENOTDIR, "a file is in the way", location.path
                    ) from error
                return False
            _flush_directory(os.path.dirname(location.path))
        return True

    def remove_directory(self, location: Location) -> None:
        with self.errors(location):
            try:
                os.rmdir(location.path)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                    raise

    def _read(self, key: str, start: int, stop: int, version: str | None) -> bytes:
        with _open(key) as file:
            file.seek(start)
            return file.read(stop - start)

    def _read_whole(self, location: Location, limit: int) -> tuple[Buffer, ObjectInfo]:
        with _open(location.path) as file:
            info = _describe(os.fstat(file.fileno()))
            check_size(location, info.size, limit)
            return file.read(), info

    def _read_pinned(
        self, location: Location, start: int, stop: int, version: str | None, etag: str
    ) -> bytes:
        with _open(location.path) as file:
            file.seek(start)
            data = file.read(stop - start)
            # Of this very file, whatever the name leads to by now; and after the read.
            if _etag(os.fstat(file.fileno())) != etag:
                raise replaced(location)
        return data

    def _key(self, location: Location) -> str:
        return location.path

    def _translate(self, error: Exception, location: Location) -> Exception | None:
        if isinstance(error, FileNotFoundError) and not os.path.isdir(location.parent.path):
            return missing_parent(location)
        return translate(error, location)


class LocalStagedFile(StagedFile):
    """A temporary file beside the place where it will appear."""

    def __init__(self, path: str, *, if_absent: bool, if_match: str | None = None) -> None:
        self._path = path
        self._if_absent = if_absent
        self._if_match = if_match
        self._folder, name = os.path.split(path)
        self._staging = os.path.join(
            self._folder, f".{_shortened(name)}.{secrets.token_hex(6)}{_STAGING_SUFFIX}"
        )
        self._file = open(self._staging, "xb")  # noqa: SIM115 - closed by commit and discard

    def write(self, data: bytes | memoryview) -> None:
        self._file.write(data)

    def commit(self) -> CommittedFile:
        self._file.flush()
        os.fsync(self._file.fileno())
        if os.path.isdir(self._path):
            raise IsADirectoryError(self._path)
        if self._if_absent:
            self._create_exclusively()
        elif self._if_match is None:
            os.replace(self._staging, self._path)
        else:
            self._replace(self._if_match)
        # Of this very file, and now: renaming and linking change its times.
        etag = _etag(os.fstat(self._file.fileno()))
        self._file.close()
        _flush_directory(self._folder)
        # A disk may lose bits, of which its times say nothing.
        return CommittedFile(etag=etag, notices_damage=False)

    def discard(self) -> None:
        with suppress(OSError):  # closing flushes, which a full disk refuses once more
            self._file.close()
        with suppress(FileNotFoundError):
            os.unlink(self._staging)

    def _create_exclusively(self) -> None:
        try:
            os.link(self._staging, self._path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # Claim the name first: O_EXCL lets one of several writers through.
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            os.replace(self._staging, self._path)
            return
        os.unlink(self._staging)

    def _replace(self, etag: str) -> None:
        """Put the file into the place of another one, if that is still there."""
        with _locked(self._folder):
            try:
                found = _etag(os.stat(self._path))
            except FileNotFoundError:
                found = None
            if found != etag:
                raise refused(self._path)
            os.replace(self._staging, self._path)


@contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Keep others out who ask for the same folder, where the system has such locks.

    The lock is the kernel's own, on the open folder: no file is left behind, and it goes
    with a process that is killed.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems lock nothing, or no folders
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _status(path: str) -> os.stat_result | None:
    """Return what is at a path that was listed just now; a link may lead nowhere."""
    for look in (os.stat, os.lstat):
        try:
            return look(path)
        except FileNotFoundError:
            continue
    return None  # gone between the listing and the look at it


def _staging_names(names: Iterable[str], wanted: str | None = None) -> list[str]:
    """Return those that are of staging files, for a file of this name or its manifest."""
    matches = ((name, _STAGING_NAME.fullmatch(name)) for name in names)
    manifest = None if wanted is None else f"{wanted}.manifest.json"
    allowed = {_shortened(name) for name in (wanted, manifest) if name is not None}
    return [name for name, match in matches if match and (not allowed or match[1] in allowed)]


def _is_file(location: Location) -> bool:
    return os.path.isfile(location.path) and not os.path.islink(location.path)


def _shortened(name: str) -> str:
    """Return the start of a name: file systems limit one to 255 bytes."""
    return os.fsencode(name)[:100].decode(errors="ignore")


def _open(path: str) -> BufferedReader:
    """Open a file for reading, and nothing else.

    Opening a FIFO waits for whoever writes into it, and a device never ends (CWE-400).
    """
    descriptor = os.open(path, _READ_ONLY)
    file = open(descriptor, "rb")  # noqa: SIM115 - the caller closes it
    try:
        _refuse_special(os.fstat(file.fileno()).st_mode)
    except OSError:
        file.close()
        raise
    return file


def _refuse_special(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
        raise OSError("a FIFO, socket or device, and no file")


def _describe(status: os.stat_result) -> ObjectInfo:
    modified = datetime.fromtimestamp(status.st_mtime, UTC)
    return ObjectInfo(size=status.st_size, etag=_etag(status), modified=modified)


def _etag(status: os.stat_result) -> str:
    """Name the bytes of a file.

    A new file over an old one has another inode, and writing into a file changes both
    times. The second cannot be set (utime(2)), so that a file which was damaged and
    given its old time back is seen. Within one tick of the system's clock, some
    milliseconds before Linux 6.13, bytes written in place go unseen.
    """
    times = f"{status.st_mtime_ns:x}-{status.st_ctime_ns:x}"
    return f"{status.st_ino:x}-{times}-{status.st_size:x}"


def _raise_unless_absent(error: OSError) -> None:
    # Left alone, os.walk passes over a folder that it may not read.
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error


def _flush_directory(folder: str) -> None:
    """Make a rename durable: without this it may be lost with the power (fsync(2))."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
