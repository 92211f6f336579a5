"""Multipart uploads on S3 before they are completed: begun, listed, gone on with, aborted.

The operations are those of the Amazon S3 API Reference (CreateMultipartUpload,
ListMultipartUploads, ListParts, AbortMultipartUpload). A part that has arrived is told by
its ETag, which is the MD5 of its bytes unless they are encrypted with a key of KMS or of
the customer ("Object" in the API Reference): such parts are sent again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from botocore import exceptions as boto

from remote_models.storage._staging import WRITER
from remote_models.storage._upload_journal import (
    JournalEntry,
    UploadJournal,
    UploadRecord,
    now_ms,
)

__all__ = ["FAILURES", "Begin", "S3Object", "S3Upload", "S3Uploads", "StoredPart"]

FAILURES = (OSError, NotImplementedError, boto.BotoCoreError, boto.ClientError)
"""What comes through s3fs when a store refuses, fails or does not know an operation."""

_CLOCK_TOLERANCE = timedelta(seconds=2)
"""Stores round the time at which an upload was begun, and that of an answer, to seconds."""


_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class _Caller(Protocol):
    """What this module uses of ``s3fs.S3FileSystem``."""

    def call_s3(self, method: str, *, timeout: float, **kwargs: Any) -> dict[str, Any]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredPart:
    """A part that the store has.

    Attributes:
        size: Its bytes.
        etag: What the store calls it.
        sums: The checksums that the store made, which it wants back on completion.
    """

    size: int
    etag: str
    sums: Mapping[str, str] = field(default_factory=dict)

    def holds(self, part: bytes) -> bool:
        """Whether it consists of these bytes, as far as the store tells."""
        if len(part) != self.size:
            return False
        return hashlib.md5(part, usedforsecurity=False).hexdigest() == self.etag.strip('"')


@dataclass(frozen=True, kw_only=True, slots=True)
class S3Upload:
    """A multipart upload that parts can be sent to.

    Attributes:
        upload_id: What the store calls it.
        writer: Who will have written the object.
        parts: By their numbers, the parts that a killed process has sent.
        entry: What is written down of it on this machine.
    """

    upload_id: str
    writer: str
    parts: Mapping[int, StoredPart] = field(default_factory=dict)
    entry: JournalEntry | None = None

    def ended(self) -> None:
        """Forget what is written down: it has been completed or aborted."""
        if self.entry is not None:
            self.entry.remove()


Begin = Callable[[str], S3Upload]
"""Begins an upload for a writer, or finds one to go on with, which has a writer already."""


@dataclass(frozen=True, kw_only=True, slots=True)
class S3Object:
    """An object that is to be uploaded in parts.

    Attributes:
        url: Its location, without storage options.
        bucket: The bucket.
        key: The key in it.
        size: Its bytes.
        part_size: Bytes of all parts but the last.
        client: Who begins its uploads: others may go on with them on other terms only.
    """

    url: str
    bucket: str
    key: str
    size: int
    part_size: int
    client: str = "s3fs"

    @property
    def address(self) -> dict[str, str]:
        """How S3 is told which object is meant."""
        return {"Bucket": self.bucket, "Key": self.key}


class S3Uploads:
    """The unfinished multipart uploads of a store."""

    def __init__(self, s3: _Caller, journal: UploadJournal, timeout: float) -> None:
        self._s3 = s3
        self._journal = journal
        self._timeout = timeout

    def begin(self, wanted: S3Object, writer: str) -> S3Upload:
        """Go on with an upload of this object that a dead process has left, or begin one."""
        return self.resume(wanted) or self._create(wanted, writer)

    def resume(self, wanted: S3Object) -> S3Upload | None:
        """Return the upload of this object that a dead process of this machine has left.

        Others that dead processes have left for the same key are aborted: nobody will
        finish them. Uploads that this machine knows nothing of are not touched, nor are
        those of processes that live.
        """
        found = None
        for entry in self._journal.of(wanted.url):
            upload_id = self._upload_id(wanted, entry.record)
            if found is None and upload_id and _fits(entry.record, wanted):
                found = self._with_parts(wanted, upload_id, entry)
                if found is not None:
                    continue
            if upload_id:
                with suppress(*FAILURES):  # gone, or not to be aborted by this process
                    self.abort(wanted.bucket, wanted.key, upload_id)
            entry.remove()
        return found

    def list(self, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
        """Yield what S3 lists of the unfinished uploads whose keys begin with ``prefix``."""
        for page in self._pages(bucket, prefix):
            yield from page.get("Uploads", ())

    def parts(self, bucket: str, key: str, upload_id: str) -> Mapping[int, StoredPart]:
        """Return the parts of an upload that have arrived, by their numbers."""
        found: dict[int, StoredPart] = {}
        marker: dict[str, int] = {}
        while True:
            page = self._s3.call_s3(
                "list_parts",
                timeout=self._timeout,
                Bucket=bucket,
                Key=key,
                UploadId=upload_id,
                **marker,
            )
            for part in page.get("Parts", ()):
                sums = {name: text for name, text in part.items() if name.startswith("Checksum")}
                found[part["PartNumber"]] = StoredPart(
                    size=int(part["Size"]), etag=part["ETag"], sums=sums
                )
            if not page.get("IsTruncated") or not page.get("NextPartNumberMarker"):
                return found
            marker = {"PartNumberMarker": int(page["NextPartNumberMarker"])}

    def abort(self, bucket: str, key: str, upload_id: str) -> None:
        """Drop an upload with all of its parts.

        Raises:
            FileNotFoundError: it is gone already.
        """
        self._s3.call_s3(
            "abort_multipart_upload",
            timeout=self._timeout,
            Bucket=bucket,
            Key=key,
            UploadId=upload_id,
        )

    def _create(self, wanted: S3Object, writer: str) -> S3Upload:
        before = now_ms()
        begun = self._s3.call_s3(
            "create_multipart_upload",
            timeout=self._timeout,
            Metadata={WRITER: writer},
            **wanted.address,
        )
        upload_id = begun["UploadId"]
        entry = self._journal.begin(
            UploadRecord(
                url=wanted.url,
                size=wanted.size,
                part_size=wanted.part_size,
                client=wanted.client,
                upload=upload_id,
                begun_after=before,
                begun_before=now_ms(),
                writer=writer,
            )
        )
        return S3Upload(upload_id=upload_id, writer=writer, entry=entry)

    def _with_parts(self, wanted: S3Object, upload_id: str, entry: JournalEntry) -> S3Upload | None:
        try:
            parts = self.parts(wanted.bucket, wanted.key, upload_id)
        except FAILURES:
            return None
        writer = entry.record.writer
        return S3Upload(upload_id=upload_id, writer=writer, parts=parts, entry=entry)

    def _upload_id(self, wanted: S3Object, record: UploadRecord) -> str | None:
        """Return what the store calls an upload that is written down."""
        if record.upload:
            return record.upload
        try:
            return self._by_time(wanted, record)
        except FAILURES:
            return None

    def _by_time(self, wanted: S3Object, record: UploadRecord) -> str | None:
        """Find an upload by the moment in which it was begun, if it is the only one.

        It was there when its entry was written. So if another process has begun one at
        the same moment two are found, unless this one has been completed since: then an
        object is there that is no older.
        """
        if self._last_modified(wanted) >= _moment(record.begun_after) - _CLOCK_TOLERANCE:
            return None
        found = []
        for page in self._pages(wanted.bucket, wanted.key):
            ahead = _ahead(page)
            after = _moment(record.begun_after) + ahead - _CLOCK_TOLERANCE
            before = _moment(record.begun_before) + ahead + _CLOCK_TOLERANCE
            found += [
                each["UploadId"]
                for each in page.get("Uploads", ())
                if each["Key"] == wanted.key and after <= each["Initiated"] <= before
            ]
        return found[0] if len(found) == 1 else None

    def _last_modified(self, wanted: S3Object) -> datetime:
        """Return when the object was written that is there, by this machine's clock."""
        try:
            answer = self._s3.call_s3("head_object", timeout=self._timeout, **wanted.address)
        except FileNotFoundError:
            return _LONG_AGO
        written: datetime = answer["LastModified"]
        return written - _ahead(answer)

    def _pages(self, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
        markers: dict[str, str] = {}
        while True:
            page = self._s3.call_s3(
                "list_multipart_uploads",
                timeout=self._timeout,
                Bucket=bucket,
                Prefix=prefix,
                **markers,
            )
            yield page
            if not page.get("IsTruncated") or not page.get("NextKeyMarker"):
                return
            markers = {"KeyMarker": page["NextKeyMarker"]}
            if page.get("NextUploadIdMarker"):
                markers["UploadIdMarker"] = page["NextUploadIdMarker"]


def _fits(record: UploadRecord, wanted: S3Object) -> bool:
    return record.is_recent and (record.size, record.part_size, record.client) == (
        wanted.size,
        wanted.part_size,
        wanted.client,
    )


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _ahead(answer: Mapping[str, Any]) -> timedelta:
    """Return how far the store's clock is before this machine's, by its answer's date."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        return parsedate_to_datetime(date) - datetime.now(UTC)
    except (TypeError, ValueError):
        return timedelta(0)
