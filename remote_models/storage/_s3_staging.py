"""Files on their way to S3 through s3fs."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import zlib
from collections import deque
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any, Protocol

from remote_models.storage._part_plan import PlannedPart
from remote_models.storage._s3_codes import pinning_version, strong_etag
from remote_models.storage._s3_uploads import FAILURES, Begin, S3Object, S3Upload
from remote_models.storage._settings import TransferSettings
from remote_models.storage._staging import WRITER, CommittedFile, StagedFile, new_writer
from remote_models.storage._stored_range import StoredRange

__all__ = ["S3FileSystem", "S3StagedFile", "object_version"]

_COMPLETION_SECONDS = 600.0
"""For the completion of an upload, which may take S3 minutes (CompleteMultipartUpload)."""

_CLEANING_SECONDS = 10.0
"""For what is only tidied up, perhaps because the store hangs."""


_MD5_DIGITS = 32

_MOST_DOUBTS = 3
"""After how many parts that the store has copied, and that are not proved to hold the right
bytes, an upload asks for no more copies."""


class S3FileSystem(Protocol):
    """What this library uses of ``s3fs.S3FileSystem``."""

    loop: Any

    def connect(self) -> Any: ...
    def call_s3(self, method: str, *, timeout: float, **kwargs: Any) -> dict[str, Any]: ...
    def _call_s3(self, method: str, **kwargs: Any) -> Coroutine[Any, Any, dict[str, Any]]: ...
    def split_path(self, path: str) -> tuple[str, str, str | None]: ...


class S3StagedFile(StagedFile):
    """An object on its way: one request if it is small, else a multipart upload.

    The parts of a multipart upload are invisible until it is completed. A small
    object waits in memory. Parts that a killed process has sent are not sent again.

    With a ``plan`` the parts are those of the plan, and some are copied from another object
    (UploadPartCopy), if that is still the one that is meant. A copied part counts if what
    the store says of it proves that it holds the bytes at hand: its ETag, which is their
    MD5, or its CRC32. If it says neither, it counts where the digests of the other object
    are enough to be certain. Any other is sent like all the rest, so a refused copy is no
    error.
    """

    def __init__(
        self,
        s3: S3FileSystem,
        wanted: S3Object,
        transfer: TransferSettings,
        begin: Begin,
        *,
        condition: Mapping[str, str],
        plan: Sequence[PlannedPart] = (),
    ) -> None:
        self._s3 = s3
        self._plan = plan
        self._doubts = 0
        self.writer: str = new_writer()
        self._condition = condition
        self._address = wanted.address
        self._part_size = wanted.part_size
        self._retry = transfer.retry
        # Twice: a request that is being sent was measured to hold its part once more.
        longest = max([self._part_size, *(part.size for part in plan)])
        self._parallel = transfer.parts_at_once(2 * longest, besides=0)
        self._multipart = wanted.size > self._part_size or bool(plan)
        self._buffer = io.BytesIO()
        self._begin = begin
        self._upload: S3Upload | None = None
        self._parts: list[Future[dict[str, Any]]] = []
        self._flying: deque[Future[dict[str, Any]]] = deque()

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while self._multipart and self._buffer.tell() + len(view) >= self._size_of_next():
            missing = self._size_of_next() - self._buffer.tell()
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

    def _size_of_next(self) -> int:
        number = len(self._parts)
        return self._plan[number].size if number < len(self._plan) else self._part_size

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
        stored = self._plan[number - 1].stored if number <= len(self._plan) else None
        future = asyncio.run_coroutine_threadsafe(
            self._send_part(self._upload.upload_id, number, part)
            if stored is None
            else self._copy_or_send(self._upload.upload_id, number, part, stored),
            self._s3.loop,
        )
        self._parts.append(future)
        self._flying.append(future)

    async def _copy_or_send(
        self, upload_id: str, number: int, part: bytes, stored: StoredRange
    ) -> dict[str, Any]:
        if self._doubts < _MOST_DOUBTS:
            try:
                done = await self._copy(upload_id, number, len(part), stored)
            except FAILURES:  # it may not be read, is another one by now, or cannot be copied
                self._doubts = _MOST_DOUBTS
            else:
                holds = await asyncio.to_thread(_holds, done, part)
                if holds is None:
                    holds = stored.is_certain and await self._is_still_there(stored)
                if holds:
                    return {"PartNumber": number, "ETag": done["ETag"], **_sums(done)}
                self._doubts += 1
        return await self._send_part(upload_id, number, part)

    async def _copy(
        self, upload_id: str, number: int, size: int, stored: StoredRange
    ) -> Mapping[str, Any]:
        bucket, key, _ = self._s3.split_path(stored.source.path)
        first = stored.source_start
        answer = await asyncio.wait_for(
            self._s3._call_s3(  # noqa: SLF001 - the coroutine
                "upload_part_copy",
                UploadId=upload_id,
                PartNumber=number,
                CopySource={"Bucket": bucket, "Key": key},
                CopySourceRange=f"bytes={first}-{first + size - 1}",
                CopySourceIfMatch=stored.etag,
                **self._address,
            ),
            self._retry.give_up_after(size),
        )
        done: Mapping[str, Any] = answer.get("CopyPartResult", {})
        return done

    async def _is_still_there(self, stored: StoredRange) -> bool:
        """Whether the source is what it was: not every server keeps the copy's condition."""
        bucket, key, _ = self._s3.split_path(stored.source.path)
        try:
            found = await asyncio.wait_for(
                self._s3._call_s3(  # noqa: SLF001 - the coroutine
                    "head_object", Bucket=bucket, Key=key
                ),
                self._retry.timeout,
            )
        except FAILURES:
            return False
        return bool(found["ETag"] == stored.etag)

    async def _send_part(self, upload_id: str, number: int, part: bytes) -> dict[str, Any]:
        done = await asyncio.wait_for(
            self._s3._call_s3(  # noqa: SLF001 - the coroutine
                "upload_part", UploadId=upload_id, PartNumber=number, Body=part, **self._address
            ),
            self._retry.give_up_after(len(part)),
        )
        return {"PartNumber": number, "ETag": done["ETag"], **_sums(done)}


def _sums(done: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checksums that a store made for a part, which it wants back on completion."""
    sums = {name: value for name, value in done.items() if name.startswith("Checksum")}
    sums.pop("ChecksumType", None)
    return sums


def _holds(done: Mapping[str, Any], part: bytes) -> bool | None:
    """Whether a part that a store has copied consists of these bytes; ``None`` if it is silent.

    An ETag is no MD5 where the store encrypts with a key of KMS ("Object", API Reference),
    and has another form where the store makes it from those of smaller pieces.
    """
    if not done.get("ETag"):
        return False
    etag = str(done["ETag"]).strip('"')
    if hashlib.md5(part, usedforsecurity=False).hexdigest() == etag:
        return True
    if "ChecksumCRC32" in done:
        checksum = base64.b64encode(zlib.crc32(part).to_bytes(4, "big")).decode()
        return bool(done["ChecksumCRC32"] == checksum)
    return False if len(etag) == _MD5_DIGITS else None


def object_version(response: Mapping[str, Any]) -> str | None:
    """Return what pins the object that an answer speaks of, if anything does."""
    return pinning_version(response.get("VersionId"))
