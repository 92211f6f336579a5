"""Google Cloud Storage, through gcsfs.

The only place that knows gcsfs beyond fsspec's interface: ``call``,
``split_path``, ``base``, ``url(generation=)`` and its exceptions. Tried with
gcsfs 2024.6 to 2026.10. The requests are those of the Cloud Storage JSON API
("Objects: insert", upload types multipart and resumable): an object appears
when its upload is finished, whole or not at all.
"""

from __future__ import annotations

import io
import json
import secrets
from collections.abc import Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any, ClassVar, Protocol, cast
from urllib.parse import quote

import aiohttp
import requests
from gcsfs.retry import HttpError
from google.auth import exceptions as google_auth

from remote_models.errors import (
    AccessDeniedError,
    ArgumentError,
    BucketNotFoundError,
    ConflictError,
    CredentialsError,
    RemoteModelsError,
    StorageError,
    StoreUnavailableError,
)
from remote_models.storage._answer import check_range
from remote_models.storage._errors import replaced, translate
from remote_models.storage._hedge import begin
from remote_models.storage._location import Location
from remote_models.storage._retry import RetryPolicy
from remote_models.storage._staging import WRITER, CommittedFile, StagedFile, new_writer
from remote_models.storage._store import Buffer, ObjectInfo, Store

__all__ = ["GCSStagedFile", "GCSStore"]

_CHUNK = 8 * 1024 * 1024
"""Bytes per request of a resumable upload; must be a multiple of 256 KiB."""

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=15)
"""What gcsfs is told where the caller says nothing: left alone, it waits five minutes for
each answer, six times."""

_LISTING_SECONDS = 600.0
"""For a whole listing: a million keys take some minutes."""

_CLEANING_SECONDS = 15.0
"""For what is only tidied up, perhaps because the store hangs."""

_CREDENTIALS_HINT = (
    "Run 'gcloud auth application-default login', set GOOGLE_APPLICATION_CREDENTIALS, "
    "or pass storage_options={'token': …}"
)
_ENDPOINT_HINT = "Check the network and STORAGE_EMULATOR_HOST, then try again"

_Row = tuple[type[RemoteModelsError], str, str | None]

_BY_CODE: dict[int, _Row] = {
    401: (CredentialsError, "the store does not accept these credentials", _CREDENTIALS_HINT),
    403: (AccessDeniedError, "access denied", "Check the roles of whoever runs this"),
    **dict.fromkeys(
        (408, 429, 500, 502, 503, 504),
        (StoreUnavailableError, "the store keeps failing", "Try again later"),
    ),
}

_BY_TYPE: tuple[tuple[type[Exception], _Row], ...] = (
    (
        google_auth.GoogleAuthError,
        (CredentialsError, "no usable credentials found", _CREDENTIALS_HINT),
    ),
    # gcsfs raises requests' ProxyError for status 502, and lets aiohttp's errors through.
    *(
        (kind, (StoreUnavailableError, "the store cannot be reached", _ENDPOINT_HINT))
        for kind in (aiohttp.ClientError, requests.RequestException)
    ),
    # What gcsfs makes of status 412, and of 400 where the text says "invalid".
    (
        FileExistsError,
        (ConflictError, "something is stored here already", "Pass overwrite=True to replace it"),
    ),
    (ValueError, (ArgumentError, "a name or a value that the store does not take", None)),
)


class _GCSFileSystem(Protocol):
    """What this module uses of ``gcsfs.GCSFileSystem``."""

    base: str

    def call(self, method: str, path: str, *args: str, timeout: float, **kwargs: Any) -> Any: ...
    def split_path(self, path: str) -> tuple[str, str, str | None]: ...


class GCSStore(Store):
    """Buckets reached through gcsfs. Versions and etags are GCS generations."""

    credential_errors: ClassVar[tuple[type[Exception], ...]] = (google_auth.GoogleAuthError,)

    @classmethod
    def complete_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        # A listing that is remembered hides what another process has just published.
        return {"use_listings_cache": False, "requests_timeout": _TIMEOUT, **options}

    @property
    def _gcs(self) -> _GCSFileSystem:
        return cast("_GCSFileSystem", self._filesystem)

    def head(self, location: Location, *, version: str | None = None) -> ObjectInfo:
        bucket, key, _ = self._gcs.split_path(self._key(location))
        pinned = {} if version is None else {"generation": version}
        with self.errors(location):
            found = self._gcs.call(
                "GET", "b/{}/o/{}", bucket, key,
                json_out=True, timeout=self.transfer.retry.timeout, **pinned,
            )  # fmt: skip
        generation = found.get("generation")
        return ObjectInfo(
            size=int(found["size"]),
            version=generation,
            etag=generation,
            writer=found.get("metadata", {}).get(WRITER),
        )

    def list_names(self, folder: Location, prefix: str) -> Mapping[str, ObjectInfo]:
        root = self._key(folder)
        with self.errors(folder):
            found = self._filesystem.find(
                root, prefix=prefix, maxdepth=1, detail=True, timeout=_LISTING_SECONDS
            )
        return {path.rpartition("/")[2]: self._describe(info) for path, info in found.items()}

    def stage(
        self,
        location: Location,
        size: int,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> StagedFile:
        bucket, key, _ = self._gcs.split_path(self._key(location))
        generation = "0" if if_absent else if_match
        retry = self.transfer.retry
        return GCSStagedFile(self._gcs, bucket, key, size, generation=generation, retry=retry)

    def _read(self, key: str, start: int, stop: int, version: str | None) -> bytes:
        try:
            headers, body = self._gcs.call(
                "GET",
                self._filesystem.url(key, generation=version),
                headers={"Range": f"bytes={start}-{stop - 1}"},
                timeout=self.transfer.retry.give_up_after(stop - start),
            )
        except HttpError as error:
            if error.code == 416:
                return b""  # the object ends before `start`
            raise
        data: bytes = body
        check_range(headers.get("Content-Range"), start, stop, len(data), where=f"gs://{key}")
        return data

    def _read_pinned(
        self, location: Location, start: int, stop: int, version: str | None, etag: str
    ) -> Buffer:
        try:
            return self._read(self._key(location), start, stop, etag)
        except FileNotFoundError as error:
            self.head(location)  # which says so if nothing at all is there any more
            raise replaced(location) from error

    def _describe(self, info: Mapping[str, Any]) -> ObjectInfo:
        return ObjectInfo(size=int(info["size"]), etag=info.get("generation"))

    def _translate(self, error: Exception, location: Location) -> Exception | None:
        row = self._row(error, location)
        if row is None:
            return translate(error, location)
        own, message, hint = row
        return own(message, where=str(location), hint=hint)

    def _row(self, error: Exception, location: Location) -> _Row | None:
        if isinstance(error, HttpError):
            unknown = (StorageError, f"the store answered with status {error.code}", None)
            return _BY_CODE.get(int(error.code or 0), unknown)
        if isinstance(error, FileNotFoundError) and not self._has_bucket(location):
            return BucketNotFoundError, "the bucket does not exist", "Make it first"
        for kind, row in _BY_TYPE:
            if isinstance(error, kind):
                return row
        if type(error) is OSError and str(error).startswith("Forbidden"):
            # gcsfs raises a bare OSError for status 403: its text is all there is.
            return _BY_CODE[403]
        return None

    def _has_bucket(self, location: Location) -> bool:
        """Whether a missing object is missing from a bucket that exists, as far as one may see."""
        bucket = self._gcs.split_path(self._key(location))[0]
        try:
            self._gcs.call(
                "GET", "b/{}/o", bucket, json_out=True, maxResults=1, timeout=_CLEANING_SECONDS
            )
        except FileNotFoundError:
            return False
        except (OSError, HttpError, google_auth.GoogleAuthError):
            return True
        return True


class _Body(io.BytesIO):
    """Bytes to send; aiohttp warns of plain ones, and closes a file that gcsfs sends again."""

    def close(self) -> None:
        self.seek(0)


class GCSStagedFile(StagedFile):
    """An object on its way: one request if it is small, else a resumable upload.

    GCS makes the object of a resumable upload when its last byte arrives, so the
    last chunk is what ``commit`` sends. The generation is that of the object to replace,
    "0" if none may be there ("Request preconditions"); GCS compares it when the upload
    begins and when it ends.

    GCS takes the chunks of an upload one after the other ("Performing resumable
    uploads"): one is under way while the next is written.
    """

    def __init__(
        self,
        gcs: _GCSFileSystem,
        bucket: str,
        key: str,
        size: int,
        *,
        generation: str | None,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._gcs = gcs
        self._retry = retry or RetryPolicy()
        self._condition = {} if generation is None else {"ifGenerationMatch": generation}
        self.writer = new_writer()
        self._resource = {"name": key, "metadata": {WRITER: self.writer}}
        self._bucket = bucket
        self._key = key
        self._size = size
        self._sent = 0
        self._buffer = bytearray()
        self._session: str | None = None
        self._sending: Future[bytes] | None = None

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while self._sent + _CHUNK < self._size and len(self._buffer) + len(view) >= _CHUNK:
            missing = _CHUNK - len(self._buffer)
            self._buffer += view[:missing]
            view = view[missing:]
            self._send()
        self._buffer += view

    def commit(self) -> CommittedFile:
        if self._sending is None:
            made = self._insert()
            self._buffer.clear()
        else:
            self._send()
            made = json.loads(self._answer())
            self._session = None
            self._check_kept(f"bytes=0-{int(made['size']) - 1}", self._size)
        generation: str | None = made.get("generation")
        return CommittedFile(version=generation, etag=generation)

    def discard(self) -> None:
        self._buffer.clear()
        if self._sending is not None:
            wait([self._sending], _CLEANING_SECONDS)
        if self._session is not None:
            session, self._session = self._session, None
            # "Performing resumable uploads", section "Cancel an upload".
            with suppress(FileNotFoundError):  # it is gone already
                self._gcs.call("DELETE", session, timeout=_CLEANING_SECONDS)

    def _insert(self) -> dict[str, Any]:
        boundary = f"==={secrets.token_hex(16)}==="
        head = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n"
            f"{json.dumps(self._resource)}\r\n"
            f"--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n"
        )
        made: dict[str, Any] = self._gcs.call(
            "POST",
            self._upload_url,
            uploadType="multipart",
            headers={"Content-Type": f'multipart/related; boundary="{boundary}"'},
            data=_Body(head.encode() + self._buffer + f"\r\n--{boundary}--".encode()),
            json_out=True,
            timeout=self._retry.give_up_after(len(self._buffer)),
            **self._condition,
        )
        return made

    def _send(self) -> None:
        """Send what has been written once the chunk before it is there."""
        if self._sending is not None:
            self._answer()
        chunk, self._buffer = bytes(self._buffer), bytearray()
        start = self._sent
        self._sending = begin(lambda: self._send_chunk(chunk, start))
        self._sent += len(chunk)

    def _answer(self) -> bytes:
        """Return what GCS said to the chunk before."""
        assert self._sending is not None
        return self._sending.result()

    def _send_chunk(self, chunk: bytes, start: int) -> bytes:
        if self._session is None:
            headers, _ = self._gcs.call(
                "POST",
                self._upload_url,
                uploadType="resumable",
                json=self._resource,
                timeout=self._retry.timeout,
                **self._condition,
            )
            self._session = str(headers["Location"])
        content_range = f"bytes {start}-{start + len(chunk) - 1}/{self._size}"
        headers, body = self._gcs.call(
            "PUT",
            self._session,
            headers={"Content-Range": content_range},
            data=_Body(chunk),
            timeout=self._retry.give_up_after(len(chunk)),
        )
        stop = start + len(chunk)
        if stop < self._size:
            self._check_kept(headers.get("Range"), stop)
        answer: bytes = body
        return answer

    def _check_kept(self, kept: str | None, stop: int) -> None:
        """Compare what GCS says it has of the upload with what was sent.

        A chunk may arrive although its answer is lost, and be sent once more by gcsfs
        ("Performing resumable uploads", section "Status check").
        """
        if kept != f"bytes=0-{stop - 1}":
            raise StorageError(
                "the store has not kept what was sent",
                where=f"gs://{self._bucket}/{self._key}",
                expected=f"bytes=0-{stop - 1}",
                found=kept,
                hint="Save again",
            )

    @property
    def _upload_url(self) -> str:
        root = self._gcs.base.rpartition("/storage/v1/")[0]
        return f"{root}/upload/storage/v1/b/{quote(self._bucket, safe='')}/o"
