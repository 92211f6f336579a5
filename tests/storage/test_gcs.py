"""What fake-gcs-server is blind to: preconditions and cancellation of resumable uploads.

The requests are checked against a stand-in that keeps the rules of "Performing
resumable uploads" and "Request preconditions" in the documentation of Cloud Storage.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from gcsfs.retry import HttpError
from google.auth.exceptions import DefaultCredentialsError, RefreshError

from remote_models.errors import (
    AccessDeniedError,
    ArgumentError,
    ConflictError,
    CredentialsError,
    RemoteModelsError,
    StorageError,
    StoreUnavailableError,
)
from remote_models.storage import Location
from remote_models.storage._gcs import GCSStore
from remote_models.storage._gcs_staging import GCSStagedFile
from remote_models.storage._staging import CommittedFile, StagedFile

CHUNK = 8 * 1024 * 1024
SIZE = 2 * CHUNK + 5
LOCATION = Location.parse("gs://bucket/key")


class FakeGCS:
    """One bucket behind the three names that the store uses of gcsfs."""

    base = "https://storage.example/storage/v1/"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.sessions: dict[str, tuple[str, bool, bytearray]] = {}
        self.requests: list[str] = []

    def split_path(self, path: str) -> tuple[str, str, str | None]:
        bucket, _, key = path.partition("/")
        return bucket, key, None

    def call(self, method: str, path: str, *args: str, **kwargs: Any) -> Any:
        self.requests.append(f"{method} {kwargs.get('uploadType', path.partition('#')[0])}")
        if method == "DELETE":
            if self.sessions.pop(path, None) is None:
                raise FileNotFoundError(path)
            return {}, b""
        if method == "PUT":
            answer = self.put(path, kwargs["headers"]["Content-Range"], kwargs["data"])
            return {"Range": self.kept(path)}, answer
        assert path == "https://storage.example/upload/storage/v1/b/bucket/o"
        exclusive = kwargs.get("ifGenerationMatch") == "0"
        if kwargs["uploadType"] == "multipart":
            return self.insert(kwargs["headers"]["Content-Type"], kwargs["data"], exclusive)
        name = kwargs["json"]["name"]
        self.refuse_existing(name, exclusive)
        session = f"https://storage.example/session#{len(self.sessions)}"
        self.sessions[session] = (name, exclusive, bytearray())
        return {"Location": session}, b""

    def insert(self, content_type: str, body: io.BytesIO, exclusive: bool) -> dict[str, str]:
        boundary = content_type.partition('boundary="')[2].rstrip('"').encode()
        _, head, rest = body.read().split(b"--" + boundary, 2)
        name = json.loads(head.partition(b"\r\n\r\n")[2])["name"]
        self.refuse_existing(name, exclusive)
        content = rest.partition(b"\r\n\r\n")[2]
        self.objects[name] = content[: -len(b"\r\n--" + boundary + b"--")]
        return {"generation": "1"}

    def kept(self, session: str) -> str | None:
        received = self.sessions[session][2] if session in self.sessions else b""
        return f"bytes=0-{len(received) - 1}" if received else None

    def put(self, session: str, content_range: str, body: io.BytesIO) -> bytes:
        name, exclusive, received = self.sessions[session]
        span, _, total = content_range.removeprefix("bytes ").partition("/")
        start, _, last = span.partition("-")
        data = body.read()
        assert int(start) == len(received)
        assert len(data) == int(last) + 1 - int(start)
        received += data
        if len(received) < int(total):
            assert len(data) % (256 * 1024) == 0, "GCS refuses such a chunk unless it is the last"
            return b""
        self.refuse_existing(name, exclusive)
        self.objects[name] = bytes(received)
        del self.sessions[session]
        return json.dumps({"generation": "7", "size": str(len(received))}).encode()

    def refuse_existing(self, name: str, exclusive: bool) -> None:
        if exclusive and name in self.objects:
            raise FileExistsError(name)  # what gcsfs makes of status 412


@pytest.fixture
def gcs() -> FakeGCS:
    return FakeGCS()


class ForgetfulGCS(FakeGCS):
    """Answers as if a chunk had arrived, of which it has kept nothing."""

    def put(self, session: str, content_range: str, body: io.BytesIO) -> bytes:
        if content_range.startswith("bytes 8388608-"):
            return b""
        return super().put(session, content_range, body)


class RepeatingGCS(FakeGCS):
    """Has a chunk twice, as when its answer was lost and the client has sent it again."""

    def kept(self, session: str) -> str | None:
        received = self.sessions[session][2] if session in self.sessions else bytearray()
        received += bytes(len(received))
        return super().kept(session)


@pytest.mark.parametrize("server", [ForgetfulGCS, RepeatingGCS])
def test_what_the_store_has_not_kept_is_not_committed(server: type[FakeGCS]) -> None:
    gcs = server()
    gcs.objects["key"] = b"before"
    file = staged(gcs, SIZE)

    def save() -> None:
        write(file)
        file.commit()

    with pytest.raises(StorageError, match=r"gs://bucket/key: .*not kept .*bytes=0-"):
        save()
    file.discard()
    assert gcs.objects == {"key": b"before"}
    assert gcs.sessions == {}


def staged(gcs: FakeGCS, size: int, *, if_absent: bool = False) -> StagedFile:
    return GCSStagedFile(gcs, "bucket", "key", size, generation="0" if if_absent else None)


def write(file: StagedFile, size: int = SIZE) -> None:
    for start in range(0, size, 1_000_000):
        file.write(bytes([start % 251]) * min(1_000_000, size - start))


@pytest.mark.parametrize("size", [0, 5, CHUNK])
def test_a_small_object_is_one_request(gcs: FakeGCS, size: int) -> None:
    file = staged(gcs, size)
    write(file, size)
    assert gcs.requests == []
    assert file.commit() == CommittedFile(version="1", etag="1")
    assert gcs.requests == ["POST multipart"]
    assert len(gcs.objects["key"]) == size


@pytest.mark.parametrize("size", [CHUNK + 1, 2 * CHUNK, SIZE])
def test_a_large_object_appears_with_its_last_chunk(gcs: FakeGCS, size: int) -> None:
    file = staged(gcs, size)
    write(file, size)
    assert gcs.objects == {}
    assert file.commit() == CommittedFile(version="7", etag="7")
    assert len(gcs.objects["key"]) == size
    assert gcs.sessions == {}


@pytest.mark.parametrize("size", [5, SIZE])
def test_exclusive_creation_is_refused_at_the_end(gcs: FakeGCS, size: int) -> None:
    file = staged(gcs, size, if_absent=True)
    write(file, size)
    gcs.objects["key"] = b"came between"
    with pytest.raises(FileExistsError):
        file.commit()
    file.discard()
    assert gcs.objects == {"key": b"came between"}
    assert gcs.sessions == {}


def test_exclusive_creation_is_refused_before_the_bytes_travel(gcs: FakeGCS) -> None:
    gcs.objects["key"] = b"old"
    file = staged(gcs, SIZE, if_absent=True)
    with pytest.raises(FileExistsError):
        write(file)
    file.discard()
    assert gcs.requests == ["POST resumable"]


def test_discarding_cancels_the_upload(gcs: FakeGCS) -> None:
    file = staged(gcs, SIZE)
    write(file)
    assert len(gcs.sessions) == 1
    file.discard()
    file.discard()
    assert gcs.sessions == {}
    assert gcs.objects == {}
    assert [request for request in gcs.requests if request.startswith("DELETE")] == [
        "DELETE https://storage.example/session"
    ]


def test_an_upload_that_is_gone_already_is_discarded(gcs: FakeGCS) -> None:
    file = staged(gcs, SIZE)
    write(file)
    gcs.sessions.clear()
    file.discard()


def test_a_body_can_be_sent_again(gcs: FakeGCS, monkeypatch: pytest.MonkeyPatch) -> None:
    """gcsfs rewinds and sends again after an error; aiohttp closes what it has sent."""
    bodies: list[bytes] = []

    def send_twice(method: str, path: str, *args: str, **kwargs: Any) -> Any:
        for _ in range(2):
            kwargs["data"].seek(0)
            bodies.append(kwargs["data"].read())
            kwargs["data"].close()
        return {}

    monkeypatch.setattr(gcs, "call", send_twice)
    file = staged(gcs, 5)
    file.write(b"hello")
    file.commit()
    assert bodies[0] == bodies[1]
    assert b"hello" in bodies[0]


class Broken:
    """A filesystem whose every use raises."""

    base = FakeGCS.base

    def __init__(self, error: Exception) -> None:
        self._error = error

    def split_path(self, path: str) -> tuple[str, str, str | None]:
        return "bucket", "key", None

    def _strip_protocol(self, url: str) -> str:
        return url.partition("://")[2]

    def call(self, *args: Any, **kwargs: Any) -> Any:
        raise self._error

    url = call
    find = call


def translations(error: Exception) -> Iterator[RemoteModelsError]:
    store = GCSStore(Broken(error))
    actions = (
        lambda: store.head(LOCATION),
        lambda: store.read(LOCATION, 0, 1),
        lambda: store.list_names(LOCATION, ""),
    )
    for act in actions:
        with pytest.raises(RemoteModelsError) as caught:
            act()
        assert caught.value.__cause__ is error
        yield caught.value
    staged = store.stage(LOCATION, 1)
    staged.write(b"x")
    with pytest.raises(RemoteModelsError) as caught, store.errors(LOCATION):
        staged.commit()
    yield caught.value


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (HttpError({"code": 401, "message": "no"}), CredentialsError),
        (HttpError({"code": 403, "message": "no"}), AccessDeniedError),
        (OSError("Forbidden: https://storage.example/b/bucket\nno"), AccessDeniedError),
        (HttpError({"code": 429, "message": "slow down"}), StoreUnavailableError),
        (HttpError({"code": 503, "message": "later"}), StoreUnavailableError),
        (HttpError({"message": "no code"}), StorageError),
        (FileExistsError("key"), ConflictError),
        (ValueError("Bad Request: invalid bucket name"), ArgumentError),
        (DefaultCredentialsError("none"), CredentialsError),
        (RefreshError("expired"), CredentialsError),
    ],
)
def test_errors_are_translated(error: Exception, expected: type[RemoteModelsError]) -> None:
    for translated in translations(error):
        assert isinstance(translated, expected)
        assert translated.where == "gs://bucket/key"


@pytest.mark.parametrize("status", [400, 402, 405, 409, 410, 411, 413, 416, 418, 451, 501, 511])
def test_no_status_comes_through_untranslated(status: int) -> None:
    error = HttpError({"code": status, "message": "some text"})
    store = GCSStore(Broken(error))
    with pytest.raises(StorageError, match=f"{status}"):
        store.head(LOCATION)
