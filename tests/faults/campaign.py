"""Many saves and loads while requests go wrong at random; what each has come to is counted."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any
from unittest.mock import patch

from publishing.artifacts import Content, directory, expected, load, save, single
from weights.counting_proxy import Disturbance

from faults.servers import Disturbed
from remote_models.errors import IntegrityError
from remote_models.storage import Buffer, Location, Store, TransferSettings, open_store

__all__ = ["OF_ANSWERS", "OF_REQUESTS", "Campaign", "Tally"]

OF_REQUESTS = (Disturbance.RESET, Disturbance.UNAVAILABLE, Disturbance.LOST)
"""What may happen to any request."""

OF_ANSWERS = (Disturbance.CUT, Disturbance.LONG, Disturbance.WHOLE, Disturbance.SHIFTED)
"""What may happen to the answer to a GET besides."""

TRANSFER = TransferSettings(max_request=16 * 1024, max_concurrency=4, max_gap=0)
"""Several ranges for each file."""


def several_ranges(version: str) -> Content:
    """One file of five ranges, of which each tells of its version."""
    content = single(version)
    return replace(content, files={"model.h5": f"weights {version} ".encode() * 5000})


@dataclass
class Tally:
    """What was done, and what went wrong meanwhile.

    Attributes:
        counts: How many saves and loads were right, and how the loads during which the
            model was replaced have ended.
        faults: How many requests were disturbed, by what.
        requests: How many requests there were.
        failures: What should not have happened.
    """

    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        done = ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()))
        faults = ", ".join(f"{count} {what}" for what, count in sorted(self.faults.items()))
        return (
            f"{done}; {len(self.failures)} wrong\n"
            f"    {self.requests} requests, {self.faults.total()} disturbed: {faults}"
        )


class Campaign:
    """Saves and loads models at their own URLs, a few at once.

    Args:
        store: The server behind its proxy.
        rate: Of 100 requests, how many meet each kind of fault.
        latency: Seconds before each answer.
        seed: For chance, as far as threads leave anything to it.
    """

    def __init__(self, store: Disturbed, *, rate: float, latency: float, seed: int = 1) -> None:
        self.tally = Tally()
        self.store = store
        self._rate = rate / 100
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        store.proxy.latency = latency
        store.proxy.disturbs = self._disturb

    def run(self, models: int, *, workers: int = 4) -> Tally:
        """Save ``models`` models, load each, and load each once more while it is replaced."""
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(self._live, range(models)))
        self.tally.requests = self.store.proxy.requests
        return self.tally

    def _live(self, number: int) -> None:
        content = directory if number % 2 else several_ranges
        name = f"model-{number}/{content('').name}"
        location = self.store.base.join(name)
        try:
            save(location, content("old"), store=self._open(location))
            self._count("saves")
            found = load(location, store=self._open(location))
            self.expect(name, found == expected(content("old")), "loads")
            self._replace_meanwhile(name, location, content)
        except Exception as error:  # noqa: BLE001 - counted, and the test fails
            self.expect(name, False, repr(error))

    def _replace_meanwhile(
        self, name: str, location: Location, content: Callable[[str], Content]
    ) -> None:
        """Load a model that is saved anew after some of its ranges were read."""
        direct = self.store.direct.join(name)
        store = self._open(location)
        with self._lock:
            reads = count(self._random.randrange(-6, 0))
        read = store.read

        def read_late(*args: Any, **options: Any) -> Buffer:
            data = read(*args, **options)
            if next(reads) == 0:
                save(direct, content("new"))
            return data

        try:
            with patch.object(store, "read", read_late):
                found = load(location, store=store)
        except IntegrityError:
            self._count("loads during a save: an error")
            return
        version = next((v for v in ("old", "new") if found == expected(content(v))), None)
        what = f"loads during a save: the {version} one"
        self.expect(name, version is not None, what)

    def _open(self, location: Location) -> Store:
        return open_store(location, TRANSFER)

    def _disturb(self, method: str, wanted: str | None) -> Disturbance | None:
        kinds = (*OF_REQUESTS, *OF_ANSWERS) if method == "GET" and wanted else OF_REQUESTS
        with self._lock:
            number = int(self._random.random() / self._rate)
            if number >= len(kinds):
                return None
            self.tally.faults[kinds[number].value] += 1
            return kinds[number]

    def expect(self, name: str, is_right: bool, what: str) -> None:
        """Count something that was done, or note that it went wrong."""
        if is_right:
            self._count(what)
        else:
            with self._lock:
                self.tally.failures.append(f"{name}: {what}")

    def _count(self, what: str) -> None:
        with self._lock:
            self.tally.counts[what] += 1
