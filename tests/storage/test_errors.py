"""What goes wrong with stores, and the error that says so."""

from __future__ import annotations

import builtins
import errno
import inspect
import os
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import fsspec
import pytest
from botocore import exceptions as boto

from remote_models.errors import (
    AccessDeniedError,
    ArgumentError,
    BucketNotFoundError,
    ConflictError,
    CredentialsError,
    MissingDependencyError,
    ModelExistsError,
    ModelNotFoundError,
    ReadOnlyStoreError,
    RemoteModelsError,
    StorageError,
    StoreFullError,
    StoreUnavailableError,
    UnsupportedRequestError,
)
from remote_models.storage import Location, Publication, Store, open_store
from remote_models.storage._errors import translate
from remote_models.storage._s3 import S3Store
from remote_models.testing import Emulator, set_environment
from storage.test_conformance import sizes

MIB = 1024 * 1024
LARGE = 8 * MIB + 16


both_clients = pytest.mark.parametrize("client", ["fsspec", "obstore"], indirect=True)
auto_too = pytest.mark.parametrize("client", ["fsspec", "auto"], indirect=True)


def publish(location: Location, size: int = 5, *, if_absent: bool = False) -> None:
    with Publication(open_store(location), if_absent=if_absent) as publication:
        publication.stage(location, size, [b"x" * size])
        publication.commit(lambda _location, _version: None)


def read(location: Location) -> bytes:
    return bytes(open_store(location).read(location, 0, 100))


def with_options(location: Location, options: Mapping[str, Any]) -> Location:
    return Location.parse(location.url, {**location.storage_options, **options})


# Credentials and permissions, by a server that enforces them.


@both_clients
@pytest.mark.parametrize("field", ["key", "secret"])
@pytest.mark.parametrize("act", [read, publish], ids=["read", "write"])
def test_wrong_credentials(s3_base: Location, field: str, act: Callable[[Location], Any]) -> None:
    location = with_options(s3_base.join("object"), {field: "WRONG-AND-SECRET"})
    with pytest.raises(CredentialsError, match="AWS_ACCESS_KEY_ID") as caught:
        act(location)
    assert caught.value.where == str(s3_base.join("object"))
    assert "WRONG-AND-SECRET" not in str(caught.value)
    secret = s3_base.storage_options["secret"]
    assert secret not in "".join(traceback.format_exception(caught.value))


@both_clients
def test_wrong_credentials_are_no_missing_object(s3_base: Location) -> None:
    """The answer to HEAD has no body that could say more than 403."""
    location = with_options(s3_base.join("object"), {"secret": "WRONG"})
    with pytest.raises(AccessDeniedError):
        open_store(location).head(location)


@both_clients
@pytest.mark.parametrize("act", [read, publish], ids=["read", "write"])
def test_no_credentials(
    seaweed: Emulator,
    s3_base: Location,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[Location], Any],
) -> None:
    with set_environment(seaweed):
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        with pytest.raises(CredentialsError, match="no credentials found"):
            act(Location.parse(f"{s3_base.url}/object"))


@auto_too
def test_a_profile_that_does_not_exist(
    seaweed: Emulator, s3_base: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    with set_environment(seaweed):
        monkeypatch.setenv("AWS_PROFILE", "nobody")
        with pytest.raises(CredentialsError, match="no such profile"):
            read(Location.parse(f"{s3_base.url}/object"))
        monkeypatch.delenv("AWS_PROFILE")


@both_clients
class TestReader:
    """An identity that may read and list, but not write."""

    @pytest.fixture
    def location(self, seaweed: Emulator, s3_base: Location) -> Location:
        publish(s3_base.join("object"))
        return Location.parse(f"{s3_base.url}/object", seaweed.as_reader().storage_options)

    def test_reads(self, location: Location) -> None:
        assert read(location) == b"xxxxx"
        assert sizes(open_store(location).list(location.parent)) == {"object": 5}

    @pytest.mark.parametrize("size", [5, LARGE])
    @pytest.mark.parametrize("if_absent", [False, True])
    def test_does_not_write(self, location: Location, size: int, *, if_absent: bool) -> None:
        for target in (location, location.with_suffix("2")):
            with pytest.raises(AccessDeniedError, match="you may not write here") as caught:
                publish(target, size, if_absent=if_absent)
            assert not isinstance(caught.value, CredentialsError)
        assert read(location) == b"xxxxx"

    def test_does_not_delete(self, location: Location) -> None:
        with pytest.raises(AccessDeniedError):
            open_store(location).delete(location)
        assert read(location) == b"xxxxx"


# Servers that are not there, or not all there.


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine on which nobody listens: bound, so that nobody else will."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


S3_OPTIONS = {"key": "a", "secret": "b", "client_kwargs": {"region_name": "us-east-1"}}


@both_clients
def test_unreachable_s3(client: str, closed_port: int) -> None:
    """Without botocore's own retries, which with s3fs' five take 5 to 10 s."""
    options = {**S3_OPTIONS, "endpoint_url": f"http://127.0.0.1:{closed_port}"}
    if client == "fsspec":
        options["config_kwargs"] = {"retries": {"max_attempts": 0}}
    begin = time.monotonic()
    with pytest.raises(StoreUnavailableError, match="AWS_ENDPOINT_URL"):
        read(Location.parse("s3://bucket/key", options))
    assert time.monotonic() - begin < 15


def test_unreachable_gcs(closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the pauses between gcsfs' six attempts, which add up to 31 s."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("gcsfs.retry.asyncio", SimpleNamespace(sleep=sleep))
    options = {"token": "anon", "endpoint_url": f"http://127.0.0.1:{closed_port}"}
    with pytest.raises(StoreUnavailableError, match="STORAGE_EMULATOR_HOST"):
        read(Location.parse("gs://bucket/key", options))
    assert sum(pauses) < 60


def test_unreachable_http(closed_port: int) -> None:
    with pytest.raises(StoreUnavailableError, match="cannot be reached"):
        read(Location.parse(f"http://127.0.0.1:{closed_port}/key"))


@pytest.fixture
def breaking_server() -> Iterator[int]:
    """A server that promises 100 bytes and hangs up after 10: no emulator can be told to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    head = b"HTTP/1.1 206 Partial Content\r\nContent-Length: 100\r\n\r\n"
                    connection.sendall(head + b"x" * 10)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    ("client", "protocol"),
    [("fsspec", "s3"), ("obstore", "s3"), ("fsspec", "gs")],
    indirect=["client"],
)
def test_a_connection_that_breaks_in_the_middle(
    breaking_server: int, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sleep(seconds: float) -> None:
        assert seconds < 60

    monkeypatch.setattr("gcsfs.retry.asyncio", SimpleNamespace(sleep=sleep))
    endpoint = {"endpoint_url": f"http://127.0.0.1:{breaking_server}"}
    options: dict[str, dict[str, Any]] = {
        "s3": {**S3_OPTIONS, **endpoint},
        "gs": {"token": "anon", **endpoint},
    }
    with pytest.raises(StoreUnavailableError, match=r"the connection broke|cannot be reached"):
        read(Location.parse(f"{protocol}://bucket/key", options[protocol]))


# Opening a store.


def test_unknown_scheme() -> None:
    with pytest.raises(ArgumentError, match=r"nosuch://: unknown scheme") as caught:
        open_store(Location.parse("nosuch://bucket/key"))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("protocol", "package", "extra"),
    [("s3", "s3fs", "remote_models[s3]"), ("gs", "gcsfs", "remote_models[gcs]")],
)
def test_missing_package(
    monkeypatch: pytest.MonkeyPatch, protocol: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(
        sys.modules["fsspec.registry"].__dict__["_registry"], protocol, raising=False
    )
    with pytest.raises(MissingDependencyError) as caught:
        open_store(Location.parse(f"{protocol}://bucket/key"))
    assert f"pip install '{extra}'" in str(caught.value)


def test_missing_package_of_another_store() -> None:
    with pytest.raises(MissingDependencyError, match="adlfs"):
        open_store(Location.parse("abfs://bucket/key"))


@auto_too
@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("s3://bucket/key", {**S3_OPTIONS, "nonsense": 1}),
        ("s3://bucket/key", {**S3_OPTIONS, "client_kwargs": {"nonsense": 1}}),
        ("s3://bucket/key", {**S3_OPTIONS, "config_kwargs": {"nonsense": 1}}),
        ("s3://bucket/key", {**S3_OPTIONS, "endpoint_url": "no URL"}),
        ("s3://NOT A BUCKET/key", S3_OPTIONS),
        ("gs://bucket/key", {"token": "anon", "access": "nonsense"}),
        ("gs://bucket/key", {"token": {"nonsense": 1}}),
        ("github://bucket/key", {}),
    ],
)
def test_bad_options(url: str, options: Mapping[str, Any]) -> None:
    with pytest.raises(ArgumentError) as caught:
        read(Location.parse(url, options))
    assert caught.value.where


@auto_too
@pytest.mark.parametrize(
    "options",
    [
        {"kye": "SECRET"}, {"endpoint_ur": "SECRET"}, {"client_kwargs": {"regio": "SECRET"}},
        {"config_kwargs": {"read_timout": "SECRET"}},
    ],
)  # fmt: skip
def test_a_mistyped_option_is_named_without_its_value(options: Mapping[str, Any]) -> None:
    ((name, value),) = options.items()
    mistyped = next(iter(value)) if isinstance(value, dict) else name
    with pytest.raises(ArgumentError, match=f"'{mistyped}'") as caught:
        read(Location.parse("s3://bucket/key", {**S3_OPTIONS, **options}))
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("base_fixture", ["s3_base", "gcs_base"])
@both_clients
def test_a_missing_bucket_is_named(
    request: pytest.FixtureRequest, client: str, base_fixture: str
) -> None:
    base: Location = request.getfixturevalue(base_fixture)
    url = f"{base.protocol}://nobody-made-this-bucket"
    with pytest.raises(BucketNotFoundError) as caught:
        read(Location.parse(f"{url}/folder/object", base.storage_options))
    assert caught.value.where == url


def test_credentials_of_google_that_do_not_exist(
    fake_gcs: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with set_environment(fake_gcs), pytest.raises(CredentialsError, match="no usable credentials"):
        open_store(Location.parse("gs://bucket/key", {"token": "google_default"}))


# The local file system.


@pytest.fixture
def nobody() -> Iterator[None]:
    """Nobody's rights, for the block: file modes do not hold root back."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def locked() -> Iterator[Path]:
    """A folder, with a file in it, that its owner may neither list nor write to.

    Not in tmp_path, whose own parents only its owner may enter.
    """
    with TemporaryDirectory() as parent:
        folder = Path(parent) / "locked"
        folder.mkdir()
        (folder / "file").write_bytes(b"hello")
        folder.chmod(0)
        Path(parent).chmod(0o755)
        yield folder
        folder.chmod(0o700)


def test_a_local_folder_without_permission(locked: Path, request: pytest.FixtureRequest) -> None:
    location = Location.parse(locked).join("file")
    store = open_store(location)
    request.getfixturevalue("nobody")
    for act in (
        lambda: store.list(location.parent),
        lambda: store.list_names(location.parent, ""),
        lambda: store.head(location),
        lambda: store.read(location, 0, 1),
        lambda: store.delete(location),
        lambda: store.make_directory(location.parent.join("folder")),
        lambda: publish(location),
    ):
        with pytest.raises(AccessDeniedError, match="access denied"):
            act()


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a tmpfs of 1 MiB: only a disk of its own can be full or read-only for root."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        target = tmp_path / f"disk{len(mounted)}"
        target.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size=1m,{options}", "tmpfs", str(target)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("mounting a tmpfs needs root's rights")
        mounted.append(target)
        return target

    yield mount
    for target in mounted:
        subprocess.run(["umount", str(target)], check=True)


def test_a_read_only_disk(mount: Callable[[str], Path]) -> None:
    disk = Location.parse(mount("ro"))
    for if_absent in (False, True):
        with pytest.raises(ReadOnlyStoreError, match="read-only"):
            publish(disk.join("object"), if_absent=if_absent)
    with pytest.raises(ReadOnlyStoreError):
        open_store(disk).make_directory(disk.join("folder"))
    with pytest.raises(ModelNotFoundError):
        read(disk.join("object"))


@pytest.mark.parametrize("size", [MIB + 1, 2 * MIB, MIB - 100])
def test_a_full_disk(mount: Callable[[str], Path], size: int) -> None:
    folder = mount("rw")
    (folder / "object").write_bytes(b"old")
    (folder / "other").write_bytes(b"x" * 8192)
    with pytest.raises(StoreFullError, match="no space left"):
        publish(Location.parse(folder / "object"), size)
    assert sorted(os.listdir(folder)) == ["object", "other"]
    assert (folder / "object").read_bytes() == b"old"


def test_a_disk_that_fills_up_in_small_steps(mount: Callable[[str], Path]) -> None:
    location = Location.parse(mount("rw") / "object")
    with pytest.raises(StoreFullError), Publication(open_store(location)) as publication:
        publication.stage(location, 2 * MIB, (b"x" * 1000 for _ in range(2098)))
    assert os.listdir(location.parent.path) == []


def test_a_file_size_limit(tmp_path: Path) -> None:
    """In a process of its own, which alone the limit concerns."""
    script = (
        "import resource, sys\n"
        "from remote_models.errors import StoreFullError\n"
        "from remote_models.storage import Location, Publication, open_store\n"
        "location = Location.parse(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    with Publication(open_store(location)) as publication:\n"
        "        publication.stage(location, 5000, [b'x' * 5000])\n"
        "        publication.commit(lambda location, version: None)\n"
        "except StoreFullError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "object")],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "no space left" in done.stdout
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("if_absent", [False, True])
def test_a_missing_local_folder(local_base: Location, *, if_absent: bool) -> None:
    location = local_base.join("absent/object")
    with pytest.raises(BucketNotFoundError, match="the folder does not exist") as caught:
        publish(location, if_absent=if_absent)
    assert caught.value.where == str(local_base.join("absent"))
    with pytest.raises(BucketNotFoundError):
        open_store(location).make_directory(location.join("folder"))
    assert os.listdir(local_base.path) == []


def test_a_missing_file_in_the_root_folder() -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        read(Location.parse("/no-such-file-in-the-root"))
    assert not isinstance(caught.value, BucketNotFoundError)


@pytest.mark.parametrize("if_absent", [False, True])
def test_a_file_where_a_folder_is_needed(local_base: Location, *, if_absent: bool) -> None:
    publish(local_base.join("file"))
    location = local_base.join("file/object")
    with pytest.raises(ModelExistsError, match="a file stands where a folder is needed"):
        publish(location, if_absent=if_absent)
    with pytest.raises(ModelExistsError):
        open_store(location).make_directory(local_base.join("file"))
    with pytest.raises(ModelNotFoundError):
        read(location)
    assert os.listdir(local_base.path) == ["file"]


@pytest.mark.parametrize("if_absent", [False, True])
@pytest.mark.parametrize("content", [[], ["file"]], ids=["empty", "not empty"])
def test_a_folder_in_the_way(local_base: Location, content: list[str], *, if_absent: bool) -> None:
    folder = Path(local_base.path) / "object"
    folder.mkdir()
    for name in content:
        (folder / name).write_bytes(b"")
    with pytest.raises(ModelExistsError, match="a folder is in the way"):
        publish(local_base.join("object"), if_absent=if_absent)
    assert os.listdir(local_base.path) == ["object"]
    assert os.listdir(folder) == content


def test_exclusive_creation_without_hard_links(
    local_base: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on FAT and some FUSE mounts."""

    def refuse(source: str, target: str) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    publish(local_base.join("object"), if_absent=True)
    with pytest.raises(ModelExistsError):
        publish(local_base.join("object"), 7, if_absent=True)
    assert os.listdir(local_base.path) == ["object"]
    assert read(local_base.join("object")) == b"xxxxx"


@pytest.mark.parametrize("name", ["x" * 255, "漢" * 85, "é" * 127])
def test_the_longest_names(local_base: Location, name: str) -> None:
    publish(local_base.join(name))
    assert read(local_base.join(name)) == b"xxxxx"


def test_a_name_that_is_too_long(local_base: Location) -> None:
    with pytest.raises(StorageError):
        publish(local_base.join("x" * 256))
    assert os.listdir(local_base.path) == []


def test_files_that_vanish_while_they_are_listed(
    local_base: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a writer's do who replaces a model."""
    for name in ("a", "b", "c"):
        publish(local_base.join(name))
    walk, listdir = os.walk, os.listdir

    def walk_late(*args: Any, **kwargs: Any) -> Any:
        entries = list(walk(*args, **kwargs))
        os.unlink(f"{local_base.path}/b")
        return entries

    def listdir_late(path: str) -> list[str]:
        names = listdir(path)
        os.unlink(f"{path}/c")
        return names

    monkeypatch.setattr(os, "walk", walk_late)
    assert sizes(open_store(local_base).list(local_base)) == {"a": 5, "c": 5}
    monkeypatch.setattr(os, "listdir", listdir_late)
    assert sizes(open_store(local_base).list_names(local_base, "")) == {"a": 5}


# A failure while a failure is cleaned up.


class Stubborn(Store):
    """A store whose every staged file refuses to be discarded."""

    def __init__(self) -> None:
        super().__init__(fsspec.filesystem("memory"))
        self.asked: list[str] = []

    def stage(
        self,
        location: Location,
        size: int,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> Any:
        def discard() -> None:
            self.asked.append(location.name)
            raise ConnectionResetError("gone")

        return SimpleNamespace(write=len, discard=discard)


def stage_two(publication: Publication) -> None:
    for name in ("first", "second"):
        publication.stage(Location.parse(f"memory://folder/{name}"), 1, [b"x"])


def test_every_file_is_discarded_though_one_resists() -> None:
    store = Stubborn()
    publication = Publication(store)
    stage_two(publication)
    with pytest.raises(StoreUnavailableError):
        publication.discard()
    assert store.asked == ["second", "first"]
    publication.discard()
    assert store.asked == ["second", "first"]


def test_the_first_error_is_the_one_that_is_raised() -> None:
    class MyOwnError(Exception):
        """Of the caller."""

    with pytest.raises(MyOwnError) as caught, Publication(Stubborn()) as publication:  # noqa: PT012 - the point
        stage_two(publication)
        raise MyOwnError
    assert any("may be left behind" in note for note in caught.value.__notes__)


# The tables are complete.


def subclasses(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


BUILTIN = [
    kind for kind in vars(builtins).values() if inspect.isclass(kind) and issubclass(kind, OSError)
]


@pytest.mark.parametrize("kind", BUILTIN)
def test_every_builtin_os_error_is_translated(kind: type[OSError]) -> None:
    translated = translate(kind("text"), Location.parse("s3://bucket/key"))
    assert isinstance(translated, RemoteModelsError)
    assert translated.where == "s3://bucket/key"
    for parent in (FileNotFoundError, FileExistsError, PermissionError, ConnectionError):
        if issubclass(kind, parent):
            assert isinstance(translated, parent)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, StoreFullError), (errno.EDQUOT, StoreFullError),
        (errno.EFBIG, StoreFullError), (errno.EROFS, ReadOnlyStoreError),
        (errno.EACCES, AccessDeniedError), (errno.EPERM, AccessDeniedError),
        (errno.ENOENT, ModelNotFoundError), (errno.EEXIST, ModelExistsError),
        (errno.ECONNREFUSED, StoreUnavailableError), (errno.EHOSTUNREACH, StoreUnavailableError),
        (errno.ENETUNREACH, StoreUnavailableError), (errno.ETIMEDOUT, StoreUnavailableError),
        (errno.ESTALE, StorageError), (errno.EIO, StorageError),
    ],
)  # fmt: skip
def test_error_numbers(number: int, expected: type[RemoteModelsError]) -> None:
    translated = translate(OSError(number, "text"), Location.parse("s3://bucket/key"))
    assert isinstance(translated, expected)


def test_errors_of_ours_and_mistakes_pass_unchanged() -> None:
    location = Location.parse("s3://bucket/key")
    for error in (ModelExistsError("ours"), ZeroDivisionError(), AssertionError()):
        assert translate(error, location) is None


def test_every_error_of_botocore_is_translated() -> None:
    store = S3Store(fsspec.filesystem("memory"))
    kinds = [boto.ClientError, *subclasses(boto.BotoCoreError)]
    missed = [
        kind.__name__
        for kind in kinds
        if kind.__module__.startswith("botocore")
        # s3fs raises from it, so that it comes as the cause of an OSError.
        and not isinstance(
            store._translate(caused_by(kind), Location.parse("s3://bucket/key")),
            RemoteModelsError,
        )
    ]
    assert missed == []
    assert len(kinds) > 50


def caused_by(kind: type[BaseException]) -> OSError:
    error = OSError("text")
    error.__cause__ = kind.__new__(kind)
    if isinstance(error.__cause__, boto.ClientError):
        error.__cause__.response = {"Error": {"Code": "AnythingNew"}}
    return error


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("NoSuchKey", ModelNotFoundError), ("NoSuchBucket", BucketNotFoundError),
        ("InvalidAccessKeyId", CredentialsError), ("ExpiredToken", CredentialsError),
        ("AccessDenied", AccessDeniedError), ("PreconditionFailed", ConflictError),
        ("ConditionalRequestConflict", ConflictError),
        ("NotImplemented", UnsupportedRequestError), ("SlowDown", StoreUnavailableError),
        ("503", StoreUnavailableError), ("AnythingNew", StorageError),
    ],
)  # fmt: skip
def test_codes_of_s3(code: str, expected: type[RemoteModelsError]) -> None:
    error = OSError(22, "text")
    error.__cause__ = boto.ClientError({"Error": {"Code": code}}, "GetObject")
    store = S3Store(fsspec.filesystem("memory"))
    assert isinstance(store._translate(error, Location.parse("s3://bucket/key")), expected)
