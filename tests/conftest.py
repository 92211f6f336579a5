"""Servers and fresh places to write to, for every test.

A *base* is an empty folder or prefix that no other test sees, as a Location that
carries the storage options to reach it. ``base`` runs a test on all four stores.
An emulator starts with the first test that asks for it.
"""

from __future__ import annotations

import os
import secrets
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

# Read by gcsfs and google-auth when they are imported: without the first, gcsfs asks
# Google about the kind of each bucket; without the second, for a metadata service.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
os.environ["NO_GCE_CHECK"] = "true"

import pytest
from blind_spots import WHOLE_VERSIONS, blind, summary
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import HealthCheck, settings

from remote_models.storage import Location, open_store
from remote_models.testing import (
    Emulator,
    fake_gcs_server,
    ministack_server,
    moto_server,
    seaweedfs,
    set_environment,
)

# A busy machine is no failure.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_configure() -> None:
    """Let children be interrupted: what a shell starts in the background ignores SIGINT."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which cases no emulator here could judge."""
    skipped = terminalreporter.stats.get("skipped", ())
    lines = summary(str(report.longrepr[2]) for report in skipped if report.longrepr)
    if lines:
        terminalreporter.section("blind spots of the emulators")
        for line in lines:
            terminalreporter.write_line(line)


LONGEST = (
    "integration/test_scenarios.py", "keras2/test_loading.py", "terraform/test_check.py", "faults",
    "streaming", "test_scripts.py", "simulation", "flips", "publishing", "saved_model3", "attacks",
)  # fmt: skip
"""Folders and files whose tests take longest: several processes begin with them."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest where several processes share the tests (scripts/test)."""
    if hasattr(config, "workerinput"):  # what pytest-xdist gives its processes
        items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    name = item.path.relative_to(Path(__file__).parent).as_posix()
    return next((at for at, each in enumerate(LONGEST) if name.startswith(each)), len(LONGEST))


STORES = ("local", "memory", "s3", "gcs")


@pytest.fixture(scope="session", autouse=True)
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for caches; children of the session share one. None is that of the user."""
    folder = tmp_path_factory.mktemp("caches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REMOTE_MODELS_CACHE", str(folder / "session"))
        patch.delenv("REMOTE_MODELS_CACHE_SIZE", raising=False)
        yield folder


@pytest.fixture(autouse=True)
def _empty_cache(caches: Path) -> Iterator[None]:
    """A cache for each test, or what one has loaded another could not find damaged."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REMOTE_MODELS_CACHE", str(caches / secrets.token_hex(8)))
        yield


@pytest.fixture(autouse=True)
def _hasty_savers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for savers that a test has killed: a live one is safe without, too."""
    monkeypatch.setattr("remote_models.publishing._manifest_file.PATIENCE_SECONDS", 0)


@pytest.fixture(scope="session")
def seaweed() -> Iterator[Emulator]:
    """SeaweedFS: the S3 server that refuses. One for the session: it takes 3 s to start."""
    with seaweedfs() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def moto() -> Iterator[Emulator]:
    """moto: a second opinion on S3. One for the session: it takes 1 s to start."""
    with moto_server() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def ministack() -> Iterator[Emulator]:
    """ministack: S3 that refuses stale conditions. One for the session: it takes 1 s to start."""
    with ministack_server() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def fake_gcs() -> Iterator[Emulator]:
    """fake-gcs-server. One for the session: what it holds in memory goes with it."""
    with fake_gcs_server() as emulator:
        yield emulator


@pytest.fixture
def local_base(tmp_path: Path) -> Location:
    """An empty folder on this machine."""
    folder = tmp_path / "base"
    folder.mkdir()
    return Location.parse(folder)


@pytest.fixture
def memory_base() -> Iterator[Location]:
    """A name in fsspec's memory, which all tests of a process share; emptied afterwards."""
    base = Location.parse(f"memory://test-{secrets.token_hex(8)}")
    yield base
    root = f"/{base.path}"
    for path in [path for path in MemoryFileSystem.store if path.startswith(root)]:
        del MemoryFileSystem.store[path]
    folders = MemoryFileSystem.pseudo_dirs
    folders[:] = [path for path in folders if not path.startswith(root)]


@pytest.fixture(scope="session")
def buckets() -> Buckets:
    """The buckets of this session: SeaweedFS needs 0.2 s for the first write to each."""
    return Buckets()


class Buckets:
    """Hands out empty prefixes, in a bucket of the session's own for each server."""

    def __init__(self) -> None:
        self._urls: dict[tuple[str, bool], str] = {}

    def prefix(self, emulator: Emulator, *, versioning: bool = False) -> Location:
        """Return a prefix under which nothing is."""
        wanted = emulator.endpoint_url, versioning
        if wanted not in self._urls:
            self._urls[wanted] = emulator.make_bucket(versioning=versioning)
        url = f"{self._urls[wanted]}/test-{secrets.token_hex(8)}"
        return Location.parse(url, emulator.storage_options)


@pytest.fixture
def s3_base(seaweed: Emulator, buckets: Buckets) -> Location:
    """An empty prefix of SeaweedFS."""
    return buckets.prefix(seaweed)


@pytest.fixture
def moto_base(moto: Emulator, buckets: Buckets) -> Location:
    """An empty prefix of moto."""
    return buckets.prefix(moto)


@pytest.fixture
def ministack_base(ministack: Emulator, buckets: Buckets) -> Location:
    """An empty prefix of ministack."""
    return buckets.prefix(ministack)


@pytest.fixture
def gcs_base(fake_gcs: Emulator, buckets: Buckets) -> Location:
    """An empty prefix of fake-gcs-server."""
    return buckets.prefix(fake_gcs)


@pytest.fixture
def cloud_base(request: pytest.FixtureRequest) -> Iterator[Location]:
    """An empty prefix of a bucket of AWS or Google, which the environment names and pays for."""
    base = Location.parse(f"{os.environ[request.param]}/test-{secrets.token_hex(8)}")
    yield base
    store = open_store(base)
    for path in store.list(base):
        store.delete(base.join(path))


@pytest.fixture(params=STORES)
def base(request: pytest.FixtureRequest) -> Location:
    """An empty folder or prefix, in each of the four stores in turn."""
    location: Location = request.getfixturevalue(f"{request.param}_base")
    return location


@pytest.fixture(params=["seaweed", "moto", blind("ministack", WHOLE_VERSIONS), "fake_gcs"])
def versioned_base(request: pytest.FixtureRequest, buckets: Buckets) -> Location:
    """An empty prefix whose bucket keeps what is overwritten, on each server in turn."""
    return buckets.prefix(request.getfixturevalue(request.param), versioning=True)


@pytest.fixture(params=STORES)
def base_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty folder or prefix, which the environment alone suffices to reach."""
    base: Location = request.getfixturevalue(f"{request.param}_base")
    servers = {"s3": "seaweed", "gcs": "fake_gcs"}
    if request.param not in servers:
        yield str(base)
        return
    with set_environment(request.getfixturevalue(servers[request.param])):
        yield str(base)
