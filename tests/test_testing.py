"""The emulators themselves: they serve, refuse, and leave nothing behind."""

from __future__ import annotations

import importlib.metadata
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

import remote_models.testing
from remote_models.errors import (
    ArgumentError,
    MissingDependencyError,
    StorageError,
    StoreUnavailableError,
)
from remote_models.testing import (
    Emulator,
    _fake_gcs,
    fake_gcs_server,
    ministack_server,
    moto_server,
    seaweedfs,
    set_environment,
)
from remote_models.testing._package import import_package
from remote_models.testing._ports import find_free_ports
from remote_models.testing._process import Launch, serve

fsspec = pytest.importorskip("fsspec")
pytest.importorskip("s3fs")

Start = Callable[[], AbstractContextManager[Emulator]]
STARTS: dict[str, Start] = {
    "fake-gcs-server": fake_gcs_server,
    "ministack": ministack_server,
    "moto": moto_server,
    "seaweedfs": seaweedfs,
}


@pytest.fixture(scope="module")
def weed() -> Iterator[Emulator]:
    """SeaweedFS, once for the module because it takes 3 s to start."""
    with seaweedfs() as emulator:
        yield emulator


@pytest.fixture(scope="module", params=STARTS)
def emulator(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """Each emulator in turn; module scope for the same reason."""
    name = str(request.param)
    if name == "seaweedfs":
        yield request.getfixturevalue("weed")
        return
    with STARTS[name]() as started:
        yield started


@pytest.fixture
def file_system(emulator: Emulator) -> Iterator[Any]:
    """fsspec's file system, found through the environment alone."""
    # gcsfs must not be imported before its variable is set.
    with set_environment(emulator):
        yield fsspec.filesystem("gs" if emulator.name == "fake-gcs-server" else "s3")


def is_listening(url: str) -> bool:
    parts = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((parts.hostname, parts.port)) == 0


def files_of(log: Path) -> list[Path]:
    """The server's folder, and the sockets that SeaweedFS puts elsewhere."""
    sockets = re.findall(r"/tmp/seaweedfs-\S+\.sock", log.read_text(errors="replace"))
    return [log.parent, *map(Path, set(sockets))]  # the log names some twice


def wait_for(condition: Callable[[], bool], *, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_exports_are_sorted_and_real() -> None:
    exported = remote_models.testing.__all__
    assert exported == sorted(exported)
    assert all(hasattr(remote_models.testing, name) for name in exported)


def test_stores_through_environment(emulator: Emulator, file_system: Any) -> None:
    url = emulator.make_bucket()
    file_system.pipe_file(f"{url}/folder/object", b"content")
    assert file_system.cat_file(f"{url}/folder/object") == b"content"
    assert file_system.find(url) == [f"{url.partition('://')[2]}/folder/object"]


@pytest.mark.usefixtures("file_system")
def test_stores_through_storage_options(emulator: Emulator, monkeypatch: Any) -> None:
    url = emulator.make_bucket()
    for name in emulator.environment:
        monkeypatch.delenv(name)
    with fsspec.open(f"{url}/object", "wb", **emulator.storage_options) as stream:
        stream.write(b"content")
    with fsspec.open(f"{url}/object", "rb", **emulator.storage_options) as stream:
        assert stream.read() == b"content"


def test_bucket_is_named_as_asked_and_only_once(emulator: Emulator) -> None:
    url = emulator.make_bucket("a-bucket-of-mine")
    assert url.partition("://")[2] == "a-bucket-of-mine"
    assert url.partition("://")[0] in {"s3", "gs"}
    if emulator.name not in (
        "moto",
        "ministack",
    ):  # us-east-1 of AWS lets the owner create it again
        with pytest.raises(StorageError, match="a-bucket-of-mine"):
            emulator.make_bucket("a-bucket-of-mine")


@pytest.mark.parametrize("versioning", [True, False])
def test_versioning(emulator: Emulator, file_system: Any, *, versioning: bool) -> None:
    path = f"{emulator.make_bucket(versioning=versioning)}/object"
    for content in (b"first", b"second"):
        file_system.pipe_file(path, content)
    if emulator.name == "fake-gcs-server":
        versions = file_system.ls(path.rpartition("/")[0], versions=True, refresh=True)
    else:
        aware = fsspec.filesystem("s3", version_aware=True)
        versions = aware.object_version_info(path)
    assert len(versions) == (2 if versioning else 1)


def test_many_buckets_can_be_written(weed: Emulator) -> None:
    with set_environment(weed):
        s3 = fsspec.filesystem("s3")
        for _ in range(12):  # the server's defaults end at the third
            s3.pipe_file(f"{weed.make_bucket()}/object", b"content")


@pytest.mark.parametrize("field", ["key", "secret"])
def test_wrong_credentials_are_refused(weed: Emulator, field: str) -> None:
    url = weed.make_bucket()
    s3 = fsspec.filesystem("s3", **{**weed.storage_options, field: "WRONG"})
    with pytest.raises(PermissionError):
        s3.pipe_file(f"{url}/object", b"content")


def test_anonymous_is_refused(weed: Emulator) -> None:
    s3 = fsspec.filesystem("s3", anon=True, endpoint_url=weed.endpoint_url)
    with pytest.raises(PermissionError):
        s3.pipe_file(f"{weed.make_bucket()}/object", b"content")


def test_reader_reads_but_does_not_write(weed: Emulator) -> None:
    reader = weed.as_reader()
    path = f"{reader.make_bucket()}/object"
    fsspec.filesystem("s3", **weed.storage_options).pipe_file(path, b"content")
    with set_environment(reader):
        s3 = fsspec.filesystem("s3")
        assert s3.cat_file(path) == b"content"
        assert len(s3.ls(path.rpartition("/")[0])) == 1
        with pytest.raises(PermissionError):
            s3.pipe_file(path, b"other")
        with pytest.raises(PermissionError):
            s3.rm_file(path)
    assert fsspec.filesystem("s3", **reader.storage_options).cat_file(path) == b"content"


def test_emulator_without_permissions_has_no_reader() -> None:
    with (
        fake_gcs_server() as emulator,
        pytest.raises(ArgumentError, match="fake-gcs-server has no"),
    ):
        emulator.as_reader()


def test_environment_is_set_and_restored(weed: Emulator, monkeypatch: Any) -> None:
    monkeypatch.setenv("AWS_PROFILE", "of-the-developer")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-developer")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    before = dict(os.environ)
    with pytest.raises(ZeroDivisionError), set_environment(weed):  # noqa: PT012 - the point
        assert weed.environment.items() <= os.environ.items()
        assert "AWS_PROFILE" not in os.environ
        raise ZeroDivisionError
    assert dict(os.environ) == before


def test_environments_of_two_clouds_nest(weed: Emulator) -> None:
    with fake_gcs_server() as gcs, set_environment(weed), set_environment(gcs):
        assert {**weed.environment, **gcs.environment}.items() <= os.environ.items()


def test_cached_file_system_does_not_outlive_environment(weed: Emulator) -> None:
    with set_environment(weed):
        first = fsspec.filesystem("s3")
        assert fsspec.filesystem("s3") is first
    with set_environment(weed.as_reader()):
        assert fsspec.filesystem("s3") is not first


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_nothing_is_left_behind(start: Start) -> None:
    with start() as emulator:
        assert is_listening(emulator.endpoint_url)
        files = files_of(emulator.log_path)
        assert all(file.exists() for file in files)
        assert len(files) == (5 if emulator.name == "seaweedfs" else 1)
    assert not is_listening(emulator.endpoint_url)
    assert not any(file.exists() for file in files)


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_nothing_survives_a_killed_owner(start: Start) -> None:
    # The owner also forks: the child holds its pipes open after the kill.
    code = (
        "import os, time\n"
        f"from remote_models.testing import {start.__name__} as start\n"
        "with start() as emulator:\n"
        "    child = os.fork()\n"
        "    if child:\n"
        "        print(child, emulator.endpoint_url, emulator.log_path, flush=True)\n"
        "    time.sleep(60)\n"
    )
    root = str(Path(remote_models.testing.__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        child, url, log = owner.stdout.readline().split()
        assert is_listening(url)
        files = files_of(Path(log))
        owner.kill()
        owner.wait()
        try:
            assert wait_for(lambda: not is_listening(url))
            assert wait_for(lambda: not any(file.exists() for file in files))
        finally:
            os.kill(int(child), signal.SIGKILL)


def test_server_outlives_the_thread_that_started_it() -> None:
    with ExitStack() as stack:
        started: list[Emulator] = []
        thread = Thread(target=lambda: started.append(stack.enter_context(fake_gcs_server())))
        thread.start()
        thread.join()
        time.sleep(0.5)  # a death signal to the thread would have arrived
        started[0].make_bucket()


def test_a_lost_port_is_replaced(monkeypatch: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        lost = taken.getsockname()[1]
        choices = iter([[lost], find_free_ports(1)])
        monkeypatch.setattr(_fake_gcs, "find_free_ports", lambda _count: next(choices))
        with fake_gcs_server() as emulator:
            assert urlsplit(emulator.endpoint_url).port != lost
            emulator.make_bucket()


def test_two_of_a_kind_run_side_by_side() -> None:
    with fake_gcs_server() as one, fake_gcs_server() as other:
        assert one.make_bucket("same") == other.make_bucket("same")


def test_failure_to_start_shows_the_log(tmp_path: Path) -> None:
    def refuse(_bucket: str, _versioning: bool) -> None:
        raise NotImplementedError

    emulator = Emulator(
        name="broken",
        endpoint_url="http://127.0.0.1:1",
        environment={},
        storage_options={},
        log_path=tmp_path,
        _scheme="s3",
        _create_bucket=refuse,
    )
    launch = Launch(
        emulator=emulator,
        command=[sys.executable, "-c", "raise SystemExit('no such disk')"],
        environment={},
        is_ready=lambda: False,
    )
    with pytest.raises(StoreUnavailableError, match="no such disk"), serve(lambda _: launch):
        pass


def test_ports_are_free_and_distinct() -> None:
    ports = find_free_ports(8, offsets=(0, 10_000))
    assert len(set(ports)) == len(ports)
    assert not any(is_listening(f"http://127.0.0.1:{port}") for port in ports)


@pytest.mark.parametrize("start", [fake_gcs_server, seaweedfs])
def test_missing_program_names_the_extra(start: Start, monkeypatch: Any) -> None:
    def files(name: str) -> list[importlib.metadata.PackagePath] | None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", files)
    with (
        pytest.raises(MissingDependencyError, match=r"pip install 'remote_models\[testing\]'"),
        start(),
    ):
        pass


def test_missing_module_names_the_extra(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "moto", None)
    with (
        pytest.raises(MissingDependencyError, match=r"pip install 'remote_models\[testing\]'"),
        moto_server(),
    ):
        pass


def test_import_package_returns_the_module() -> None:
    assert import_package("json").loads("1") == 1
