"""Uploads that dead processes have left: which are gone on with, and which are not."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from remote_models.storage._s3_uploads import S3Object, S3Uploads
from remote_models.storage._upload_journal import (
    JournalEntry,
    UploadJournal,
    UploadRecord,
    now_ms,
)

URL = "s3://bucket/m.keras"
PARTS = [b"one" * 5, b"two" * 5, b"end"]
WANTED = S3Object(url=URL, bucket="bucket", key="m.keras", size=33, part_size=15)
SECOND = timedelta(seconds=1)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nothing can be locked")


class FakeS3:
    """Some uploads, and a clock that may go wrong."""

    def __init__(self) -> None:
        self.uploads: dict[str, datetime] = {}
        self.parts: list[dict[str, Any]] = []
        self.ahead = timedelta(0)
        self.object_written: datetime | None = None
        self.refuses: set[str] = set()
        self.calls: list[str] = []
        self.page = 1000

    def call_s3(self, method: str, *, timeout: float, **arguments: Any) -> dict[str, Any]:
        assert timeout > 0
        self.calls.append(method)
        if method in self.refuses:
            raise PermissionError(method)
        answer: dict[str, Any] = getattr(self, method)(**arguments)
        date = format_datetime(datetime.now(UTC) + self.ahead, usegmt=True)
        return {**answer, "ResponseMetadata": {"HTTPHeaders": {"date": date}}}

    def create_multipart_upload(self, **_arguments: Any) -> dict[str, Any]:
        name = f"id-{len(self.calls)}"
        self.uploads[name] = datetime.now(UTC) + self.ahead
        return {"UploadId": name}

    def list_multipart_uploads(self, *, KeyMarker: str = "", **_arguments: Any) -> dict[str, Any]:  # noqa: N803 - S3's name
        names = sorted(name for name in self.uploads if name > KeyMarker)
        return {
            "Uploads": [
                {"Key": "m.keras", "UploadId": name, "Initiated": self.uploads[name]}
                for name in names[: self.page]
            ],
            "IsTruncated": len(names) > self.page,
            "NextKeyMarker": names[self.page - 1] if len(names) > self.page else "",
        }

    def list_parts(
        self,
        *,
        UploadId: str,  # noqa: N803 - S3's name
        PartNumberMarker: int = 0,  # noqa: N803 - S3's name
        **_arguments: Any,
    ) -> dict[str, Any]:
        if UploadId not in self.uploads:
            raise FileNotFoundError(UploadId)
        parts = self.parts[PartNumberMarker : PartNumberMarker + self.page]
        last = PartNumberMarker + len(parts)
        return {
            "Parts": parts,
            "IsTruncated": last < len(self.parts),
            "NextPartNumberMarker": last,
        }

    def abort_multipart_upload(self, *, UploadId: str, **_arguments: Any) -> dict[str, Any]:  # noqa: N803 - S3's name
        if self.uploads.pop(UploadId, None) is None:
            raise FileNotFoundError(UploadId)
        return {}

    def head_object(self, **_arguments: Any) -> dict[str, Any]:
        if self.object_written is None:
            raise FileNotFoundError
        return {"LastModified": self.object_written}


@pytest.fixture
def s3() -> FakeS3:
    s3 = FakeS3()
    s3.parts = [part(number, data) for number, data in enumerate(PARTS, start=1)]
    return s3


def part(number: int, data: bytes) -> dict[str, Any]:
    etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
    return {"PartNumber": number, "Size": len(data), "ETag": etag, "ChecksumCRC32": "x"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def journal(folder: Path) -> UploadJournal:
    return UploadJournal(lambda: folder)


def record(**changes: Any) -> UploadRecord:
    """Return what is written down of an upload that was begun just now."""
    made = UploadRecord(
        url=URL, size=33, part_size=15, client="s3fs", upload="dead", begun_after=now_ms(),
        begun_before=now_ms(), writer="somebody",
    )  # fmt: skip
    return replace(made, **changes)


def leave(journal: UploadJournal, made: UploadRecord) -> None:
    """Write an entry down and let go of its lock, as the system does for a dead process."""
    entry = journal.begin(made)
    assert entry is not None
    entry.release()


def written(folder: Path) -> list[Path]:
    return list((folder / "uploads").iterdir())


def resume(s3: FakeS3, journal: UploadJournal, wanted: S3Object = WANTED) -> str | None:
    """Return the upload that is gone on with."""
    upload = S3Uploads(s3, journal, 5.0).resume(wanted)
    if upload is None:
        return None
    assert upload.writer == "somebody"
    assert [each.holds(data) for each, data in zip(upload.parts.values(), PARTS, strict=True)]
    assert upload.entry is not None
    upload.entry.release()
    return upload.upload_id


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_gone_on_with(s3: FakeS3, journal: UploadJournal, page: int) -> None:
    s3.page = page
    s3.uploads["dead"] = datetime.now(UTC)
    leave(journal, record())
    assert resume(s3, journal) == "dead"


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 34}, {"part_size": 16}, {"client": "obstore"},
        {"begun_after": now_ms() - 12 * 3600 * 1000}, {"begun_after": now_ms() + 3600 * 1000},
    ],
    ids=["size", "part_size", "client", "long_ago", "in_the_future"],
)  # fmt: skip
def test_what_does_not_fit_is_aborted(
    s3: FakeS3, journal: UploadJournal, folder: Path, changes: dict[str, Any]
) -> None:
    s3.uploads["dead"] = s3.uploads["another's"] = datetime.now(UTC)
    leave(journal, record(**changes))
    assert resume(s3, journal) is None
    assert list(s3.uploads) == ["another's"]
    assert written(folder) == []


def test_of_two_the_newer(s3: FakeS3, journal: UploadJournal) -> None:
    s3.uploads = {"older": datetime.now(UTC), "newer": datetime.now(UTC)}
    leave(journal, record(upload="newer", begun_after=now_ms() - 1000))
    leave(journal, record(upload="older", begun_after=now_ms() - 2000))
    assert resume(s3, journal) == "newer"
    assert list(s3.uploads) == ["newer"]


@pytest.mark.parametrize("refused", [None, "list_parts", "abort_multipart_upload"])
def test_what_is_gone_or_denied(
    s3: FakeS3, journal: UploadJournal, folder: Path, refused: str | None
) -> None:
    if refused is not None:
        s3.uploads["dead"] = datetime.now(UTC)
        s3.refuses = {refused, "list_parts"}
    leave(journal, record())
    assert resume(s3, journal) is None
    assert written(folder) == []


def test_a_living_process_keeps_its_own(s3: FakeS3, journal: UploadJournal, folder: Path) -> None:
    s3.uploads["dead"] = datetime.now(UTC)
    entry = journal.begin(record())
    assert resume(s3, journal) is None
    assert (list(s3.uploads), len(written(folder)), s3.calls) == (["dead"], 1, [])
    assert entry is not None
    entry.release()
    assert resume(s3, journal) == "dead"


# Found by time


def unnamed(**changes: Any) -> UploadRecord:
    return record(upload="", client="obstore", **changes)


OBSTORE = replace(WANTED, client="obstore")


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(minutes=10), timedelta(minutes=-10)])
@pytest.mark.parametrize("page", [1, 1000])
def test_found_by_its_time(s3: FakeS3, journal: UploadJournal, ahead: timedelta, page: int) -> None:
    s3.ahead, s3.page = ahead, page
    now = datetime.now(UTC) + ahead
    s3.uploads = {"a": now - 9 * SECOND, "dead": now, "z": now + 9 * SECOND}
    s3.object_written = now - 9 * SECOND
    s3.parts = s3.parts[:1] if page == 1 else s3.parts
    leave(journal, unnamed())
    upload = S3Uploads(s3, journal, 5.0).resume(OBSTORE)
    assert upload is not None
    assert upload.upload_id == "dead"


@pytest.mark.parametrize("case", ["two", "none", "completed", "hidden", "denied"])
def test_not_for_certain(s3: FakeS3, journal: UploadJournal, case: str) -> None:
    """Whoever has begun it may live: it is neither gone on with nor aborted."""
    now = datetime.now(UTC)
    s3.uploads = {"one": now} if case != "none" else {"one": now - 9 * SECOND}
    if case == "two":
        s3.uploads["two"] = now + SECOND
    if case == "completed":
        s3.object_written = now
    s3.refuses = {"hidden": {"head_object"}, "denied": {"list_multipart_uploads"}}.get(case, set())
    before = dict(s3.uploads)
    leave(journal, unnamed())
    assert resume(s3, journal, OBSTORE) is None
    assert s3.uploads == before


# The journal


def test_another_machine_keeps_its_own(journal: UploadJournal, folder: Path) -> None:
    leave(journal, record(host="another", boot="another"))
    assert journal.of(URL) == []
    assert len(written(folder)) == 1


@pytest.mark.parametrize("changes", [{"host": "another"}, {"boot": "another"}])
def test_the_same_machine(journal: UploadJournal, changes: dict[str, str]) -> None:
    """In another container, or since it was started again."""
    leave(journal, record(**changes))
    (entry,) = journal.of(URL)
    assert entry.record.host in ("another", socket.gethostname())
    entry.release()


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]\n", b"\xff\n", b'{"url": 1}\n', b"{" * 10_000, b'{"url":"u","size":-1}\n'],
)
def test_what_is_no_entry_is_deleted(journal: UploadJournal, folder: Path, content: bytes) -> None:
    leave(journal, record())
    (path,) = written(folder)
    path.write_bytes(content)
    assert journal.of(URL) == []
    assert written(folder) == []


def entries(journal: UploadJournal) -> Iterator[JournalEntry]:
    for entry in journal.abandoned():
        yield entry
        entry.release()


def test_digests(journal: UploadJournal, folder: Path) -> None:
    entry = journal.begin(record())
    assert entry is not None
    for number, digest in enumerate(("a" * 64, "b" * 64, "c" * 64)):
        entry.set_digest(number, digest)
    entry.set_digest(1, "d" * 64)
    entry.release()
    (path,) = written(folder)
    path.write_bytes(path.read_bytes() + b"half of o")
    assert [entry.digests for entry in entries(journal)] == [["a" * 64, "d" * 64]]
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_other_urls(journal: UploadJournal) -> None:
    leave(journal, record(url="s3://bucket/n.keras"))
    assert not journal.has(URL)
    assert journal.of(URL) == []
    assert [entry.record.url for entry in entries(journal)] == ["s3://bucket/n.keras"]


@pytest.mark.parametrize("trouble", ["none", "file", "others", "link"])
def test_without_a_folder(folder: Path, trouble: str) -> None:
    """Nothing is written down, and nothing fails."""
    folder.parent.mkdir(exist_ok=True)
    if trouble == "file":
        folder.write_bytes(b"")
    elif trouble == "others":
        (folder / "uploads").mkdir(parents=True)
        os.chmod(folder / "uploads", 0o777)
    elif trouble == "link":
        folder.mkdir()
        (folder / "uploads").symlink_to(folder.parent)
    journal = UploadJournal(lambda: None if trouble == "none" else folder)
    assert journal.begin(record()) is None
    assert journal.of(URL) == []
    assert not journal.has(URL)


def test_a_link_is_not_followed(journal: UploadJournal, folder: Path) -> None:
    leave(journal, record())
    (path,) = written(folder)
    elsewhere = folder / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert journal.of(URL) == []
    assert elsewhere.exists()
