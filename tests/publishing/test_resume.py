"""Pushes that are killed while their bytes travel: the next one sends what is missing, no more."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import Buckets
from storage.resumable_gcs import ResumableGCS, resumable_gcs
from weights.counting_proxy import CountingProxy, Exchange, counting_proxy

import remote_models as rm
from remote_models.storage import Location, open_store
from remote_models.testing import Emulator

PART = 8 * 1024 * 1024
PARTS = 9
_PART_NUMBER = re.compile(r"[?&]partNumber=(\d+)")

CLIENTS = ("fsspec", "obstore")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 9 parts in which no two are alike."""
    path = tmp_path_factory.mktemp("model") / "large.weights.h5"
    write_model(path, seed=1)
    assert (PARTS - 1) * PART < path.stat().st_size < PARTS * PART
    return path


@pytest.fixture(scope="module")
def half_trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of which the first half is the same."""
    path = tmp_path_factory.mktemp("model") / "large.weights.h5"
    write_model(path, seed=2, frozen=4)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of which all parts are others."""
    path = tmp_path_factory.mktemp("model") / "large.weights.h5"
    write_model(path, seed=3)
    return path


def write_model(path: Path, *, seed: int, frozen: int = 0) -> None:
    with h5py.File(path, "w") as file:
        for number in range(8):
            generator = np.random.default_rng([1 if number < frozen else seed, number])
            values = generator.integers(0, 256, size=8_500_000, dtype="u1")
            file.create_dataset(f"layers/dense_{number}/vars/0", data=values)


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def base(seaweed: Emulator, buckets: Buckets) -> Location:
    return buckets.prefix(seaweed)


class Push:
    """``remote-models push`` in a process of its own."""

    def __init__(self, model: Path, url: str, environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "remote_models", "push", "-q", str(model), url]
        self.process = subprocess.Popen(command, env={**os.environ, **environment})

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)

    def wait(self) -> int:
        try:
            return self.process.wait(timeout=120)
        finally:
            self.process.kill()
            self.process.wait()


class Saver:
    """Pushes to one URL of SeaweedFS, each through a proxy of its own.

    What a killed process had under way still passes its proxy when the next one is at work.
    """

    def __init__(self, proxies: ExitStack, server: Emulator, url: Location, client: str) -> None:
        self.url = url
        self._proxies = proxies
        self._server = server
        self._client = client

    def start(self, model: Path, proxy: CountingProxy) -> Push:
        environment = {
            **proxy.environment(self._server),
            "REMOTE_MODELS_CLIENT": self._client,
            "REMOTE_MODELS_MAX_CONCURRENCY": "2",
        }
        return Push(model, str(self.url), environment)

    def proxy(self) -> CountingProxy:
        return self._proxies.enter_context(counting_proxy(self._server.endpoint_url))

    def at_part(self, model: Path, parts: int, act: Callable[[Push], None]) -> Push:
        """Start a push and do something to it when it has begun to send so many parts."""
        return self._at_part(model, parts, act)[0]

    def _at_part(
        self, model: Path, parts: int, act: Callable[[Push], None]
    ) -> tuple[Push, CountingProxy]:
        proxy = self.proxy()
        seen = set[int]()
        started: list[Push] = []

        def watch(method: str, path: str) -> bool:
            number = _PART_NUMBER.search(path)
            if method == "PUT" and number is not None:
                with proxy.lock:
                    is_new = int(number[1]) not in seen
                    seen.add(int(number[1]))
                    if is_new and len(seen) == parts:
                        act(started[0])
            return True

        proxy.allows = watch
        started.append(self.start(model, proxy))
        return started[0], proxy

    def killed(self, model: Path, parts: int) -> set[int]:
        """Kill a push, and return the parts that had arrived for certain."""
        push, proxy = self._at_part(model, parts, Push.kill)
        assert push.wait() == -signal.SIGKILL
        return sent_parts(list(proxy.exchanges))

    def finished(self, model: Path) -> Sequence[Exchange]:
        """Let a push do its work, and return its requests."""
        proxy = self.proxy()
        assert self.start(model, proxy).wait() == 0
        return list(proxy.exchanges)

    def check(self) -> None:
        """Nothing but the whole model is there, and nothing is written down any more."""
        assert rm.verify_model(str(self.url), storage_options=self.url.storage_options).ok
        assert open_store(self.url).uploads(self.url.parent) == []
        assert entries() == []


@pytest.fixture
def saver(seaweed: Emulator, base: Location, client: str) -> Iterator[Saver]:
    with ExitStack() as proxies:
        yield Saver(proxies, seaweed, base.join("m.weights.h5"), client)


def sent_parts(exchanges: Sequence[Exchange]) -> set[int]:
    found = (
        _PART_NUMBER.search(each.path)
        for each in exchanges
        if each.method == "PUT" and each.status == 200
    )
    return {int(match[1]) for match in found if match}


def sent_bytes(exchanges: Sequence[Exchange]) -> int:
    return sum(each.sent for each in exchanges)


def entries() -> list[Path]:
    """Return what is written down of uploads in the cache's folder."""
    return list(Path(os.environ["REMOTE_MODELS_CACHE"]).glob("uploads/*"))


@pytest.mark.parametrize(
    ("client", "at"),
    [("fsspec", 6), ("obstore", 2), ("obstore", 6), ("obstore", 9)],
    indirect=["client"],
)
def test_the_rest_is_sent(model: Path, saver: Saver, client: str, at: int) -> None:
    arrived = saver.killed(model, at)
    requests = saver.finished(model)
    again = sent_parts(requests)
    print(
        f"{client}: killed at part {at} of {PARTS}, {len(arrived)} had arrived;"
        f" then {len(again)} parts, {sent_bytes(requests)} bytes of {model.stat().st_size}"
    )
    assert not arrived & again
    missing = max(model.stat().st_size - len(arrived) * PART, 0)
    assert sent_bytes(requests) < missing + PART // 4
    saver.check()


@pytest.mark.parametrize("client", ["obstore"], indirect=True)
def test_killed_three_times(model: Path, saver: Saver) -> None:
    for at in (3, 2, 2):
        saver.killed(model, at)
    requests = saver.finished(model)
    print(f"{sent_bytes(requests)} bytes of {model.stat().st_size} after three kills")
    assert len(sent_parts(requests)) <= 6
    saver.check()


@pytest.mark.parametrize("client", ["obstore"], indirect=True)
def test_other_parts_are_sent(model: Path, half_trained: Path, saver: Saver) -> None:
    assert saver.killed(model, 8) >= {1, 2, 3}
    again = sent_parts(saver.finished(half_trained))
    print(f"parts {sorted(again)} of {PARTS} were others, or had not arrived")
    assert again.isdisjoint({1, 2, 3})
    assert again >= {6, 7, 8, 9}
    saver.check()


@pytest.mark.parametrize("client", ["fsspec"], indirect=True)
def test_a_trained_model_is_sent_whole(model: Path, trained: Path, saver: Saver) -> None:
    saver.killed(model, 7)
    assert sent_parts(saver.finished(trained)) == set(range(1, PARTS + 1))
    saver.check()


@pytest.mark.parametrize("client", ["obstore"], indirect=True)
@pytest.mark.parametrize("then", ["half_trained", "trained"])
def test_copied_parts_of_a_killed_push_do_no_harm(
    model: Path, half_trained: Path, trained: Path, saver: Saver, then: str
) -> None:
    """Half of the parts are copied from the model that is there, and cut otherwise."""
    saver.finished(model)
    saver.killed(half_trained, 6)
    chosen = {"half_trained": half_trained, "trained": trained}[then]
    requests = saver.finished(chosen)
    print(f"{sent_bytes(requests)} bytes of {chosen.stat().st_size} sent")
    assert sent_bytes(requests) < chosen.stat().st_size * (0.6 if then == "half_trained" else 1.1)
    saver.check()


def test_what_a_living_process_sends_is_left_alone(model: Path, saver: Saver) -> None:
    """A process that stands still lives: it goes on afterwards, and its upload is there."""
    stopped = saver.at_part(model, 5, lambda push: push.process.send_signal(signal.SIGSTOP))
    while not is_stopped(stopped.process.pid):
        os.waitid(os.P_PID, stopped.process.pid, os.WSTOPPED | os.WNOWAIT)
    try:
        (upload,) = open_store(saver.url).uploads(saver.url.parent)
        assert sent_parts(saver.finished(model)) == set(range(1, PARTS + 1))
        assert open_store(saver.url).uploads(saver.url.parent) == [upload]
    finally:
        stopped.process.send_signal(signal.SIGCONT)
    assert stopped.wait() == 0
    saver.check()


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2][0] == "T"


@pytest.mark.parametrize("client", ["fsspec"], indirect=True)
def test_without_a_folder_all_is_sent(
    model: Path, saver: Saver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMOTE_MODELS_CACHE", "off")
    saver.killed(model, 6)
    assert len(sent_parts(saver.finished(model))) == PARTS


@pytest.mark.parametrize("client", ["obstore"], indirect=True)
def test_what_nobody_goes_on_with_is_swept_up(model: Path, saver: Saver) -> None:
    saver.killed(model, 4)
    folder = saver.url.parent
    options = folder.storage_options
    assert rm.collect_garbage(folder.url, dry_run=False, storage_options=options).leftovers == ()
    report = rm.collect_garbage(
        folder.url, older_than=timedelta(0), dry_run=False, storage_options=options
    )
    assert [(each.kind, each.url) for each in report.leftovers] == [
        ("journal entry", str(saver.url)), ("upload", str(saver.url))
    ]  # fmt: skip
    assert open_store(saver.url).uploads(folder) == []
    assert entries() == []


# Cloud Storage


@pytest.fixture
def gcs() -> Iterator[ResumableGCS]:
    with resumable_gcs() as server:
        yield server


def push_to(gcs: ResumableGCS, model: Path, kill_at: int | None = None) -> int:
    """Push, be killed when the session has so many bytes, and return the bytes that arrived."""
    started: list[Push] = []

    def watch(received: int) -> None:
        if received == kill_at:
            started[0].kill()

    gcs.watch = watch
    before = gcs.sent
    environment = {
        "STORAGE_EMULATOR_HOST": gcs.endpoint_url,
        "GOOGLE_CLOUD_PROJECT": "test-project",
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        "NO_GCE_CHECK": "true",
        "CLOUDSDK_CONFIG": os.devnull,
    }
    started.append(Push(model, "gs://bucket/m.weights.h5", environment))
    code = started[0].wait()
    assert code == (0 if kill_at is None else -signal.SIGKILL)
    with gcs.idle:  # what is on its way still arrives
        return gcs.sent - before


@pytest.mark.parametrize("at", [1, 70, 200])
def test_gcs_is_sent_the_rest(gcs: ResumableGCS, model: Path, at: int) -> None:
    size = model.stat().st_size
    push_to(gcs, model, kill_at=at * 256 * 1024)
    (session,) = gcs.sessions.values()
    kept = len(session.received)
    sent = push_to(gcs, model)
    print(f"killed when {kept} bytes of {size} had arrived; then {sent} were sent")
    assert gcs.objects["m.weights.h5"] == model.read_bytes()
    assert gcs.begun == 1
    assert size - kept <= sent < size - kept + 65536
    assert (gcs.sessions, entries()) == ({}, [])


def test_sessions_of_gcs_are_swept_up(gcs: ResumableGCS, model: Path) -> None:
    push_to(gcs, model, kill_at=40 * 256 * 1024)
    options = {"endpoint_url": gcs.endpoint_url, "token": "anon"}
    for dry_run in (True, False):
        report = rm.collect_garbage(
            "gs://bucket", older_than=timedelta(0), dry_run=dry_run, storage_options=options
        )
        (found,) = report.leftovers
        assert (found.kind, found.url) == ("journal entry", "gs://bucket/m.weights.h5")
        assert len(gcs.sessions) == len(entries()) == (1 if dry_run else 0)


@pytest.mark.parametrize("other", ["half_trained", "trained"])
def test_gcs_is_sent_other_bytes_whole(
    gcs: ResumableGCS, model: Path, other: str, request: pytest.FixtureRequest
) -> None:
    """A session takes no byte twice: from the first difference on it is of no use."""
    path: Path = request.getfixturevalue(other)
    push_to(gcs, model, kill_at=200 * 256 * 1024)
    sent = push_to(gcs, path)
    assert gcs.objects["m.weights.h5"] == path.read_bytes()
    assert gcs.begun == 2
    assert path.stat().st_size < sent < path.stat().st_size + 65536
    assert (gcs.sessions, entries()) == ({}, [])
