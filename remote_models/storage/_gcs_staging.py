"""Files on their way to Google Cloud Storage through gcsfs."""

from __future__ import annotations

import io
import json
import secrets
from concurrent.futures import Future, wait
from typing import Any, Protocol
from urllib.parse import quote

from remote_models.errors import StorageError
from remote_models.storage._gcs_uploads import (
    CHUNK,
    CLEANING_SECONDS,
    GCSObject,
    GCSUpload,
    GCSUploads,
)
from remote_models.storage._hedge import begin
from remote_models.storage._retry import RetryPolicy
from remote_models.storage._staging import (
    WRITER,
    CommittedFile,
    StagedFile,
    StaleUploadError,
    new_writer,
)
from remote_models.storage._upload_journal import UploadJournal

__all__ = ["GCSFileSystem", "GCSStagedFile"]


class GCSFileSystem(Protocol):
    """What this library uses of ``gcsfs.GCSFileSystem``."""

    base: str

    def call(self, method: str, path: str, *args: str, timeout: float, **kwargs: Any) -> Any: ...
    def split_path(self, path: str) -> tuple[str, str, str | None]: ...


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
    uploads"): one is under way while the next is written. Those that a killed process has
    sent are not sent again.
    """

    def __init__(
        self,
        gcs: GCSFileSystem,
        bucket: str,
        key: str,
        size: int,
        *,
        generation: str | None,
        retry: RetryPolicy | None = None,
        journal: UploadJournal | None = None,
    ) -> None:
        self._gcs = gcs
        self._retry = retry or RetryPolicy()
        self._condition = {} if generation is None else {"ifGenerationMatch": generation}
        self.writer: str = new_writer()
        self._resource = {"name": key, "metadata": {WRITER: self.writer}}
        self._bucket = bucket
        self._key = key
        self._size = size
        self._sent = 0
        self._buffer = bytearray()
        self._uploads = GCSUploads(gcs, journal or UploadJournal(), self._retry.timeout)
        self._upload: GCSUpload | None = None
        self._sending: Future[bytes] | None = None

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while self._sent + CHUNK < self._size and len(self._buffer) + len(view) >= CHUNK:
            missing = CHUNK - len(self._buffer)
            self._buffer += view[:missing]
            view = view[missing:]
            self._send()
        self._buffer += view
        is_whole = self._sent + len(self._buffer) == self._size
        if is_whole and self._upload is not None and self._upload.kept > self._sent:
            # The last chunk, while the others can still be had once more.
            self._upload.check(self._buffer, self._sent)

    def commit(self) -> CommittedFile:
        if self._sending is None:
            made = self._insert()
            self._buffer.clear()
        else:
            self._send()
            made = json.loads(self._answer())
            self._end()
            self._check_kept(f"bytes=0-{int(made['size']) - 1}", self._size)
        generation: str | None = made.get("generation")
        return CommittedFile(version=generation, etag=generation)

    def discard(self) -> None:
        self._buffer.clear()
        if self._sending is not None:
            wait([self._sending], CLEANING_SECONDS)
        if self._upload is not None:
            self._uploads.cancel(self._upload.session)
            self._end()

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
        chunk, self._buffer = bytes(self._buffer), bytearray()
        if self._sending is None:
            self._upload = self._begin(chunk)
        else:
            self._answer()
        assert self._upload is not None
        upload, start = self._upload, self._sent
        upload.check(chunk, start)
        self._sending = begin(lambda: self._send_chunk(upload, chunk, start))
        self._sent += len(chunk)

    def _begin(self, chunk: bytes) -> GCSUpload:
        wanted = GCSObject(
            url=f"gs://{self._bucket}/{self._key}",
            key=self._key,
            size=self._size,
            upload_url=self._upload_url,
            condition=self._condition,
            writer=self.writer,
        )
        upload = self._uploads.begin(wanted)
        try:
            upload.check(chunk, 0)
        except StaleUploadError:
            self._uploads.cancel(upload.session)
            upload.ended()
            upload = self._uploads.create(wanted)
        self.writer = upload.writer
        return upload

    def _end(self) -> None:
        upload, self._upload = self._upload, None
        if upload is not None:
            upload.ended()

    def _answer(self) -> bytes:
        """Return what GCS said to the chunk before."""
        assert self._sending is not None
        return self._sending.result()

    def _send_chunk(self, upload: GCSUpload, chunk: bytes, start: int) -> bytes:
        stop = start + len(chunk)
        if stop <= upload.kept:
            return b""
        if start < upload.kept:
            chunk, start = chunk[upload.kept - start :], upload.kept
        content_range = f"bytes {start}-{stop - 1}/{self._size}"
        headers, body = self._gcs.call(
            "PUT",
            upload.session,
            headers={"Content-Range": content_range},
            data=_Body(chunk),
            timeout=self._retry.give_up_after(len(chunk)),
        )
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
