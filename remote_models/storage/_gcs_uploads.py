"""Resumable uploads of Google Cloud Storage that a killed process has left behind.

"Resumable uploads" and "Performing resumable uploads" in the documentation of Cloud
Storage: an upload is a session with a URI of its own, which tells how many bytes it has
("Status check") and takes the rest. It does not tell which bytes those are, takes no byte
twice and cannot be listed. So its URI is written down on this machine, and the digest of
each chunk before it is sent: bytes that the session has are skipped if they are the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import requests
from gcsfs.retry import HttpError
from google.auth import exceptions as google_auth

from remote_models.storage._staging import WRITER, StaleUploadError
from remote_models.storage._upload_journal import (
    JournalEntry,
    UploadJournal,
    UploadRecord,
    now_ms,
)

__all__ = ["CHUNK", "CLEANING_SECONDS", "GCSObject", "GCSUpload", "GCSUploads"]

CHUNK = 8 * 1024 * 1024
"""Bytes per request of a resumable upload; must be a multiple of 256 KiB."""

CLEANING_SECONDS = 10.0
"""For what is only tidied up, perhaps because the store hangs."""

_CLIENT = "gcsfs"

_FAILURES = (
    OSError,
    ValueError,
    HttpError,
    aiohttp.ClientError,
    requests.RequestException,
    google_auth.GoogleAuthError,
)
"""What comes through gcsfs when a store refuses or fails."""

_RANGE = re.compile(r"bytes=0-(\d{1,18})")


class _Caller(Protocol):
    """What this module uses of ``gcsfs.GCSFileSystem``."""

    base: str

    def call(self, method: str, path: str, *args: str, timeout: float, **kwargs: Any) -> Any: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class GCSObject:
    """An object that is to be uploaded in chunks.

    Attributes:
        url: Its location, without storage options.
        key: Its name in the bucket.
        size: Its bytes.
        upload_url: Where uploads to its bucket begin.
        condition: On what condition the store may make it.
        writer: Who says to have written it.
    """

    url: str
    key: str
    size: int
    upload_url: str
    condition: Mapping[str, str]
    writer: str


class GCSUpload:
    """A session that chunks can be sent to, one after the other.

    Attributes:
        session: Its URI.
        writer: Who will have written the object.
        kept: How many bytes a killed process has sent.
    """

    def __init__(
        self, session: str, writer: str, entry: JournalEntry | None, kept: int = 0
    ) -> None:
        self.session = session
        self.writer = writer
        self.kept = kept
        self._entry = entry

    def check(self, chunk: bytes | bytearray, start: int) -> None:
        """Compare a chunk with what the session has of it, before it is sent.

        Raises:
            StaleUploadError: the session has other bytes.
        """
        if self._entry is None:
            return
        digest = hashlib.sha256(chunk).hexdigest()
        number = start // CHUNK
        known = self._entry.digests[number : number + 1]
        if known == [digest]:
            return
        if start < self.kept:
            raise StaleUploadError
        self._entry.set_digest(number, digest)

    def ended(self) -> None:
        """Forget what is written down: it has been finished or cancelled."""
        if self._entry is not None:
            self._entry.remove()


class GCSUploads:
    """Sessions begun by this process, or gone on with after another."""

    def __init__(self, gcs: _Caller, journal: UploadJournal, timeout: float) -> None:
        self._gcs = gcs
        self._journal = journal
        self._timeout = timeout

    def begin(self, wanted: GCSObject) -> GCSUpload:
        """Go on with a session that a dead process has left, or begin one."""
        return self._resume(wanted) or self.create(wanted)

    def create(self, wanted: GCSObject) -> GCSUpload:
        """Begin a session."""
        before = now_ms()
        headers, _ = self._gcs.call(
            "POST",
            wanted.upload_url,
            uploadType="resumable",
            json={"name": wanted.key, "metadata": {WRITER: wanted.writer}},
            timeout=self._timeout,
            **wanted.condition,
        )
        session = str(headers["Location"])
        entry = self._journal.begin(
            UploadRecord(
                url=wanted.url,
                size=wanted.size,
                part_size=CHUNK,
                client=_CLIENT,
                upload=session,
                begun_after=before,
                begun_before=now_ms(),
                terms=wanted.condition,
                writer=wanted.writer,
            )
        )
        return GCSUpload(session, wanted.writer, entry)

    def cancel(self, session: str) -> None:
        """Drop a session with its bytes ("Cancel an upload"); that it is gone is no error."""
        with suppress(FileNotFoundError):
            self._gcs.call("DELETE", session, timeout=CLEANING_SECONDS)

    def _resume(self, wanted: GCSObject) -> GCSUpload | None:
        found = None
        for entry in self._journal.of(wanted.url):
            session = entry.record.upload
            if not self.is_of_this_store(session):
                entry.release()
                continue
            kept = self._kept(entry.record) if _fits(entry.record, wanted) else 0
            if found is None and kept:
                found = GCSUpload(session, entry.record.writer, entry, kept)
                continue
            with suppress(*_FAILURES):  # gone, or not to be cancelled by this process
                self.cancel(session)
            entry.remove()
        return found

    def is_of_this_store(self, session: str) -> bool:
        """Whether a URI may be given what authorises this process: no other server may."""
        return session.startswith(f"{self._gcs.base.rpartition('/storage/v1/')[0]}/")

    def _kept(self, record: UploadRecord) -> int:
        """Return how many bytes a session has; 0 if it is gone, or has all of them."""
        try:
            headers, answer = self._gcs.call(
                "PUT",
                record.upload,
                headers={"Content-Range": f"bytes */{record.size}", "Content-Length": "0"},
                timeout=self._timeout,
            )
        except _FAILURES:
            return 0
        kept = _RANGE.fullmatch(headers.get("Range") or "")
        if answer or kept is None:  # a finished session answers with the object
            return 0
        return int(kept[1]) + 1


def _fits(record: UploadRecord, wanted: GCSObject) -> bool:
    return record.is_recent and (
        record.size,
        record.part_size,
        record.client,
        dict(record.terms),
    ) == (wanted.size, CHUNK, _CLIENT, dict(wanted.condition))
