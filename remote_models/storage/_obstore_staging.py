"""Files on their way to S3 through obstore."""

from __future__ import annotations

import errno
import io
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import suppress
from queue import Full, Queue
from typing import IO, TYPE_CHECKING

from obstore.store import S3Store as Client

from remote_models.storage._hedge import answer_within, begin
from remote_models.storage._location import Location
from remote_models.storage._retry import RetryPolicy
from remote_models.storage._s3_codes import pinning_version, strong_etag
from remote_models.storage._settings import TransferSettings
from remote_models.storage._staging import WRITER, CommittedFile, StagedFile, new_writer
from remote_models.storage._store import Store
from remote_models.storage._upload_journal import JournalEntry, now_ms

if TYPE_CHECKING:
    from obstore import PutMode, PutResult

__all__ = ["LARGE", "MAX_PUT", "OBSTORE", "ObstoreStagedFile", "ObstoreUpload", "StagedElsewhere"]

LARGE = 8 * 1024 * 1024
"""Above this, a file travels in parts."""

MAX_PUT = 5 * 1024**3
"""What S3 takes in one PutObject, the only conditional request that obstore makes."""

OBSTORE = "obstore"
"""How uploads that obstore has begun are marked where they are written down."""

_WAITING_PARTS = 2
"""Parts that are written before there is room for them among those under way."""

_LOOK_AGAIN_SECONDS = 0.1

_CLEANING_SECONDS = 10.0
"""How long to wait until an upload is aborted, perhaps because the store hangs."""


class ObstoreStagedFile(StagedFile):
    """An object that waits on this machine and travels on commit, in one request.

    It appears whole or not at all (PutObject). What is larger than 8 MiB waits in a
    temporary file.
    """

    def __init__(
        self, client: Client, key: str, size: int, retry: RetryPolicy, *, mode: PutMode
    ) -> None:
        self._client = client
        self._key = key
        self._patience = retry.give_up_after(size)
        self._mode = mode
        self.writer: str = new_writer()
        self._attributes = {WRITER: self.writer}
        self._spool: IO[bytes] = io.BytesIO()
        if size > LARGE:
            self._spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed by commit and discard

    def write(self, data: bytes | memoryview) -> None:
        self._spool.write(data)

    def commit(self) -> CommittedFile:
        self._spool.seek(0)
        data = self._spool.read()
        done = answer_within(self._patience, lambda: self._put(data))
        self._spool.close()
        return _committed(done)

    def _put(self, data: bytes) -> PutResult:
        return self._client.put(
            self._key,
            data,
            attributes=self._attributes,
            mode=self._mode,
            use_multipart=False,
        )

    def discard(self) -> None:
        self._spool.close()


WriteDown = Callable[[int, str], JournalEntry | None]
"""Writes down on this machine an upload, begun between a time and now, and its writer."""


class ObstoreUpload(StagedFile):
    """An object that travels in parts while it is written.

    It appears whole or not at all (CompleteMultipartUpload). obstore completes an upload
    when what it reads from ends, and aborts it when that raises: so the end is held
    back until the commit.
    """

    def __init__(
        self,
        client: Client,
        key: str,
        size: int,
        transfer: TransferSettings,
        write_down: WriteDown,
    ) -> None:
        self._client = client
        self._key = key
        self.writer: str = new_writer()
        self._attributes = {WRITER: self.writer}
        self._write_down = write_down
        self._entry: JournalEntry | None = None
        self._begun_after = now_ms()
        self._part_size = transfer.part_size(size)
        self._parallel = transfer.parts_at_once(self._part_size, besides=_WAITING_PARTS + 1)
        self._parts: Queue[bytes | None] = Queue(_WAITING_PARTS)
        self._discarded = False
        self._done = begin(self._upload)

    def write(self, data: bytes | memoryview) -> None:
        self._give(bytes(data))

    def commit(self) -> CommittedFile:
        self._give(None)
        done = self._done.result()
        self._forget()
        return _committed(done)

    def discard(self) -> None:
        self._discarded = True
        with suppress(Full):  # then it is about to look at what is waiting
            self._parts.put_nowait(None)
        wait([self._done], _CLEANING_SECONDS)
        self._forget()

    def _upload(self) -> PutResult:
        return self._client.put(
            self._key,
            self._read(),
            attributes=self._attributes,
            use_multipart=True,
            chunk_size=self._part_size,
            max_concurrency=self._parallel,
        )

    def _give(self, part: bytes | None) -> None:
        """Hand over a part, unless the upload has ended."""
        while True:
            if self._done.done():
                self._done.result()
                raise BrokenPipeError(errno.EPIPE, "the upload has ended already")
            with suppress(Full):
                return self._parts.put(part, timeout=_LOOK_AGAIN_SECONDS)

    def _read(self) -> Iterator[bytes]:
        # obstore asks for the first bytes when the store has begun the upload.
        self._entry = self._write_down(self._begun_after, self.writer)
        while True:
            part = self._parts.get()
            if self._discarded:
                raise _Discarded
            if part is None:
                return
            yield part

    def _forget(self) -> None:
        entry, self._entry = self._entry, None
        if entry is not None:
            entry.remove()


class _Discarded(Exception):  # noqa: N818 - not an error: how obstore is told to abort
    pass


def _committed(done: PutResult) -> CommittedFile:
    return CommittedFile(version=pinning_version(done["version"]), etag=strong_etag(done["e_tag"]))


class StagedElsewhere(StagedFile):
    """A file that another store stages, whose errors that store translates."""

    def __init__(self, store: Store, location: Location, staged: StagedFile) -> None:
        self._store = store
        self._location = location
        self._staged = staged
        self.writer = staged.writer

    def write(self, data: bytes | memoryview) -> None:
        with self._store.errors(self._location):
            self._staged.write(data)
        self.writer = self._staged.writer  # that of a killed process, whose upload goes on

    def commit(self) -> CommittedFile:
        with self._store.errors(self._location):
            return self._staged.commit()

    def discard(self) -> None:
        with self._store.errors(self._location):
            self._staged.discard()
