"""S3 and what speaks its protocol, through s3fs.

The only place that knows s3fs beyond fsspec's interface: ``call_s3`` and the coroutine
behind it, ``_call_s3``, ``split_path``, ``loop`` and the exceptions of botocore that
come through. Tried with s3fs 2024.6 to 2026.9. The operations are those of the
Amazon S3 API Reference (PutObject, CreateMultipartUpload, UploadPart,
CompleteMultipartUpload, HeadObject), which promise that an object appears whole
or not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, cast

import aiohttp
from botocore import exceptions as boto
from fsspec.asyn import sync
from fsspec.config import conf

from remote_models.errors import (
    ArgumentError,
    BucketNotFoundError,
    CredentialsError,
    StoreUnavailableError,
)
from remote_models.storage._answer import check_range, check_whole
from remote_models.storage._errors import replaced, translate
from remote_models.storage._location import Location
from remote_models.storage._part_plan import plan_parts, takes_any_parts
from remote_models.storage._s3_codes import (
    BY_CODE,
    CREDENTIALS_HINT,
    ENDPOINT_HINT,
    FAILED_PRECONDITIONS,
    OUT_OF_RANGE,
    Row,
    strong_etag,
)
from remote_models.storage._s3_staging import S3FileSystem, S3StagedFile, object_version
from remote_models.storage._s3_uploads import S3Object, S3Uploads
from remote_models.storage._staging import WRITER, StagedFile
from remote_models.storage._store import (
    Buffer,
    ObjectInfo,
    Store,
    check_size,
    is_folder_mark,
)
from remote_models.storage._stored_range import StoredRange
from remote_models.storage._uploads import UnfinishedUpload, is_at_or_below

__all__ = ["S3StagedFile", "S3Store"]

_CONFIG = {"connect_timeout": 5, "read_timeout": 15, "max_pool_connections": 64}
"""What botocore is told where the caller says nothing: its own limits are a minute for a
pause, which is tried 25 times, and ten connections, on which hanging requests would leave
no room for others."""

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


class S3Store(Store):
    """Buckets reached through s3fs."""

    @classmethod
    def complete_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        configured = options.get("config_kwargs", conf.get("s3", {}).get("config_kwargs"))
        config = {} if configured is None else configured
        if isinstance(config, Mapping):  # else s3fs says what is wrong with it
            config = {**_CONFIG, **config}
        # A listing that is remembered hides what another process has just published.
        return {"use_listings_cache": False, **options, "config_kwargs": config}

    @property
    def _s3(self) -> S3FileSystem:
        return cast("S3FileSystem", self._filesystem)

    def head(self, location: Location, *, version: str | None = None) -> ObjectInfo:
        bucket, key, _ = self._s3.split_path(self._key(location))
        pinned = {} if version is None else {"VersionId": version}
        with self.errors(location):
            found = self._s3.call_s3(
                "head_object", Bucket=bucket, Key=key, timeout=self.transfer.retry.timeout, **pinned
            )
        return _info(found)

    def list(self, location: Location) -> Mapping[str, ObjectInfo]:
        return self._list(location, "", {})

    def list_names(self, folder: Location, prefix: str) -> Mapping[str, ObjectInfo]:
        return self._list(folder, prefix, {"Delimiter": "/"})

    def _list(
        self, folder: Location, prefix: str, limits: Mapping[str, str | int]
    ) -> Mapping[str, ObjectInfo]:
        """Return the objects in a folder whose relative path starts with ``prefix``."""
        bucket, key, _ = self._s3.split_path(self._key(folder))
        around = f"{key}/" if key else ""
        with self.errors(folder):
            try:
                found = list(
                    self._pages({"Bucket": bucket, "Prefix": f"{around}{prefix}", **limits})
                )
            except FileNotFoundError:
                return {}
        return {
            each["Key"][len(around) :]: ObjectInfo(
                size=int(each["Size"]),
                etag=strong_etag(each.get("ETag")),
                modified=each.get("LastModified"),
            )
            for each in found
            if not is_folder_mark(each["Key"], int(each["Size"]))
        }

    def _pages(self, wanted: Mapping[str, str | int]) -> Iterator[dict[str, Any]]:
        """Yield what S3 lists; s3fs would wait for minutes for a server that hangs."""
        token: dict[str, str] = {}
        while True:
            page = self._s3.call_s3(
                "list_objects_v2", timeout=self.transfer.retry.timeout, **wanted, **token
            )
            yield from page.get("Contents", ())
            if not page.get("IsTruncated") or not page.get("NextContinuationToken"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def stage(
        self,
        location: Location,
        size: int,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> StagedFile:
        return self.stage_stored(location, size, (), if_absent=if_absent, if_match=if_match)

    @property
    def copies_ranges(self) -> bool:
        return takes_any_parts(self._s3.connect().meta.endpoint_url)

    def stage_stored(
        self,
        location: Location,
        size: int,
        stored: Sequence[StoredRange],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> StagedFile:
        # "Conditional writes": 412 on PutObject and on CompleteMultipartUpload.
        condition = {"IfNoneMatch": "*"} if if_absent else {}
        if if_match is not None:
            condition["IfMatch"] = if_match
        wanted = self._object(location, size)
        begin = partial(self._uploads.begin, wanted)
        plan = plan_parts(size, stored, wanted.part_size)
        return S3StagedFile(self._s3, wanted, self.transfer, begin, condition=condition, plan=plan)

    def resume(self, location: Location, size: int, client: str) -> StagedFile | None:
        wanted = self._object(location, size, client)
        upload = self._uploads.resume(wanted)
        if upload is None:
            return None
        return S3StagedFile(self._s3, wanted, self.transfer, lambda _writer: upload, condition={})

    def uploads(self, location: Location) -> Sequence[UnfinishedUpload]:
        bucket, key, _ = self._s3.split_path(self._key(location))
        with self.errors(location):
            found = list(self._uploads.list(bucket, key))
        return [
            UnfinishedUpload(
                location=replace(location, path=f"{bucket}/{each['Key']}"),
                upload_id=each["UploadId"],
                begun=each["Initiated"],
            )
            for each in found
            if is_at_or_below(each["Key"], key)
        ]

    def upload_size(self, upload: UnfinishedUpload) -> int:
        bucket, key, _ = self._s3.split_path(self._key(upload.location))
        with self.errors(upload.location):
            parts = self._uploads.parts(bucket, key, upload.upload_id)
        return sum(part.size for part in parts.values())

    def abort(self, upload: UnfinishedUpload) -> None:
        bucket, key, _ = self._s3.split_path(self._key(upload.location))
        with self.errors(upload.location), suppress(FileNotFoundError):
            self._uploads.abort(bucket, key, upload.upload_id)

    @property
    def _uploads(self) -> S3Uploads:
        return S3Uploads(self._s3, self.journal, self.transfer.retry.timeout)

    def _object(self, location: Location, size: int, client: str = "s3fs") -> S3Object:
        bucket, key, _ = self._s3.split_path(self._key(location))
        return S3Object(
            url=str(location),
            bucket=bucket,
            key=key,
            size=size,
            # Some stores (Cloudflare R2) want all parts but the last to be equally long.
            part_size=self.transfer.part_size(size),
            client=client,
        )

    def _key(self, location: Location) -> str:
        if "?versionId=" in location.path:
            raise ArgumentError(
                "'?versionId=' cannot be part of a key here",
                where=str(location),
                hint="The manifest pins object versions by itself",
            )
        return super()._key(location)

    def _read(self, key: str, start: int, stop: int, version: str | None) -> bytes:
        return self._get(key, start, stop, version, {})[1]

    def _read_pinned(
        self, location: Location, start: int, stop: int, version: str | None, etag: str
    ) -> Buffer:
        try:
            found, data = self._get(self._key(location), start, stop, version, {"IfMatch": etag})
        except OSError as error:
            if _code(error) in FAILED_PRECONDITIONS:
                raise replaced(location) from error
            raise
        if data and found != etag:  # a store that does not know If-Match
            raise replaced(location)
        return data

    def _read_whole(self, location: Location, limit: int) -> tuple[Buffer, ObjectInfo]:
        bucket, key, _ = self._s3.split_path(self._key(location))
        retry = self.transfer.retry
        # As a range, of which the answer says how large the whole is.
        wanted = f"bytes=0-{limit - 1}"
        try:
            answer, data = sync(
                self._s3.loop,
                _whole,
                self._s3._call_s3(  # noqa: SLF001 - as below
                    "get_object", Bucket=bucket, Key=key, Range=wanted
                ),
                retry.timeout,
                lambda answer: check_size(location, _info(answer).size, limit),
                timeout=retry.give_up_after(limit),
            )
        except OSError as error:
            if _code(error) in (OUT_OF_RANGE, "416"):
                return b"", self.head(location)
            raise
        info = _info(answer)
        check_whole(info.size, len(data), where=str(location))
        return data, info

    def _get(
        self, key: str, start: int, stop: int, version: str | None, condition: Mapping[str, str]
    ) -> tuple[str | None, bytes]:
        """Return an object's etag and some of its bytes, none if it ends before ``start``."""
        bucket, key, _ = self._s3.split_path(key)
        pinned = {} if version is None else {"VersionId": version}
        retry = self.transfer.retry
        try:
            answer, data = sync(
                self._s3.loop,
                _whole,
                self._s3._call_s3(  # noqa: SLF001 - one step of the loop, not two
                    "get_object",
                    Bucket=bucket,
                    Key=key,
                    Range=f"bytes={start}-{stop - 1}",
                    **pinned,
                    **condition,
                ),
                retry.timeout,
                timeout=retry.give_up_after(stop - start),
            )
        except OSError as error:
            if _code(error) in (OUT_OF_RANGE, "416"):
                return None, b""
            raise
        where = f"s3://{bucket}/{key}"
        check_range(answer.get("ContentRange"), start, stop, len(data), where=where)
        return answer.get("ETag"), data

    def _translate(self, error: Exception, location: Location) -> Exception | None:
        row = BY_CODE.get(_code(error) or "") or _row_by_type(error)
        if row is None:
            return translate(error, location)
        own, message, hint = row
        where = location.bucket if own is BucketNotFoundError else location
        return own(message, where=str(where), found=_refused_name(error), hint=hint)


async def _whole(
    call: Coroutine[Any, Any, dict[str, Any]],
    seconds: float,
    check: Callable[[Mapping[str, Any]], None] = lambda _answer: None,
) -> Any:
    """Return an answer, of which the beginning comes within so many seconds, and its body."""
    answer = await asyncio.wait_for(call, seconds)
    try:
        check(answer)
        return answer, await answer["Body"].read()
    finally:
        answer["Body"].close()


def _info(response: Mapping[str, Any]) -> ObjectInfo:
    return ObjectInfo(
        size=int(response.get("ContentRange", "").rpartition("/")[2] or response["ContentLength"]),
        version=object_version(response),
        etag=strong_etag(response.get("ETag")),
        writer=response.get("Metadata", {}).get(WRITER),
        modified=response.get("LastModified"),
    )


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


def _refused_name(error: Exception) -> str | None:
    """Return what Python says of an argument that nobody knows: the name, and no value."""
    return next((str(link) for link in _chain(error) if isinstance(link, TypeError)), None)


def _row_by_type(error: Exception) -> Row | None:
    for link in _chain(error):
        for kind, row in _BY_TYPE:
            if isinstance(link, kind):
                return row
    return None
