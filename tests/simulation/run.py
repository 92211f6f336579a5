"""Run histories by their seeds, in several processes, and count what they came to.

As a program: ``python -m simulation.run --seeds N [--from N] [--workers N]``.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing import get_context
from unittest.mock import patch

from remote_models.manifest import StoredManifest
from remote_models.publishing import _manifest_file, _switch
from remote_models.remote_model import _settled
from simulation.histories import ViolationError, run_history
from simulation.planted import MISTAKES
from simulation.world import Clock

__all__ = ["Tally", "run_seeds", "simulated"]

_CHUNK = 250


@dataclass
class Tally:
    """What histories came to.

    Attributes:
        histories: How many.
        requests: How many requests they made.
        saves: How saves ended, and how many so.
        loads: What readers got.
        swept: How many files of killed saves were removed as garbage.
        violation: The first history that broke a promise, in words.
    """

    histories: int = 0
    requests: int = 0
    saves: Counter[str] = field(default_factory=Counter)
    loads: Counter[str] = field(default_factory=Counter)
    swept: int = 0
    violation: str | None = None

    def add(self, other: Tally) -> None:
        """Count another one's."""
        self.histories += other.histories
        self.requests += other.requests
        self.saves.update(other.saves)
        self.loads.update(other.loads)
        self.swept += other.swept
        self.violation = self.violation or other.violation

    def __str__(self) -> str:
        return (
            f"{self.histories:,} histories, {self.requests:,} requests, "
            f"saves {dict(self.saves)}, loads {dict(self.loads)}, {self.swept} files swept"
        )


@contextmanager
def simulated() -> Iterator[Clock]:
    """Let time be the world's, and parse each manifest once: most of the work otherwise."""
    clock = Clock()
    parse = StoredManifest.from_bytes
    parsed = lru_cache(256)(lambda data, where: parse(data, where=where))

    def from_bytes(data: bytes, *, where: str) -> StoredManifest:
        return parsed(bytes(data), where)

    with (
        patch.object(_switch, "time", clock),
        patch.object(_manifest_file, "time", clock),
        patch.object(_settled, "time", clock),
        patch.object(StoredManifest, "from_bytes", from_bytes),
    ):
        yield clock


def run_seeds(first: int, count: int, mistake: str | None = None) -> Tally:
    """Run histories until one breaks a promise."""
    tally = Tally()
    with simulated() as clock, MISTAKES[mistake]() if mistake else nullcontext():
        for seed in range(first, first + count):
            try:
                outcome = run_history(seed, clock)
            except ViolationError as error:
                tally.violation = f"{error}\n{error.log}"
                return tally
            tally.histories += 1
            tally.requests += outcome.requests
            tally.saves.update(outcome.saves)
            tally.loads.update(outcome.loads)
            tally.swept += outcome.swept
    return tally


def run_in_parallel(
    first: int, count: int, workers: int, tell: Callable[[Tally], None] = lambda _: None
) -> Tally:
    """Run histories in processes, and tell after each bunch how it stands."""
    total = Tally()
    # Forks of a process with threads, such as a test's, may hang.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        starts = range(first, first + count, _CHUNK)
        lengths = [min(_CHUNK, first + count - start) for start in starts]
        for tally in pool.map(run_seeds, starts, lengths):
            total.add(tally)
            tell(total)
            if total.violation:
                pool.shutdown(cancel_futures=True)
                break
    return total


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000_000, help="how many histories")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first seed")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    last = time.monotonic()

    def tell(tally: Tally) -> None:
        nonlocal last
        if time.monotonic() - last > 30:
            last = time.monotonic()
            print(tally, flush=True)

    total = run_in_parallel(arguments.first, arguments.seeds, arguments.workers, tell)
    print(total)
    if total.violation:
        raise SystemExit(total.violation)


if __name__ == "__main__":
    main()
