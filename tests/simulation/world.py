"""A store, its clients and the time, all of which one random number decides about.

Actors run one at a time and give way at each request and each pause (greenlets), so that
a seed gives one and the same history for ever. A request may fail before it is done, lose
its answer, be done long after its sender has given up, or be its sender's last.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar, NoReturn, TypeVar

import fsspec
from greenlet import getcurrent, greenlet

from remote_models.errors import ModelNotFoundError, StoreUnavailableError
from remote_models.storage import (
    Buffer,
    CommittedFile,
    Location,
    ObjectInfo,
    StagedFile,
    Store,
    TransferSettings,
)
from remote_models.storage._errors import replaced
from remote_models.storage._retry import RetryPolicy
from remote_models.storage._staging import new_writer, refused

__all__ = ["Actor", "Clock", "Dead", "Faults", "Interrupted", "World"]

_T = TypeVar("_T")

_DAWN = datetime(2026, 11, 24, tzinfo=UTC)
"""When each history begins."""


class Dead(BaseException):
    """The process is gone. No ``except Exception`` sees it, and it asks for nothing more."""


class Interrupted(BaseException):
    """Somebody has pressed Control-C: what cleans up still does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Faults:
    """How likely it is that a request comes to harm.

    Attributes:
        fail: It fails, and nothing has happened.
        lose: It is done, and its answer is lost.
        late: It is given up by its sender, and done later.
        die: Its sender dies, before or after it is done.
        interrupt: Its sender is told to stop, before or after it is done.
        stall: Its sender stands still for up to a minute before a look, or for some
            seconds before a change: what takes longer comes late.
    """

    fail: float = 0.0
    lose: float = 0.0
    late: float = 0.0
    die: float = 0.0
    interrupt: float = 0.0
    stall: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Object:
    data: bytes
    number: int
    writer: str | None
    modified: datetime

    def info(self, *, versioned: bool) -> ObjectInfo:
        return ObjectInfo(
            size=len(self.data),
            version=str(self.number) if versioned else None,
            etag=f"e{self.number}",
            writer=self.writer,
            modified=self.modified,
        )


class Actor:
    """Somebody who does something with the store, until it is done or dies.

    Attributes:
        name: Who, for messages.
        is_dead: Whether it has died.
    """

    def __init__(self, world: World, name: str, run: Callable[[SimulatedStore], None]) -> None:
        self.name = name
        self.is_dead = False
        self.wakes_at = 0.0
        self._run = run
        self._store = SimulatedStore(world, self)
        self._greenlet = greenlet(self._main)

    def _main(self) -> None:
        try:
            self._run(self._store)
        except (Dead, Interrupted):
            return

    @property
    def has_ended(self) -> bool:
        """Whether it does nothing any more."""
        return bool(self._greenlet.dead)

    def go_on(self) -> None:
        """Let it run until it gives way."""
        self._greenlet.switch()


class World:
    """Everything that a history consists of.

    Attributes:
        random: What decides.
        faults: How likely harm is; it may be changed in between.
        is_versioned: Whether what is replaced or deleted can still be had.
        ignores_conditions: Whether the store takes a write whatever its conditions.
        now: The time, in seconds.
        log: What has been done, by whom, as text.
    """

    def __init__(self, seed: int, *, faults: Faults, is_versioned: bool) -> None:
        self.random = random.Random(seed)
        self.faults = faults
        self.is_versioned = is_versioned
        self.ignores_conditions = False
        self.now = 0.0
        self.log: list[str] = []
        self._main = getcurrent()
        self._objects: dict[str, _Object] = {}
        self._versions: dict[tuple[str, str], _Object] = {}
        self._late: list[tuple[str, Callable[[], object]]] = []
        self._actors: list[Actor] = []
        self._count = 0

    # What the history is made of.

    def run(self, *actors: Actor) -> None:
        """Let actors run, in an order that chance decides, until all have ended."""
        self._actors = list(actors)
        while self._actors:
            awake = [actor for actor in self._actors if actor.wakes_at <= self.now]
            if not awake:
                self.now = min(actor.wakes_at for actor in self._actors)
                continue
            if self._late and self.random.random() < 0.1:
                self._arrive()
            actor = self.random.choice(awake)
            actor.go_on()
            if actor.has_ended:
                self._actors.remove(actor)

    def settle(self) -> None:
        """Let everything that is still under way arrive, or get lost."""
        while self._late:
            if self.random.random() < 0.5:
                self._arrive()
            else:
                self._late.pop(self.random.randrange(len(self._late)))

    def _arrive(self) -> None:
        what, act = self._late.pop(self.random.randrange(len(self._late)))
        self.log.append(f"(late) {what}")
        try:
            act()
        except (OSError, ModelNotFoundError):
            return  # nobody hears of it

    def pause(self, seconds: float) -> None:
        """Let the actor that runs wait, as time.sleep does."""
        actor = next((each for each in self._actors if each._greenlet is getcurrent()), None)
        if actor is None:
            self.now += seconds
            return
        actor.wakes_at = self.now + seconds
        self._main.switch()

    def request(
        self, actor: Actor, what: str, act: Callable[[], _T], *, changes: bool = False
    ) -> _T:
        """Do what an actor asks for, or not, and let others go first."""
        if actor.is_dead:
            raise Dead(what)
        self.now += self.random.random() * 0.05
        if getcurrent() is not self._main:
            self._main.switch()
        chance = self.random.random()
        faults = self.faults
        for end, likelihood in ((Dead, faults.die), (Interrupted, faults.interrupt)):
            if chance < likelihood:
                self._end(actor, what, act, end)
            chance -= likelihood
        if chance < faults.fail:
            self.log.append(f"{actor.name}: {what} fails")
            raise StoreUnavailableError("failure", where=what)
        chance -= faults.fail
        if chance < faults.lose:
            self._do(actor, what, act)
            self.log.append(f"{actor.name}: the answer is lost")
            raise StoreUnavailableError("lost answer", where=what)
        chance -= faults.lose
        if changes and chance < faults.late:
            self._late.append((f"{actor.name}: {what}", act))
            self.log.append(f"{actor.name}: {what} is given up")
            raise StoreUnavailableError("timeout", where=what)
        chance -= faults.late
        if chance < faults.stall and getcurrent() is not self._main:
            self.log.append(f"{actor.name} stands still")
            self.pause(self.random.random() * (3 if changes else 60))
        return self._do(actor, what, act)

    def _end(
        self, actor: Actor, what: str, act: Callable[[], object], end: type[BaseException]
    ) -> NoReturn:
        if self.random.random() < 0.5:
            self._do(actor, what, act)
        self.log.append(f"{actor.name} is {end.__name__.lower()}")
        actor.is_dead = end is Dead
        raise end(what)

    def _do(self, actor: Actor, what: str, act: Callable[[], _T]) -> _T:
        self.log.append(f"{actor.name}: {what}")
        return act()

    # The store.

    def find(self, key: str, version: str | None = None) -> _Object:
        """Return an object, or a version of it."""
        found = self._objects.get(key) if version is None else self._versions.get((key, version))
        if found is None:
            raise ModelNotFoundError("nothing is here", where=key)
        return found

    def put(
        self, key: str, data: bytes, writer: str | None, if_absent: bool, if_match: str | None
    ) -> CommittedFile:
        """Replace an object in one step, on a condition."""
        present = self._objects.get(key)
        if not self.ignores_conditions:
            if if_absent and present is not None:
                raise refused(key)
            if if_match is not None and (present is None or f"e{present.number}" != if_match):
                raise refused(key)
        self._count += 1
        self._objects[key] = made = _Object(
            data=data, number=self._count, writer=writer, modified=self.date
        )
        if self.is_versioned:
            self._versions[key, str(made.number)] = made
        info = made.info(versioned=self.is_versioned)
        return CommittedFile(version=info.version, etag=info.etag)

    @property
    def date(self) -> datetime:
        """The time, as stores tell when something was written."""
        return _DAWN + timedelta(seconds=self.now)

    def delete(self, key: str) -> None:
        """Delete an object; its versions stay."""
        self._objects.pop(key, None)

    def last_writer(self, name: str) -> str | None:
        """Return who has written an object of this name last, if it is there."""
        if not any(key.rpartition("/")[2] == name for key in self._objects):
            return None
        ends = f": commit {name}"
        writers = (line.removesuffix(ends) for line in reversed(self.log) if line.endswith(ends))
        return next(writers, None)

    @property
    def keys(self) -> set[str]:
        """The names of all objects."""
        return set(self._objects)


@dataclass
class Clock:
    """Stands in for the module ``time``; whose time it is changes from history to history."""

    world: World | None = None

    def monotonic(self) -> float:
        assert self.world is not None
        return self.world.now

    def sleep(self, seconds: float) -> None:
        assert self.world is not None
        self.world.pause(seconds)


class SimulatedStore(Store):
    """The world's store, as one actor reaches it."""

    may_lose_answers: ClassVar[bool] = True

    def __init__(self, world: World, actor: Actor) -> None:
        super().__init__(fsspec.filesystem("memory"))  # which nothing uses
        self._world = world
        self._actor = actor
        self.refuses = True  # conditions are kept, or a planted bug does not want it known
        self.transfer = TransferSettings(
            retry=RetryPolicy(
                attempts=3, sleep=world.pause, random=world.random.random, clock=lambda: world.now
            )
        )

    @property
    def owner(self) -> str:
        """The name of the actor."""
        return self._actor.name

    def _ask(self, what: str, location: Location, act: Callable[[], _T], **how: bool) -> _T:
        return self._world.request(self._actor, f"{what} {location.name}", act, **how)

    def head(self, location: Location, *, version: str | None = None) -> ObjectInfo:
        def act() -> ObjectInfo:
            found = self._world.find(location.path, version)
            return found.info(versioned=self._world.is_versioned)

        return self._ask("head", location, act)

    def read(
        self,
        location: Location,
        start: int,
        stop: int,
        *,
        version: str | None = None,
        etag: str | None = None,
    ) -> Buffer:
        def act() -> bytes:
            found = self._world.find(location.path, version)
            if etag is not None and f"e{found.number}" != etag:
                raise replaced(location)
            return found.data[start:stop]

        return self._ask("read", location, act)

    def read_whole(self, location: Location, *, limit: int) -> tuple[Buffer, ObjectInfo]:
        def act() -> tuple[Buffer, ObjectInfo]:
            found = self._world.find(location.path)
            return found.data, found.info(versioned=self._world.is_versioned)

        return self._ask("read all of", location, act)

    def list(self, location: Location) -> Mapping[str, ObjectInfo]:
        root = f"{location.path}/"

        def act() -> Mapping[str, ObjectInfo]:
            return {
                key[len(root) :]: self._world.find(key).info(versioned=False)
                for key in sorted(self._world.keys)
                if key.startswith(root)
            }

        return self._ask("list", location, act)

    def list_names(self, folder: Location, prefix: str) -> Mapping[str, ObjectInfo]:
        found = self.list(folder)
        return {
            name: info
            for name, info in found.items()
            if "/" not in name and name.startswith(prefix)
        }

    def delete(self, location: Location) -> None:
        self._ask("delete", location, lambda: self._world.delete(location.path), changes=True)

    def stage(
        self,
        location: Location,
        size: int,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> StagedFile:
        return SimulatedStagedFile(self, location, if_absent=if_absent, if_match=if_match)

    def commit(self, location: Location, put: Callable[[], CommittedFile]) -> CommittedFile:
        """Make a staged file visible."""
        return self._ask("commit", location, put, changes=True)


@dataclass
class SimulatedStagedFile(StagedFile):
    """Bytes that have travelled; the store does not fail while they do."""

    store: SimulatedStore
    location: Location
    if_absent: bool = field(kw_only=True)
    if_match: str | None = field(kw_only=True)

    def __post_init__(self) -> None:
        self.writer = new_writer()
        self._data = bytearray()

    def write(self, data: bytes | memoryview) -> None:
        self._data += data

    def commit(self) -> CommittedFile:
        world = self.store._world
        key, data, writer = self.location.path, bytes(self._data), self.writer
        return self.store.commit(
            self.location, lambda: world.put(key, data, writer, self.if_absent, self.if_match)
        )

    def discard(self) -> None:
        self._data.clear()
