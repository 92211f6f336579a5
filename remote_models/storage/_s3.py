"""S3 and what speaks its protocol, through s3fs.

The only place that knows s3fs beyond fsspec's interface: ``call_s3``,
``split_path``, ``loop``, ``cat_file(version_id=)`` and the exceptions of botocore
that come through. Tried with s3fs 2024.6 to 2026.9. The operations are those of the
Amazon S3 API Reference (PutObject, CreateMultipartUpload, UploadPart,
CompleteMultipartUpload, HeadObject), which promise that an object appears whole
or not at all.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Protocol, cast

import aiohttp
from botocore import exceptions as boto
from fsspec.asyn import sync

from remote_models.errors import (
    ArgumentError,
    CredentialsError,
    IntegrityError,
    StoreUnavailableError,
)
from remote_models.storage._errors import replaced, translate
from remote_models.storage._location import Location
from remote_models.storage._s3_codes import (
    BY_CODE,
    CREDENTIALS_HINT,
    ENDPOINT_HINT,
    FAILED_PRECONDITIONS,
    OUT_OF_RANGE,
    Row,
    pinning_version,
    strong_etag,
)
from remote_models.storage._settings import TransferSettings
from remote_models.storage._staging import WRITER, CommittedFile, StagedFile, new_writer
from remote_models.storage._store import Buffer, ObjectInfo, Store, check_size

__all__ = ["S3StagedFile", "S3Store"]

_OPTIONS_HINT = "Check storage_options, which go to s3fs.S3FileSystem, and the endpoint"

_BY_TYPE: tuple[tuple[type[Exception], Row], ...] = (
    (boto.NoCredentialsError, (CredentialsError, "no credentials found", CREDENTIALS_HINT)),
    (boto.PartialCredentialsError, (CredentialsError, "incomplete credentials", CREDENTIALS_HINT)),
    (boto.TokenRetrievalError, (CredentialsError, "no fresh token to be had", CREDENTIALS_HINT)),
    (boto.ProfileNotFound, (CredentialsError, "no such profile", "Check AWS_PROFILE")),
    (boto.ParamValidationError, (ArgumentError, "not a name that S3 allows", None)),
    (boto.ConnectionError, (StoreUnavailableError, "the store cannot be reached", ENDPOINT_HINT)),
    (boto.HTTPClientError, (StoreUnavailableError, "the connection broke", ENDPOINT_HINT)),
    (boto.BotoCoreError, (StoreUnavailableError, "the request could not be made", ENDPOINT_HINT)),
    # Without one of botocore's errors around it when a body breaks off.
    (aiohttp.ClientError, (StoreUnavailableError, "the connection broke", ENDPOINT_HINT)),
    # What s3fs, aiobotocore and botocore say of unknown names and malformed values.
    (TypeError, (ArgumentError, "options that the store does not take", _OPTIONS_HINT)),
    (ValueError, (ArgumentError, "a value that the store does not take", _OPTIONS_HINT)),
)


class _S3FileSystem(Protocol):
    """What this module uses of ``s3fs.S3FileSystem``."""

    loop: Any

    def call_s3(self, method: str, **kwargs: Any) -> dict[str, Any]: ...
    def split_path(self, path: str) -> tuple[str, str, str | None]: ...


class S3Store(Store):
    """Buckets reached through s3fs."""

    @property
    def _s3(self) -> _S3FileSystem:
        return cast("_S3FileSystem", self._filesystem)

    def head(self, location: Location, *, version: str | None = None) -> ObjectInfo:
        bucket, key, _ = self._s3.split_path(self._key(location))
        pinned = {} if version is None else {"VersionId": version}
        with self.errors(location):
            found = self._s3.call_s3("head_object", Bucket=bucket, Key=key, **pinned)
        return _info(found)

    def list_names(self, folder: Location, prefix: str) -> Mapping[str, ObjectInfo]:
        root = self._key(folder)
        with self.errors(folder):
            found = self._filesystem.find(root, prefix=prefix, maxdepth=1, detail=True)
        return {path.rpartition("/")[2]: self._describe(info) for path, info in found.items()}

    def stage(
        self,
        location: Location,
        size: int,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> StagedFile:
        bucket, key, _ = self._s3.split_path(self._key(location))
        # "Conditional writes": 412 on PutObject and on CompleteMultipartUpload.
        condition = {"IfNoneMatch": "*"} if if_absent else {}
        if if_match is not None:
            condition["IfMatch"] = if_match
        return S3StagedFile(self._s3, bucket, key, size, self.transfer, condition=condition)

    def _key(self, location: Location) -> str:
        if "?versionId=" in location.path:
            raise ArgumentError(
                "'?versionId=' cannot be part of a key here",
                where=str(location),
                hint="The manifest pins object versions by itself",
            )
        return super()._key(location)

    def _read(self, key: str, start: int, stop: int, version: str | None) -> bytes:
        try:
            data: bytes = self._filesystem.cat_file(key, start=start, end=stop, version_id=version)
        except OSError as error:
            if _code(error) in (OUT_OF_RANGE, "416"):
                return b""  # the object ends before `start`
            raise
        return data

    def _read_pinned(
        self, location: Location, start: int, stop: int, version: str | None, etag: str
    ) -> Buffer:
        bucket, key, _ = self._s3.split_path(self._key(location))
        pinned = {} if version is None else {"VersionId": version}
        try:
            answer = self._s3.call_s3(
                "get_object",
                Bucket=bucket,
                Key=key,
                Range=f"bytes={start}-{stop - 1}",
                IfMatch=etag,
                **pinned,
            )
            data: bytes = sync(self._s3.loop, _whole, answer["Body"])
        except OSError as error:
            if _code(error) in FAILED_PRECONDITIONS:
                raise replaced(location) from error
            if _code(error) in (OUT_OF_RANGE, "416"):
                return b""  # the object ends before `start`
            raise
        if answer.get("ETag") != etag:  # a store that does not know If-Match
            raise replaced(location)
        return data

    def _read_whole(self, location: Location, limit: int) -> tuple[Buffer, ObjectInfo]:
        bucket, key, _ = self._s3.split_path(self._key(location))
        answer = self._s3.call_s3("get_object", Bucket=bucket, Key=key)
        info = _info(answer)
        try:
            check_size(location, info.size, limit)
        except IntegrityError:
            answer["Body"].close()
            raise
        data: bytes = sync(self._s3.loop, _whole, answer["Body"])
        return data, info

    def _describe(self, info: Mapping[str, Any]) -> ObjectInfo:
        return ObjectInfo(size=int(info["size"]), etag=strong_etag(info.get("ETag")))

    def _translate(self, error: Exception, location: Location) -> Exception | None:
        row = BY_CODE.get(_code(error) or "") or _row_by_type(error)
        if row is None:
            return translate(error, location)
        own, message, hint = row
        return own(message, where=str(location), hint=hint)


class S3StagedFile(StagedFile):
    """An object on its way: one request if it is small, else a multipart upload.

    The parts of a multipart upload are invisible until it is completed. A small
    object waits in memory.
    """

    def __init__(
        self,
        s3: _S3FileSystem,
        bucket: str,
        key: str,
        size: int,
        transfer: TransferSettings,
        *,
        condition: Mapping[str, str],
    ) -> None:
        self._s3 = s3
        self.writer = new_writer()
        self._metadata = {WRITER: self.writer}
        self._condition = condition
        self._address = {"Bucket": bucket, "Key": key}
        # Some stores (Cloudflare R2) want all parts but the last to be equally long.
        self._part_size = transfer.part_size(size)
        # Twice: a request that is being sent was measured to hold its part once more.
        self._parallel = transfer.parts_at_once(2 * self._part_size, besides=0)
        self._multipart = size > self._part_size
        self._buffer = io.BytesIO()
        self._upload_id: str | None = None
        self._parts: list[Future[dict[str, Any]]] = []
        self._flying: deque[Future[dict[str, Any]]] = deque()
        self._pool: ThreadPoolExecutor | None = None

    def write(self, data: bytes | memoryview) -> None:
        view = memoryview(data)
        while self._multipart and self._buffer.tell() + len(view) >= self._part_size:
            missing = self._part_size - self._buffer.tell()
            self._buffer.write(view[:missing])
            view = view[missing:]
            self._send(self._take())
        self._buffer.write(view)

    def commit(self) -> CommittedFile:
        if self._upload_id is None:
            done = self._s3.call_s3(
                "put_object",
                Body=self._buffer.getvalue(),
                Metadata=self._metadata,
                **self._address,
                **self._condition,
            )
            self._take()
            return CommittedFile(version=_version(done), etag=strong_etag(done.get("ETag")))
        if self._buffer.tell():
            self._send(self._take())
        parts = [future.result() for future in self._parts]
        done = self._s3.call_s3(
            "complete_multipart_upload",
            UploadId=self._upload_id,
            MultipartUpload={"Parts": parts},
            **self._address,
            **self._condition,
        )
        self._upload_id = None
        self._close_pool()
        return CommittedFile(version=_version(done), etag=strong_etag(done.get("ETag")))

    def discard(self) -> None:
        self._take()
        self._close_pool()
        if self._upload_id is not None:
            upload_id, self._upload_id = self._upload_id, None
            with suppress(FileNotFoundError):  # NoSuchUpload: it is gone already
                self._s3.call_s3("abort_multipart_upload", UploadId=upload_id, **self._address)

    def _take(self) -> bytes:
        """Empty the buffer. What it held is not copied."""
        buffer, self._buffer = self._buffer, io.BytesIO()
        return buffer.getvalue()

    def _send(self, part: bytes) -> None:
        if self._upload_id is None or self._pool is None:
            begun = self._s3.call_s3(
                "create_multipart_upload", Metadata=self._metadata, **self._address
            )
            self._upload_id = begun["UploadId"]
            self._pool = ThreadPoolExecutor(self._parallel, thread_name_prefix="remote_models")
        if len(self._flying) == self._parallel:
            self._flying.popleft().result()
        future = self._pool.submit(self._send_part, self._upload_id, len(self._parts) + 1, part)
        self._parts.append(future)
        self._flying.append(future)

    def _send_part(self, upload_id: str, number: int, part: bytes) -> dict[str, Any]:
        done = self._s3.call_s3(
            "upload_part", UploadId=upload_id, PartNumber=number, Body=part, **self._address
        )
        # A store that made a checksum for the part wants it back on completion.
        sums = {name: value for name, value in done.items() if name.startswith("Checksum")}
        sums.pop("ChecksumType", None)
        return {"PartNumber": number, "ETag": done["ETag"], **sums}

    def _close_pool(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None


async def _whole(body: Any) -> Any:
    try:
        return await body.read()
    finally:
        body.close()


def _info(response: Mapping[str, Any]) -> ObjectInfo:
    return ObjectInfo(
        size=int(response["ContentLength"]),
        version=_version(response),
        etag=strong_etag(response.get("ETag")),
        writer=response.get("Metadata", {}).get(WRITER),
    )


def _version(response: Mapping[str, Any]) -> str | None:
    return pinning_version(response.get("VersionId"))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _code(error: Exception) -> str | None:
    """Return S3's error code; s3fs keeps botocore's ClientError as the cause."""
    for link in _chain(error):
        if isinstance(link, boto.ClientError):
            code: str = link.response.get("Error", {}).get("Code", "")
            return code
    return None


def _row_by_type(error: Exception) -> Row | None:
    for link in _chain(error):
        for kind, row in _BY_TYPE:
            if isinstance(link, kind):
                return row
    return None
