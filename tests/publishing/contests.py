"""Savers and readers that meet at one URL, in threads."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier, Event

from publishing.artifacts import SCRATCH, Content, download, expected, save
from remote_models.errors import ConflictError, IntegrityError, ModelExistsError
from remote_models.publishing import publish
from remote_models.remote_model import RemoteModel
from remote_models.storage import Location, Store, TransferProgress

__all__ = ["Duel", "Race", "duel", "race"]

_LONGEST_SECONDS = 60.0
"""How much longer than asked for a duel may last."""


@dataclass(frozen=True, kw_only=True)
class Race:
    """How a race came out.

    Attributes:
        winners: The versions of those who came through.
        refused: How many were told that another one was faster.
        late: How many were told that something is there already.
    """

    winners: Sequence[str]
    refused: int
    late: int


def race(
    location: Location, contents: Sequence[Content], stores: Sequence[Store], *, overwrite: bool
) -> Race:
    """Save all of them at once, each through a store of its own.

    Nobody sends a byte before all have looked whether something is there.
    """
    barrier = Barrier(len(contents))

    def save_one(content: Content, store: Store) -> str | type[Exception]:
        waited = False

        def meet(_progress: TransferProgress) -> None:
            nonlocal waited
            if not waited:
                waited = True
                barrier.wait(60)

        with TemporaryDirectory(dir=SCRATCH) as folder:
            artifact = content.write(Path(folder))
            try:
                publish(store, location, artifact, overwrite=overwrite, progress=meet)
            except ModelExistsError as error:
                return type(error)
        return str(content.metadata["version"])

    with ThreadPoolExecutor(len(contents)) as pool:
        outcomes = list(pool.map(save_one, contents, stores))
    return Race(
        winners=[each for each in outcomes if isinstance(each, str)],
        refused=outcomes.count(ConflictError),
        late=outcomes.count(ModelExistsError),
    )


@dataclass(frozen=True, kw_only=True)
class Duel:
    """What came of some writers and readers.

    Attributes:
        saves: How many saves came through.
        conflicts: How many were told that another writer has replaced what they saved.
        reads: How often each version was read.
        errors: What readers were told instead, by the error's name.
    """

    saves: int
    conflicts: int
    reads: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return (
            f"{self.saves} saves, {self.conflicts} conflicts, {self.reads.total()} reads of"
            f" {len(self.reads)} versions, errors {dict(self.errors)}"
        )


def duel(
    location: Location,
    content: Callable[[str], Content],
    seconds: float,
    *,
    writers: Sequence[Store],
    readers: Sequence[Store],
    pause: float = 0.02,
) -> Duel:
    """Let writers overwrite one artifact again and again while others read it.

    Each read is compared, byte for byte, with the version that it says it is. It lasts so
    many seconds, and on a slow machine until each writer has saved twice and three versions
    have been read.
    """
    is_over, stop = Event(), Event()
    seen: set[str] = set()

    def write(name: str, store: Store) -> Counter[str]:
        count: Counter[str] = Counter()
        latest = time.monotonic() + seconds + _LONGEST_SECONDS
        while not is_over.is_set() or count["saves"] < 2 or len(seen) < 3:
            if time.monotonic() > latest:
                break
            try:
                save(location, content(f"{name}{count.total()}"), store=store)
                count["saves"] += 1
            except ConflictError:
                count["conflicts"] += 1
            time.sleep(pause)
        return count

    def read(store: Store) -> tuple[Counter[str], Counter[str]]:
        found: Counter[str] = Counter()
        errors: Counter[str] = Counter()
        while not stop.is_set():
            try:
                remote = RemoteModel.open(store, location)
                files = download(remote)
            except IntegrityError as error:
                errors[type(error).__name__] += 1
                continue
            version = str(remote.metadata["version"])
            assert files == expected(content(version)), "a mixture"
            found[version] += 1
            seen.add(version)
        return found, errors

    with ThreadPoolExecutor(len(writers) + len(readers)) as pool:
        try:
            writing = [pool.submit(write, f"w{n}-", store) for n, store in enumerate(writers)]
            reading = [pool.submit(read, store) for store in readers]
            time.sleep(seconds)
            is_over.set()
            wait(writing)
        finally:
            is_over.set()
            stop.set()
        written = sum((each.result() for each in writing), Counter[str]())
        return Duel(
            saves=written["saves"],
            conflicts=written["conflicts"],
            reads=sum((each.result()[0] for each in reading), Counter[str]()),
            errors=sum((each.result()[1] for each in reading), Counter[str]()),
        )
