"""Several processes and one cache, before a real S3 server that is asked through a proxy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from weights.counting_proxy import CountingProxy, counting_proxy

import remote_models as rm
from cache import child, kill_child
from cache.models import StoredModel, cache_in, content_of, load, names_in, put_model
from remote_models._file_lock import remove_abandoned
from remote_models.cache import Cache
from remote_models.storage import Location
from remote_models.testing import Emulator

SECONDS = 60


@pytest.fixture
def proxy(seaweed: Emulator) -> Iterator[CountingProxy]:
    """One for each test: what a killed process has left open goes with it."""
    with counting_proxy(seaweed.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def stored(s3_base: Location) -> StoredModel:
    """A model on S3; the large file takes several requests."""
    return put_model(s3_base.join("model"), content_of(3_000, 10_000_000, 500))


class Gate:
    """Lets requests for a model's files pass when enough processes have read its manifest."""

    def __init__(self, processes: int) -> None:
        self._changed = threading.Condition()
        self._manifests = 0
        self._processes = processes
        self.is_asked_for_files = threading.Event()

    def __call__(self, _method: str, path: str) -> bool:
        with self._changed:
            if path.partition("?")[0].endswith("manifest.json"):
                self._manifests += 1
                self._changed.notify_all()
            else:
                self.is_asked_for_files.set()
                self._changed.wait_for(lambda: self._manifests >= self._processes, SECONDS)
        return True

    def wait_for_manifests(self, number: int) -> None:
        """Wait until so many processes have opened the model."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._manifests >= number, SECONDS)


class Loader:
    """Starts loads in processes of their own."""

    def __init__(self, proxy: CountingProxy, emulator: Emulator, cache: Cache) -> None:
        self._environment = {**os.environ, **proxy.environment(emulator)}
        self._cache = cache

    def start(self, model: StoredModel) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, child.__file__, str(model.location), str(self._cache.directory)],
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def loader(proxy: CountingProxy, seaweed: Emulator, cache: Cache) -> Loader:
    return Loader(proxy, seaweed, cache)


def result_of(process: subprocess.Popen[str]) -> object:
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    return json.loads(out)


def bytes_of_files(proxy: CountingProxy) -> int:
    return sum(each.nbytes for each in proxy.exchanges if "manifest.json" not in each.path)


def test_of_several_processes_one_downloads(
    proxy: CountingProxy, loader: Loader, cache: Cache, stored: StoredModel
) -> None:
    proxy.allows = Gate(3)
    processes = [loader.start(stored) for _ in range(3)]
    assert [result_of(each) for each in processes] == [stored.digests] * 3
    assert bytes_of_files(proxy) == stored.manifest.total_size
    assert names_in(cache) == sorted(stored.digests.values())


def test_a_process_that_is_killed_while_it_downloads_is_in_nobodys_way(
    proxy: CountingProxy, loader: Loader, cache: Cache, stored: StoredModel
) -> None:
    proxy.allows = gate = Gate(2)
    victim = loader.start(stored)
    assert gate.is_asked_for_files.wait(SECONDS)
    (lock,) = names_in(cache)
    assert lock.endswith(".lock")
    (path,) = cache.directory.rglob(lock)
    assert not remove_abandoned(path)  # as long as it runs
    victim.kill()
    victim.communicate()
    assert names_in(cache) == [lock]
    assert result_of(loader.start(stored)) == stored.digests
    assert names_in(cache) == sorted(stored.digests.values())


def test_a_process_that_waits_for_one_that_is_killed_goes_on_itself(
    proxy: CountingProxy, loader: Loader, cache: Cache, stored: StoredModel
) -> None:
    proxy.allows = gate = Gate(3)
    victim = loader.start(stored)
    assert gate.is_asked_for_files.wait(SECONDS)
    heir = loader.start(stored)
    gate.wait_for_manifests(2)
    victim.kill()
    victim.communicate()
    assert result_of(loader.start(stored)) == stored.digests  # the third opens the gate
    assert result_of(heir) == stored.digests
    assert names_in(cache) == sorted(stored.digests.values())


def test_killed_at_every_change_to_the_cache(tmp_path: Path, local_base: Location) -> None:
    model = put_model(local_base.join("model"), content_of(70, 0, 2_000_000))
    (tmp_path / "caches").mkdir()
    done = subprocess.run(
        [sys.executable, kill_child.__file__, tmp_path / "caches", model.location.path],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert int(done.stdout) > 20
    left = 0
    for at in range(int(done.stdout)):
        cache = cache_in(tmp_path / "caches" / str(at))
        left += any(name.startswith(".") for name in names_in(cache))
        assert load(cache, model.location) == model.files
        cache.prune(cache.max_size)
        assert names_in(cache) == sorted(model.digests.values()), f"after a kill at {at}"
    assert left > 5  # some kills do leave something


@pytest.fixture(params=["obstore", "fsspec"])
def counted(
    request: pytest.FixtureRequest,
    proxy: CountingProxy,
    seaweed: Emulator,
    stored: StoredModel,
    monkeypatch: pytest.MonkeyPatch,
) -> Location:
    """The model, as either client reaches it through the proxy."""
    monkeypatch.setenv("REMOTE_MODELS_CLIENT", request.param)
    return replace(stored.location, storage_options=proxy.storage_options(seaweed))


def test_what_is_in_the_cache_is_one_request(
    proxy: CountingProxy, cache: Cache, counted: Location, stored: StoredModel
) -> None:
    assert load(cache, counted) == stored.files
    proxy.clear()
    assert load(cache, counted) == stored.files
    (exchange,) = proxy.exchanges
    assert (exchange.method, exchange.status) == ("GET", 206)
    assert exchange.path.partition("?")[0].endswith("/model/manifest.json")


def test_pulling_reads_from_the_cache_and_leaves_nothing_there(
    proxy: CountingProxy,
    cache: Cache,
    counted: Location,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REMOTE_MODELS_CACHE", str(cache.directory))
    options = dict(counted.storage_options)
    rm.pull_model(str(counted), tmp_path / "before", storage_options=options)
    assert names_in(cache) == []
    files = load(cache, counted)
    proxy.clear()
    rm.pull_model(str(counted), tmp_path / "after", storage_options=options)
    names = [each.path.rpartition("/")[2] for each in proxy.exchanges]
    assert names == ["manifest.json", "model.sig"]
    for folder in ("before", "after"):
        for path, data in files.items():
            assert (tmp_path / folder / path).read_bytes() == data
