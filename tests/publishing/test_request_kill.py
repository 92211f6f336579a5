"""A process that saves to a server and is killed, for real, at each of its requests.

Before the server has done the request, and after that, with the answer still on its way.
Whatever happens, a reader gets the old model whole, the new one whole, or an error that
says so, and the next save succeeds.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, Protocol

import pytest
from blind_spots import skip_blind_spot
from weights.counting_proxy import CountingProxy, Moment, counting_proxy

import remote_models as rm
from publishing import request_kill
from publishing.request_scenarios import SCENARIOS
from remote_models.storage import Location, open_store
from remote_models.testing import Emulator

pytestmark = pytest.mark.usefixtures("hasty_readers")

EVERY = int(os.environ.get("REMOTE_MODELS_TEST_KILL_EVERY", "11"))
"""Every which request savers are killed at; scripts/kills says 1."""

MOST_REQUESTS = 200

VERSIONED = ("file over file", "large file over file", "directory over directory")
"""Saves that replace what a bucket may keep versions of."""

PARTS = {"seaweed": "partNumber=", "fake_gcs": "upload_id="}
"""What the paths have in common of requests that send a part of a large file."""


class Buckets(Protocol):
    """What the fixture of that name is."""

    def prefix(self, emulator: Emulator, *, versioning: bool = False) -> Location: ...


class Killer:
    """Kills a process at a request, before or after it is done.

    Only requests count whose path contains ``among``.
    """

    def __init__(self, process: int, at: int, moment: Moment, among: str) -> None:
        self._process = process
        self._at = at
        self._moment = moment
        self._among = among
        self._lock = threading.Lock()
        self._seen: Counter[Moment] = Counter()

    def __call__(self, moment: Moment, path: str) -> None:
        with self._lock:
            if moment is self._moment and self._among in path:
                if self._seen[moment] == self._at:
                    os.kill(self._process, signal.SIGKILL)
                self._seen[moment] += 1


@dataclass(frozen=True)
class Forks:
    """The process that forks savers."""

    orders: IO[str]
    answers: IO[str]

    def save(
        self, base: Location, proxy: CountingProxy, *, scenario: str, client: str,
        at: int, moment: Moment, among: str = "",
    ) -> bool:  # fmt: skip
        """Save a version "new" below ``base``; say whether it was killed."""
        options = {**base.storage_options, "endpoint_url": proxy.endpoint_url}
        order = {
            "url": base.url, "options": options, "scenario": scenario,
            "client": client,
        }  # fmt: skip
        print(json.dumps(order), file=self.orders, flush=True)
        process = int(self.answers.readline())
        killer = Killer(process, at, moment, among)
        proxy.meets = killer
        os.kill(process, signal.SIGCONT)
        status = int(self.answers.readline())
        pause = threading.Event()
        while proxy.under_way:  # what the dead one has sent is still being done
            pause.wait(0.002)
        assert status in (0, signal.SIGKILL), status
        return status != 0


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with subprocess.Popen(
        [sys.executable, request_kill.__file__],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Forks(process.stdin, process.stdout)
        finally:
            process.stdin.close()


@contextmanager
def through_proxy(emulator: Emulator) -> Iterator[CountingProxy]:
    with counting_proxy(emulator.endpoint_url) as proxy:
        yield proxy


def sweep(base: Location) -> None:
    """Have everything removed that savers have left; no upload is under way then."""
    options = base.storage_options
    now = timedelta(0)
    rm.collect_garbage(base.url, older_than=now, dry_run=False, storage_options=options)
    assert not open_store(base).uploads(base)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param((name, versioning), id=f"{name}, versions" if versioning else name)
        for name in SCENARIOS
        for versioning in ([False, True] if name in VERSIONED else [False])
    ],
)
@pytest.mark.parametrize(
    "through",
    [("seaweed", "obstore"), ("seaweed", "fsspec"), ("fake_gcs", "auto")],
    ids=["obstore", "s3fs", "gcsfs"],
)
def test_killed(
    request: pytest.FixtureRequest,
    buckets: Buckets,
    forks: Forks,
    through: tuple[str, str],
    case: tuple[str, bool],
) -> None:
    (server, client), (name, versioning) = through, case
    scenario = SCENARIOS[name]
    if scenario.resumes and server == "fake_gcs":
        # What it was asked about replaces the present object, cut short. The rest is killed
        # in test_resume, on a server that keeps the rules.
        skip_blind_spot("fake-gcs-server makes an object of an upload that is asked how far it is")
    # With versions of objects, the manifest pins those of the old files.
    readable = frozenset({"old", "new"}) if versioning else scenario.readable
    found: Counter[str] = Counter()
    with through_proxy(request.getfixturevalue(server)) as proxy:

        def save_killed(base: Location, at: int, moment: Moment) -> bool:
            return forks.save(base, proxy, scenario=name, client=client, at=at, moment=moment)

        points = ((at, moment) for at in itertools.count() for moment in Moment)
        for at, moment in itertools.islice(points, None, None, EVERY):
            assert at < MOST_REQUESTS
            base = buckets.prefix(request.getfixturevalue(server), versioning=versioning)
            if scenario.present:
                scenario.save(base, "old")
            if scenario.resumes:
                assert forks.save(
                    base, proxy, scenario=name, client=client, at=0, moment=Moment.AFTER,
                    among=PARTS[server],
                )  # fmt: skip
            if not save_killed(base, at, moment):
                break
            outcome = scenario.observe(base)
            assert outcome in readable, f"{outcome} after a kill at {at}, {moment.value}"
            found[outcome] += 1
            scenario.save(base, "next")
            scenario.check(base, "next")
            sweep(base)
            scenario.check(base, "next")
    print(f"{name}, {server}, {client}: killed at {found.total()} requests, {dict(found)}")
    assert found
