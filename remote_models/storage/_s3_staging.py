"""Files on their way to S3 through s3fs."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any, Protocol

from remote_models.storage._s3_codes import pinning_version, strong_etag
from remote_models.storage._s3_uploads import Begin, S3Object, S3Upload
from remote_models.storage._settings import TransferSettings
from remote_models.storage._staging import WRITER, CommittedFile, StagedFile, new_writer

__all__ = ["S3FileSystem", "S3StagedFile", "object_version"]

_COMPLETION_SECONDS = 600.0
"""For the completion of an upload, which may take S3 minutes (CompleteMultipartUpload)."""

_CLEANING_SECONDS = 10.0
"""For what is only tidied up, perhaps because the store hangs."""


class S3FileSystem(Protocol):
    """What this library uses of ``s3fs.S3FileSystem``."""

    loop: Any

    def call_s3(self, method: str, *, timeout: float, **kwargs: Any) -> dict[str, Any]: ...
    def _call_s3(self, method: str, **kwargs: Any) -> Coroutine[Any, Any, dict[str, Any]]: ...
    def split_path(self, path: str) -> tuple[str, str, str | None]: ...


class S3StagedFile(StagedFile):
    """An object on its way: one request if it is small, else a multipart upload.

    The parts of a multipart upload are invisible until it is completed. A small
    object waits in memory. Parts that a killed process has sent are not sent again.
    """

    def __init__(
        self,
        s3: S3FileSystem,
        wanted: S3Object,
        transfer: TransferSettings,
        begin: Begin,
        *,
        condition: Mapping[str, str],
    ) -> None:
        self._s3 = s3
        self.writer: str = new_writer()
        self._condition = condition
        self._address = wanted.address
        self._part_size = wanted.part_size
        self._retry = transfer.retry
        # Twice: a request that is being sent was measured to hold its part once more.
        self._parallel = transfer.parts_at_once(2 * self._part_size, besides=0)
        self._multipart = wanted.size > self._part_size
        self._buffer = io.BytesIO()
        self._begin = begin
        self._upload: S3Upload | None = None
        self._parts: list[Future[dict[str, Any]]] = []
        self._flying: deque[Future[dict[str, Any]]] = deque()

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while self._multipart and self._buffer.tell() + len(view) >= self._part_size:
            missing = self._part_size - self._buffer.tell()
            self._buffer.write(view[:missing])
            view = view[missing:]
            self._send(self._take())
        self._buffer.write(view)

    def commit(self) -> CommittedFile:
        if self._upload is None:
            data = self._buffer.getvalue()
            done = self._s3.call_s3(
                "put_object",
                Body=data,
                Metadata={WRITER: self.writer},
                timeout=self._retry.give_up_after(len(data)),
                **self._address,
                **self._condition,
            )
            self._take()
            return CommittedFile(version=object_version(done), etag=strong_etag(done.get("ETag")))
        if self._buffer.tell():
            self._send(self._take())
        parts = [future.result() for future in self._parts]
        done = self._s3.call_s3(
            "complete_multipart_upload",
            UploadId=self._upload.upload_id,
            MultipartUpload={"Parts": parts},
            timeout=_COMPLETION_SECONDS,
            **self._address,
            **self._condition,
        )
        self._upload.ended()
        self._upload = None
        return CommittedFile(version=object_version(done), etag=strong_etag(done.get("ETag")))

    def discard(self) -> None:
        self._take()
        for part in self._flying:  # one that arrived after the abort would stay
            part.cancel()
        wait(self._flying, _CLEANING_SECONDS)
        self._flying.clear()
        if self._upload is not None:
            upload, self._upload = self._upload, None
            with suppress(FileNotFoundError):  # NoSuchUpload: it is gone already
                self._s3.call_s3(
                    "abort_multipart_upload",
                    UploadId=upload.upload_id,
                    timeout=_CLEANING_SECONDS,
                    **self._address,
                )
            upload.ended()

    def _take(self) -> bytes:
        """Empty the buffer. What it held is not copied."""
        buffer, self._buffer = self._buffer, io.BytesIO()
        return buffer.getvalue()

    def _send(self, part: bytes) -> None:
        if self._upload is None:
            self._upload = self._begin(self.writer)
            self.writer = self._upload.writer
        number = len(self._parts) + 1
        kept = self._upload.parts.get(number)
        if kept is not None and kept.holds(part):
            future: Future[dict[str, Any]] = Future()
            future.set_result({"PartNumber": number, "ETag": kept.etag, **kept.sums})
            self._parts.append(future)
            return
        if len(self._flying) == self._parallel:
            self._flying.popleft().result()
        # In the client's own loop, where it can be called off.
        future = asyncio.run_coroutine_threadsafe(
            self._send_part(self._upload.upload_id, number, part), self._s3.loop
        )
        self._parts.append(future)
        self._flying.append(future)

    async def _send_part(self, upload_id: str, number: int, part: bytes) -> dict[str, Any]:
        done = await asyncio.wait_for(
            self._s3._call_s3(  # noqa: SLF001 - the coroutine
                "upload_part", UploadId=upload_id, PartNumber=number, Body=part, **self._address
            ),
            self._retry.give_up_after(len(part)),
        )
        # A store that made a checksum for the part wants it back on completion.
        sums = {name: value for name, value in done.items() if name.startswith("Checksum")}
        sums.pop("ChecksumType", None)
        return {"PartNumber": number, "ETag": done["ETag"], **sums}


def object_version(response: Mapping[str, Any]) -> str | None:
    """Return what pins the object that an answer speaks of, if anything does."""
    return pinning_version(response.get("VersionId"))
