"""Uploads that are under way, written down on this machine.

A process that is killed takes with it what the store calls its unfinished upload. Here
the next process finds it, goes on with it, or ends it.

An entry is a file in the folder ``uploads`` of the cache's folder. Who sends the upload
keeps it locked (flock(2)), which the system ends with the process: an entry that can be
locked is a dead process'. No process can be mistaken for it, and none that lives is
disturbed. Where files cannot be locked or written, nothing is written down, and nothing
is gone on with. Entries may hold what only this user may know (the URI of a resumable
upload is all that it takes to write to it), so nobody else may read them.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from remote_models._cache_settings import CacheSettings
from remote_models._fields import object_field, size_field, text_field, texts_field
from remote_models._file_lock import Lock, safe_open, try_lock
from remote_models._private_folder import FOLDER_MODE, is_folder, make_folder, what_is_wrong_with
from remote_models._strict_json import parse_json
from remote_models.errors import ManifestError

__all__ = ["JournalEntry", "UploadJournal", "UploadRecord", "now_ms"]

_LOG = logging.getLogger(__name__)

_CACHE = "REMOTE_MODELS_CACHE"

_FOLDER = "uploads"

_SUFFIX = ".upload"

_COMING = ".coming"

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
"""One for all containers of a machine (random(4)), which flock(2) works between as well."""

_MAX_RECORD = 1024 * 1024

_MAX_AGE_MS = 12 * 3600 * 1000
"""Half of the age from which unfinished uploads are swept up, counted from their beginning."""


def _boot_id() -> str:
    try:
        return Path(_BOOT_ID).read_text(encoding="ascii").strip()
    except (OSError, UnicodeError):
        return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadRecord:
    """What is known of an upload that is under way.

    Attributes:
        url: Where it goes, without storage options.
        size: The object's bytes.
        part_size: Bytes of all parts but the last.
        client: Which client has begun it.
        upload: What the store calls it; ``""`` where the client does not tell.
        begun_after: No later than this the store began it, by this machine's clock, …
        begun_before: … and no earlier than this. Milliseconds since 1970.
        writer: Who says to have written the object, which the store was told then.
        terms: On what conditions it was begun.
        host: The machine's name.
        boot: The name of the time since it was started; ``""`` where nothing tells.
    """

    url: str
    size: int
    part_size: int
    client: str
    upload: str = ""
    begun_after: int
    begun_before: int
    writer: str
    terms: Mapping[str, str] = field(default_factory=dict)
    host: str = field(default_factory=socket.gethostname)
    boot: str = field(default_factory=_boot_id)

    @classmethod
    def from_json(cls, value: object) -> UploadRecord:
        """Read a record; the inverse of :meth:`to_json`.

        Raises:
            ManifestError: it is malformed.
        """
        fields = object_field(value, "upload record")
        numbers = ("size", "part_size", "begun_after", "begun_before")
        texts = ("url", "client", "upload", "writer", "host", "boot")
        return cls(
            **{name: size_field(fields.get(name), name) for name in numbers},  # type: ignore[arg-type]
            **{name: text_field(fields.get(name), name) for name in texts},  # type: ignore[arg-type]
            terms=texts_field(fields.get("terms"), "terms"),
        )

    def to_json(self) -> dict[str, object]:
        """Return the record as a JSON object."""
        return asdict(self)

    @property
    def is_recent(self) -> bool:
        """Whether it is young enough to be gone on with."""
        return 0 <= now_ms() - self.begun_after < _MAX_AGE_MS

    @property
    def is_of_this_machine(self) -> bool:
        """Whether locks here tell if its owner lives: the same kernel, or one that is gone."""
        return (self.boot != "" and self.boot == _boot_id()) or self.host == socket.gethostname()


def now_ms() -> int:
    """Return the time, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class JournalEntry:
    """An entry that this process has locked: its own, or one that it has taken over."""

    def __init__(self, path: Path, descriptor: int, record: UploadRecord, head: int) -> None:
        self._path = path
        self._head = head  # bytes before the first digest
        self._descriptor = descriptor
        self.record = record
        self.digests: list[str] = []

    def set_digest(self, number: int, digest: str) -> None:
        """Write down the SHA-256 of a part, before it is sent; a failure is no error.

        What is written down of later parts is forgotten.
        """
        self.digests[number:] = [digest]
        with suppress(OSError):
            os.ftruncate(self._descriptor, self._head + number * (len(digest) + 1))
            os.write(self._descriptor, f"{digest}\n".encode())

    def remove(self) -> None:
        """Delete the entry: its upload has ended."""
        with suppress(OSError):
            os.unlink(self._path)
        self.release()

    def release(self) -> None:
        """Leave the entry to whoever comes next. Does nothing twice."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


class UploadJournal:
    """The entries in one folder; without a folder there are none, and none are made."""

    def __init__(self, find_folder: Callable[[], Path | None] = lambda: None) -> None:
        self._find_folder = find_folder

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> UploadJournal:
        """Return the journal in the cache's folder, of which ``REMOTE_MODELS_CACHE`` decides."""
        chosen = {_CACHE: environ.get(_CACHE, "")}
        # Later: finding the folder takes 20 ms, which those who only read need not wait for.
        return cls(lambda: CacheSettings.from_environment(chosen).directory)

    @cached_property
    def _directory(self) -> Path | None:
        return self._find_folder()

    def begin(self, record: UploadRecord) -> JournalEntry | None:
        """Write down an upload that has begun; ``None`` where that is not possible."""
        try:
            folder = self._make()
            return None if folder is None else _write(folder, record)
        except (OSError, UnicodeError) as error:
            _LOG.debug("an upload is not written down in %s: %s", self._directory, error)
            return None

    def has(self, url: str) -> bool:
        """Whether anything is written down of uploads to ``url``, whoever sends them."""
        return bool(self._paths(_stem(url)))

    def of(self, url: str) -> list[JournalEntry]:
        """Take over what dead processes of this machine have left of uploads to ``url``.

        The caller ends each with ``remove`` or ``release``. The newest comes first.
        """
        found = [
            entry
            for path in self._paths(_stem(url))
            for entry in _take_over(path)
            if entry.record.url == url
        ]
        return sorted(found, key=lambda entry: -entry.record.begun_after)

    def abandoned(self) -> Iterator[JournalEntry]:
        """Take over all that dead processes of this machine have left, one after the other."""
        for path in self._paths(""):
            yield from _take_over(path)

    def _make(self) -> Path | None:
        if self._directory is None:
            return None
        self._directory.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        folder = self._directory / _FOLDER
        make_folder(folder)
        return None if what_is_wrong_with(folder) else folder

    def _paths(self, stem: str) -> list[Path]:
        if self._directory is None:
            return []
        folder = self._directory / _FOLDER
        try:
            if not is_folder(folder) or what_is_wrong_with(folder):
                return []
            names = os.listdir(folder)
        except OSError:
            return []
        return [
            folder / name
            for name in sorted(names)
            if name.startswith(stem) and name.endswith(_SUFFIX)
        ]


def _stem(url: str) -> str:
    return sha256(url.encode(errors="surrogatepass")).hexdigest()[:32]


def _write(folder: Path, record: UploadRecord) -> JournalEntry | None:
    path = folder / f"{_stem(record.url)}.{secrets.token_hex(6)}{_SUFFIX}"
    # Under another name until it is locked, or it would look like a dead process'.
    coming = path.with_suffix(_COMING)
    descriptor = safe_open(coming, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND)
    try:
        if try_lock(descriptor) is Lock.TAKEN:
            head = os.write(descriptor, json.dumps(record.to_json()).encode() + b"\n")
            os.rename(coming, path)
            return JournalEntry(path, descriptor, record, head)
    except BaseException:
        _drop(coming, descriptor)
        raise
    _drop(coming, descriptor)
    return None


def _take_over(path: Path) -> Iterator[JournalEntry]:
    """Yield the entry if its owner is dead; delete it if it is none."""
    try:
        descriptor = safe_open(path, os.O_RDWR | os.O_APPEND)
    except OSError:
        return
    entry = None
    try:
        # Who held the lock before may have deleted the name.
        if try_lock(descriptor) is Lock.TAKEN and os.fstat(descriptor).st_nlink:
            entry = _read(path, descriptor)
    except OSError as error:
        _LOG.debug("%s cannot be read: %s", path, error)
    if entry is None:
        os.close(descriptor)
    else:
        yield entry


def _read(path: Path, descriptor: int) -> JournalEntry | None:
    head, _, lines = os.read(descriptor, _MAX_RECORD).partition(b"\n")
    try:
        record = UploadRecord.from_json(parse_json(head))
    except ManifestError:
        os.unlink(path)
        return None
    if not record.is_of_this_machine:
        return None
    entry = JournalEntry(path, descriptor, record, len(head) + 1)
    # The last line may be half of one.
    entry.digests = lines.decode(errors="replace").split("\n")[:-1]
    return entry


def _drop(path: Path, descriptor: int) -> None:
    with suppress(OSError):
        os.unlink(path)
    os.close(descriptor)
