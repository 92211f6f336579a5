"""The port: what the rest of the library asks of a store, over any fsspec filesystem."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

from fsspec import AbstractFileSystem

from remote_models.errors import IntegrityError, ModelNotFoundError, RemoteModelsError
from remote_models.storage._errors import replaced, translate
from remote_models.storage._hedge import Hedge
from remote_models.storage._location import Location
from remote_models.storage._secrets import quotes_secret
from remote_models.storage._settings import TransferSettings
from remote_models.storage._staging import SpooledStagedFile, StagedFile
from remote_models.storage._stored_range import StoredRange
from remote_models.storage._upload_journal import UploadJournal
from remote_models.storage._uploads import UnfinishedUpload

__all__ = [
    "Buffer",
    "ObjectInfo",
    "Store",
    "absence_as_such",
    "check_size",
    "is_folder_mark",
    "modified_of",
]

Buffer = bytes | memoryview
"""What a read returns; a view only where that saves a copy."""

_ETAGS = ("ETag", "etag", "e_tag", "md5", "Content-MD5", "Digest", "generation")
"""Under which names filesystems of fsspec give what changes with an object's bytes."""

_TIMES = ("mtime", "LastModified", "last_modified", "Last-Modified", "modified")
"""What is left without: the second in which an object was written, or a part of it."""

_LOOKS = 10
"""How often a small object is read that is replaced again and again meanwhile."""


@contextmanager
def absence_as_such() -> Iterator[None]:
    """To a reader, a folder at the place of a file or the reverse means: no such file."""
    try:
        yield
    except (IsADirectoryError, NotADirectoryError) as error:
        raise FileNotFoundError(errno.ENOENT, "no such file") from error


def check_size(location: Location, size: int, limit: int) -> None:
    """Refuse an object that is too large to be read at once."""
    if size > limit:
        raise IntegrityError(
            "too large",
            where=str(location),
            expected=f"at most {limit} bytes",
            found=f"{size} bytes",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectInfo:
    """What a store says of one object.

    Attributes:
        size: Its length in bytes.
        version: The store's name for these bytes, where it keeps versions; a listing
            does not tell it.
        etag: Some text that is another one when other bytes are put into their place;
            ``None`` where the store has nothing of the kind.
        writer: Who wrote it (see :class:`StagedFile`), where that is known; a listing
            does not tell it.
        modified: When it was written, or, of some objects of S3, when their upload was
            begun; a listing tells it. Of no meaning for whether two objects are the same.
    """

    size: int
    version: str | None = None
    etag: str | None = None
    writer: str | None = None
    modified: datetime | None = field(default=None, compare=False)


class Store:
    """A store reached through an fsspec filesystem.

    Every method translates what the filesystem raises into errors of
    :mod:`remote_models.errors` that name the location. Methods may be called
    from several threads at once.

    Attributes:
        credential_errors: What making the filesystem raises when credentials are no good.
        may_lose_answers: Whether a commit may have happened although it failed.
        refuses: Whether the store was seen to keep a condition; ``None`` as long as it was
            not tried.
        transfer: How much a transfer to or from this store may take.
        hedge: Asks a second time for what is late; nobody does for what is near.
        journal: Where uploads are written down, for the process that follows a killed one.
    """

    credential_errors: ClassVar[tuple[type[Exception], ...]] = ()

    may_lose_answers: ClassVar[bool] = True

    transfer = TransferSettings()

    refuses: bool | None = None

    hedge: Hedge | None = None

    journal = UploadJournal()

    def __init__(self, filesystem: AbstractFileSystem) -> None:
        self._filesystem = filesystem

    @classmethod
    def complete_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the caller's options of the filesystem, with what we add where it says nothing."""
        return dict(options)

    def head(self, location: Location, *, version: str | None = None) -> ObjectInfo:
        """Return the size of the object at ``location``, or of a version of it.

        Raises:
            ModelNotFoundError: nothing, or only a folder, is there.
        """
        with self.errors(location), absence_as_such():
            info = self._filesystem.info(self._key(location))
            if info["type"] != "file":
                raise FileNotFoundError(location.path)
            return self._describe(info)

    def read(
        self,
        location: Location,
        start: int,
        stop: int,
        *,
        version: str | None = None,
        etag: str | None = None,
    ) -> Buffer:
        """Read bytes ``start`` to ``stop`` (not included) in one request.

        Returns fewer bytes where the object ends earlier, none where it ends
        before ``start``. ``version`` asks for those bytes that the store once
        named so; a store without versions ignores it. With ``etag``, bytes of
        another object than the one of which ``head`` said it are refused.

        Raises:
            ModelNotFoundError: nothing is there.
            IntegrityError: ``etag`` is that of an object which has been replaced.
        """
        if start >= stop:
            return b""
        with self.errors(location), absence_as_such():
            if etag is None:
                return self._read(self._key(location), start, stop, version)
            return self._read_pinned(location, start, stop, version, etag)

    def read_whole(self, location: Location, *, limit: int) -> tuple[Buffer, ObjectInfo]:
        """Return an object and what the store says of it, both of the same moment.

        Raises:
            ModelNotFoundError: nothing is there.
            IntegrityError: it has more than ``limit`` bytes, or is replaced all the time.
        """
        with self.errors(location), absence_as_such():
            return self._read_whole(location, limit)

    def map(self, location: Location) -> memoryview | None:
        """Return a file mapped into memory, private to this process, or ``None``.

        Only files of this machine can be mapped. Pages are read when they are looked
        at; what is written to them stays in this process.
        """
        return None

    def list(self, location: Location) -> Mapping[str, ObjectInfo]:
        """Return every object below ``location``, by its relative path.

        An absent folder is an empty one, as object stores have it.
        """
        root = self._key(location)
        with self.errors(location):
            try:
                found = self._filesystem.find(root, detail=True)
            except FileNotFoundError:
                return {}
        return {
            path[len(root) :].lstrip("/"): self._describe(info)
            for path, info in found.items()
            if path.startswith(f"{root.rstrip('/')}/") and info["type"] == "file"
        }

    def list_names(self, folder: Location, prefix: str) -> Mapping[str, ObjectInfo]:
        """Return the objects directly in ``folder`` whose name starts with ``prefix``."""
        with self.errors(folder):
            try:
                entries = self._filesystem.ls(self._key(folder), detail=True)
            except FileNotFoundError:
                return {}
        names = {entry["name"].rpartition("/")[2]: entry for entry in entries}
        return {
            name: self._describe(entry)
            for name, entry in names.items()
            if name.startswith(prefix) and entry["type"] == "file"
        }

    def delete(self, location: Location) -> None:
        """Delete one object; that it is gone already is no error."""
        with self.errors(location):
            try:
                self._filesystem.rm_file(self._key(location))
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
        """Begin to write an object of exactly ``size`` bytes that nobody can see yet.

        Nothing appears at ``location`` before ``commit``. With ``if_absent`` the
        store itself refuses the commit when something is there by then, with
        ``if_match`` when something else is there than the object that ``head`` gave this
        etag. The second is for small objects: large ones are not sent on it everywhere.
        """

        def may_write() -> bool:
            if not if_absent and if_match is None:
                return True
            try:
                found = self.head(location)
            except ModelNotFoundError:
                return if_absent
            return if_match is not None and found.etag == if_match

        return SpooledStagedFile(self._filesystem, self._key(location), may_write=may_write)

    @property
    def copies_ranges(self) -> bool:
        """Whether it copies ranges of one object into another by itself."""
        return False

    def stage_stored(
        self,
        location: Location,
        size: int,
        stored: Sequence[StoredRange],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> StagedFile:
        """Begin to write an object of which the store may hold some bytes already.

        All bytes are given to ``write`` all the same. Those which the store proves to hold
        it copies by itself, where it can copy a range of an object; the others travel.

        Args:
            location: As for :meth:`stage`, like all but the next one.
            size: The object's bytes.
            stored: Ranges of it that may be copied, none overlapping another, in order.
            if_absent: Whether nothing may be there.
            if_match: The etag of what must be there.
        """
        return self.stage(location, size, if_absent=if_absent, if_match=if_match)

    def resume(self, location: Location, size: int, client: str) -> StagedFile | None:
        """Go on with an upload that a dead process of this machine has begun through ``client``.

        ``None`` if there is none, or nothing can be gone on with here.
        """
        return None

    def staging_files(self, location: Location) -> Mapping[Location, ObjectInfo]:
        """Return temporary files for what was to appear at or below ``location``.

        Only a store whose files wait beside their places has any. Each belongs to a save
        that is under way, or was killed.
        """
        return {}

    def uploads(self, location: Location) -> Sequence[UnfinishedUpload]:
        """Return the uploads in parts that were begun at or below ``location``, by anybody.

        Only S3 lists them. Those of GCS end by themselves after a week ("Resumable
        uploads", section "Session URIs").

        Raises:
            MissingDependencyError: the store's client cannot list them.
        """
        return ()

    def upload_size(self, upload: UnfinishedUpload) -> int:
        """Return how many bytes of an upload the store has; 0 if it is gone."""
        return 0

    def abort(self, upload: UnfinishedUpload) -> None:
        """Drop an upload with all its bytes; that it is gone already is no error."""

    def make_directory(self, location: Location) -> bool:
        """Make a folder where the store has folders, and say whether it is new.

        Stores of objects have none: there this does nothing.
        """
        return False

    def remove_directory(self, location: Location) -> None:
        """Remove a folder if it is empty, where the store has folders."""

    @contextmanager
    def errors(self, location: Location) -> Iterator[None]:
        """Translate errors of the filesystem, naming ``location``."""
        try:
            yield
        except RemoteModelsError:
            raise
        except Exception as error:
            translated = self._translate(error, location)
            if translated is None:
                raise
            # A traceback prints the cause, and libraries quote URLs with their signatures.
            raise translated from (None if quotes_secret(error, location) else error)

    def _key(self, location: Location) -> str:
        key: str = self._filesystem._strip_protocol(location.url)
        return key

    def _read(self, key: str, start: int, stop: int, version: str | None) -> Buffer:
        data: bytes = self._filesystem.cat_file(key, start=start, end=stop)
        return data

    def _read_pinned(
        self, location: Location, start: int, stop: int, version: str | None, etag: str
    ) -> Buffer:
        """Read bytes of the object that ``etag`` names, or raise an IntegrityError.

        A look after the read is enough: no etag comes back once it has gone.
        """
        data = self._read(self._key(location), start, stop, version)
        if self.head(location, version=version).etag != etag:
            raise replaced(location)
        return data

    def _read_whole(self, location: Location, limit: int) -> tuple[Buffer, ObjectInfo]:
        for attempt in range(1, _LOOKS + 1):
            info = self.head(location)
            check_size(location, info.size, limit)
            try:
                data = self.read(location, 0, info.size, etag=info.etag)
            except IntegrityError:  # replaced between the two
                if attempt == _LOOKS:
                    raise
            else:
                return data, info
        raise AssertionError("unreachable")

    def _describe(self, info: Mapping[str, Any]) -> ObjectInfo:
        """Take what the filesystem says of a file."""
        return ObjectInfo(size=int(info["size"]), etag=_etag(info), modified=modified_of(info))

    def _translate(self, error: Exception, location: Location) -> Exception | None:
        return translate(error, location)


def is_folder_mark(key: str, size: int) -> bool:
    """Whether an object is one of those that some programs put into place as folders."""
    return size == 0 and key.endswith("/")


def modified_of(info: Mapping[str, Any]) -> datetime | None:
    """Return when a file was written, from what a filesystem of fsspec says of it."""
    for name in _TIMES:
        time = info.get(name)
        if isinstance(time, datetime):
            return time if time.tzinfo else time.replace(tzinfo=UTC)
        if isinstance(time, (int, float)):
            return datetime.fromtimestamp(time, UTC)
    return None


def _etag(info: Mapping[str, Any]) -> str | None:
    for name in _ETAGS:
        if info.get(name):
            return str(info[name])
    for name in _TIMES:
        if info.get(name) is not None:
            return f"{info[name]}-{info['size']}"
    return None
