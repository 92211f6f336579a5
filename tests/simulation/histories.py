"""Histories of savers and readers of one URL, and what must hold of each."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from publishing.artifacts import (
    SCRATCH,
    Content,
    contents,
    directory,
    fine_tuned,
    several,
    single,
)

from remote_models.errors import (
    AmbiguousCommitError,
    ConflictError,
    IntegrityError,
    ModelExistsError,
    ModelNotFoundError,
    StorageError,
    StoreUnavailableError,
)
from remote_models.manifest import Layout, StoredManifest
from remote_models.publishing import Artifact, find_unfinished, publish
from remote_models.remote_model import RemoteModel, manifest_location, read_stored_manifest
from remote_models.storage import Location
from simulation.world import Actor, Clock, Faults, SimulatedStore, World

__all__ = ["Outcome", "ViolationError", "run_history"]

LAYOUTS = (single, single, several, directory, fine_tuned)

FAULTS = (
    Faults(),
    Faults(),
    Faults(die=0.02),
    Faults(interrupt=0.02),
    Faults(fail=0.03, lose=0.03),
    Faults(stall=0.03),
    Faults(stall=0.1, die=0.02),
    Faults(fail=0.02, lose=0.02, die=0.01, stall=0.01),
    Faults(fail=0.01, lose=0.01, die=0.01, stall=0.01, late=0.02),
)

_NEVER = 1 << 60

SWEEPER = "sweeper"
"""Who collects garbage."""


class ViolationError(AssertionError):
    """A history in which a promise was broken.

    Attributes:
        log: What had happened until then.
    """

    log = ""


@dataclass(frozen=True)
class _Bytes:
    """A file in memory, to be published."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        yield self.data

    def open(self) -> IO[bytes]:
        return io.BytesIO(self.data)


@dataclass
class _Save:
    """A save: of what, when, and what its saver was told."""

    content: Content
    overwrite: bool
    began: int
    ended: int = _NEVER
    outcome: str = "dead"

    @property
    def version(self) -> str:
        return str(self.content.metadata["version"])

    @property
    def last_effect(self) -> int:
        """When it can have changed something for the last time."""
        return self.ended if self.outcome in ("done", "refused") else _NEVER


@dataclass(frozen=True)
class _Load:
    """A load: when, and the version or the error that came of it."""

    began: int
    ended: int
    found: str


@dataclass(frozen=True)
class Outcome:
    """What a history came to, to be counted."""

    saves: Sequence[str]
    loads: Sequence[str]
    requests: int
    swept: int


@dataclass
class _History:
    """One URL, those who use it, and what they have seen."""

    world: World
    make: Callable[[str], Content]
    location: Location
    saves: list[_Save] = field(default_factory=list)
    loads: list[_Load] = field(default_factory=list)
    swept: int = 0

    @property
    def now(self) -> int:
        return len(self.world.log)

    def content(self, version: str) -> Content:
        return self.make(version)

    def save(self, store: SimulatedStore, version: str, *, overwrite: bool) -> None:
        save = _Save(self.content(version), overwrite, self.now)
        self.saves.append(save)
        try:
            publish(store, self.location, _artifact(save.content), overwrite=overwrite)
        except ModelExistsError:
            # Lost, or never begun. With overwrite=True it may have replaced files before.
            save.outcome = "overtaken" if overwrite else "refused"
        except AmbiguousCommitError:
            save.outcome = "unknown"
        except (StorageError, IntegrityError):
            save.outcome = "failed"
            self._check_failure(store, save)
        else:
            save.outcome = "done"
        save.ended = self.now

    def _check_failure(self, store: SimulatedStore, save: _Save) -> None:
        """Nobody is told that a save has failed whose last step is done."""
        manifest = manifest_location(self.location, save.content.layout)
        if self.world.last_writer(manifest.name) != store.owner:
            return
        stored = StoredManifest.from_bytes(self.world.find(manifest.path).data, where=manifest.name)
        current = stored.current
        if not stored.pending and current and current.metadata == save.content.metadata:
            raise ViolationError(f"{save.version} has failed, it is said, and it is done")

    def sweep(self, store: SimulatedStore, older_than: timedelta) -> None:
        """Remove what killed saves have left, as ``collect_garbage`` does of each manifest."""
        layout = self.content("v").layout
        manifest = manifest_location(self.location, layout)
        try:
            listing = store.list(manifest.parent)
            before = self.world.date - older_than
            found = find_unfinished(store, manifest, layout, listing, before)
            for _path in found.remove() if found else ():
                self.swept += 1
        except (ModelNotFoundError, ConflictError, StorageError):
            return

    def load(self, store: SimulatedStore) -> str:
        began = self.now
        found = self._found(store)
        self.loads.append(_Load(began, self.now, found))
        return found

    def _found(self, store: SimulatedStore) -> str:
        try:
            found, metadata = _read(store, self.location)
            if metadata is None:
                return self._unvouched(found)
        except ModelNotFoundError:
            return "nothing"
        except IntegrityError:
            return "damaged"
        except StoreUnavailableError:
            return "unavailable"
        for save in self.saves:
            if found == save.content.files and metadata == save.content.metadata:
                return save.version
        raise ViolationError(f"a mixture: {found} with {metadata}")

    def _unvouched(self, found: Mapping[str, bytes]) -> str:
        """Accept files for which no manifest vouches, where their saver has given them up."""
        if any(line.startswith("(late)") for line in self.world.log):
            return "stray"
        raise ViolationError(f"without a manifest: {found}")


def run_history(seed: int, clock: Clock) -> Outcome:
    """Run the history of a seed, and check it.

    Raises:
        ViolationError: a promise was broken.
    """
    chance = random.Random(f"history {seed}")
    world = World(seed, faults=Faults(), is_versioned=chance.random() < 0.3)
    clock.world = world
    make = chance.choice(LAYOUTS)
    history = _History(world, make, Location.parse("memory://folder").join(make("v").name))
    calm = Actor(world, "calm", lambda _: None)._store
    if chance.random() < 0.6:
        history.save(calm, "before", overwrite=True)
    world.faults = chance.choice(FAULTS)
    try:
        world.run(*_actors(history, chance))
        world.faults = Faults()
        world.settle()
        if chance.random() < 0.5:
            history.sweep(calm, timedelta(0))
        _check(history, calm)
    except ViolationError as error:
        error.log = "\n".join([f"history {seed}", *world.log])
        raise
    return Outcome(
        saves=[save.outcome for save in history.saves],
        loads=["whole" if load.found.startswith("v") else load.found for load in history.loads],
        requests=history.now,
        swept=history.swept,
    )


def _actors(history: _History, chance: random.Random) -> list[Actor]:
    exclusive = chance.random() < 0.25
    actors = []
    for number in range(chance.choice((1, 2, 2, 3))):
        versions = [f"v{number}.{count}" for count in range(chance.choice((1, 1, 2)))]

        def saves(store: SimulatedStore, versions: Sequence[str] = versions) -> None:
            for version in versions:
                history.save(store, version, overwrite=not exclusive)

        actors.append(Actor(history.world, f"saver {number}", saves))
    for number in range(chance.choice((0, 1, 1, 2))):

        def loads(store: SimulatedStore, count: int = chance.choice((1, 2))) -> None:
            for _ in range(count):
                history.load(store)

        actors.append(Actor(history.world, f"reader {number}", loads))
    if chance.random() < 0.4:
        actors.append(Actor(history.world, SWEEPER, _sweeps(history, chance)))
    return actors


def _sweeps(history: _History, chance: random.Random) -> Callable[[SimulatedStore], None]:
    pauses = [chance.random() * 40 for _ in range(chance.choice((1, 3)))]
    # A saver that goes on writes something more often: it looks younger than that.
    older_than = timedelta(seconds=chance.choice((10, 30)))

    def sweeps(store: SimulatedStore) -> None:
        for pause in pauses:
            history.world.pause(pause)
            history.sweep(store, older_than)

    return sweeps


def _artifact(content: Content) -> Artifact:
    return Artifact(
        format=content.format,
        layout=content.layout,
        created="2026-11-24T00:00:00Z",
        producer={"tests": "1"},
        metadata=content.metadata,
        files={path: _Bytes(data) for path, data in content.files.items()},
    )


def _read(
    store: SimulatedStore, location: Location
) -> tuple[Mapping[str, bytes], Mapping[str, object] | None]:
    """Return the files and the metadata that a reader gets, the latter from a manifest."""
    remote = RemoteModel.open(store, location)
    with TemporaryDirectory(dir=SCRATCH) as folder:
        remote.download(Path(folder))
        return contents(Path(folder)), remote.metadata if remote.is_verifiable else None


# What must hold.


def _check(history: _History, calm: SimulatedStore) -> None:
    _check_errors(history)
    _check_exclusive(history)
    _check_refusals(history)
    last = history.load(calm)
    for load in history.loads:
        _check_load(history, load)
    is_quiet = not any(save.last_effect == _NEVER for save in history.saves)
    if is_quiet and history.saves and last not in {save.version for save in history.saves}:
        raise ViolationError(f"everything went well, and there is {last}")
    if is_quiet:
        _check_traces(history, calm, last)
    _check_next_save(history, calm)


def _check_errors(history: _History) -> None:
    """Nobody is told of trouble that was not there."""
    if _has_swept(history):  # a save that it takes for dead fails
        return
    if any(" fails" in line or "lost" in line or "given up" in line for line in history.world.log):
        return
    for save in history.saves:
        if save.outcome in ("failed", "unknown"):
            raise ViolationError(f"{save.version} {save.outcome}, and nothing has gone wrong")
    if any(load.found == "unavailable" for load in history.loads):
        raise ViolationError("a reader was told of trouble")


def _has_swept(history: _History) -> bool:
    return any(line.startswith(f"{SWEEPER}: commit") for line in history.world.log)


def _check_exclusive(history: _History) -> None:
    winners = [save for save in history.saves if save.outcome == "done" and not save.overwrite]
    before = [save for save in history.saves if save.version == "before"]
    if len(winners) + len(before) > 1 and winners:
        raise ViolationError(f"several winners: {[save.version for save in before + winners]}")


def _check_refusals(history: _History) -> None:
    """Nobody is told of another saver where there was none."""
    if _has_swept(history):
        return
    for save in history.saves:
        others = [other for other in history.saves if other is not save]
        if save.outcome in ("refused", "overtaken") and not any(
            other.began < save.ended and other.outcome != "refused" for other in others
        ):
            raise ViolationError(f"{save.version} was {save.outcome}, and nobody else was there")


def _check_load(history: _History, load: _Load) -> None:
    done = [save for save in history.saves if save.outcome == "done" and save.ended <= load.began]
    if load.found == "nothing" and done:
        raise ViolationError(f"{done[-1].version} was saved, and there is nothing")
    if load.found == "damaged" and done and not _may_be_damaged(history, load):
        raise ViolationError(f"{done[-1].version} was saved, and cannot be read")
    found = next((save for save in history.saves if save.version == load.found), None)
    if found is None:
        return
    if found.outcome == "refused":
        raise ViolationError(f"{found.version} was refused, and is there")
    for save in done:
        if save.began >= found.last_effect:
            raise ViolationError(f"{save.version} was saved after {found.version}, which is there")


def _may_be_damaged(history: _History, load: _Load) -> bool:
    """Whether a reader may be told that what is there is no whole model.

    Only where several files are replaced one by one, and the old ones cannot be had.
    """
    is_single = len(history.saves[0].content.files) == 1
    if any(line.startswith("(late)") for line in history.world.log):
        return True  # a request that comes when all is over replaces what it finds
    if is_single or history.world.is_versioned:
        return False
    return any(
        save.began <= load.ended and save.last_effect >= load.began for save in history.saves
    )


def _check_traces(history: _History, calm: SimulatedStore, last: str) -> None:
    """Those who were refused, or were overtaken by nobody, leave nothing."""
    there = next(save for save in history.saves if save.version == last)
    folder = history.location
    manifest = manifest_location(history.location, there.content.layout)
    if there.content.layout is Layout.FILE:
        folder = folder.parent
    named = {folder.join(path).path for path in there.content.files} | {manifest.path}
    if history.world.keys != named:
        raise ViolationError(f"traces: {history.world.keys ^ named}")


def _check_next_save(history: _History, calm: SimulatedStore) -> None:
    """Whatever has happened, saving again works, and tidies up."""
    history.save(calm, "next", overwrite=True)
    if history.saves[-1].outcome != "done":
        raise ViolationError(f"the next save: {history.saves[-1].outcome}")
    if (found := history.load(calm)) != "next":
        raise ViolationError(f"after the next save there is {found}")
    layout = history.saves[-1].content.layout
    stored = read_stored_manifest(calm, manifest_location(history.location, layout), layout)
    if stored.pending:
        raise ViolationError("after the next save, something is still announced")
    report = RemoteModel.open(calm, history.location).verify()
    if report.missing or report.mismatched:
        raise ViolationError(f"after the next save: {report}")
