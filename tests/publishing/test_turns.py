"""Savers that meet: who waits, who takes over, and what becomes of whoever is overtaken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from publishing.artifacts import (
    Content,
    directory,
    expected,
    fine_tuned,
    load,
    observe,
    save,
    several,
    single,
)
from publishing.faults import Fault, FaultyStore, Killed, Plan
from remote_models.errors import ConflictError, ModelExistsError
from remote_models.manifest import StoredManifest
from remote_models.publishing import _manifest_file, _switch
from remote_models.remote_model import RemoteModel, manifest_location, read_stored_manifest
from remote_models.storage import Location, open_store

PATIENCE = 10.0


@dataclass
class Clock:
    """Time that passes when somebody waits."""

    now: float = 1000.0
    waits: list[float] = field(default_factory=list)
    on_wait: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        self.on_wait()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_manifest_file, "PATIENCE_SECONDS", PATIENCE)
    monkeypatch.setattr(_manifest_file, "time", clock)
    monkeypatch.setattr(_switch, "time", clock)
    return clock


@dataclass
class Meeting(Plan):
    """Lets something else happen before the first operation of a name."""

    where: str = ""
    act: Callable[[], None] = lambda: None
    happened: bool = False

    @contextmanager
    def operation(self, name: str) -> Iterator[None]:
        if name == self.where and not self.happened:
            self.happened = True
            self.act()
        with super().operation(name):
            yield


def save_meeting(
    location: Location,
    content: Content,
    where: str,
    act: Callable[[], None],
    *,
    overwrite: bool = True,
) -> None:
    """Save, and let ``act`` happen before the first operation ``where``."""
    plan = Meeting(Fault.KILL, 10_000, where=where, act=act)
    save(location, content, store=FaultyStore(open_store(location), plan), overwrite=overwrite)
    assert plan.happened, plan.operations


def kill_before(location: Location, content: Content, where: str) -> None:
    def die() -> None:
        raise Killed(where)

    with pytest.raises(Killed):
        save_meeting(location, content, where, die)


def stored(location: Location, content: Content) -> StoredManifest:
    where = manifest_location(location, content.layout)
    return read_stored_manifest(open_store(location), where, content.layout)


def versions_of(document: StoredManifest) -> tuple[str | None, list[str]]:
    current = str(document.current.metadata["version"]) if document.current else None
    return current, [str(each.metadata["version"]) for each in document.pending]


def switched(content: Content) -> str:
    return f"commit {'saved_model.pb' if content.layout.value == 'directory' else content.name}"


LAYOUTS = pytest.mark.parametrize("make", [single, directory])


@LAYOUTS
def test_a_dead_saver_is_waited_for_once(
    memory_base: Location, clock: Clock, make: Callable[[str], Content]
) -> None:
    location = memory_base.join(make("").name)
    save(location, make("old"))
    kill_before(location, make("dead"), switched(make("dead")))
    assert versions_of(stored(location, make(""))) == ("old", ["dead"])
    save(location, make("new"))
    assert sum(clock.waits) == pytest.approx(PATIENCE)
    assert load(location) == expected(make("new"))
    assert versions_of(stored(location, make(""))) == ("new", [])
    clock.waits.clear()
    save(location, make("newer"))
    assert clock.waits == []


def test_what_was_uploaded_for_longer_than_that_need_not_wait(
    memory_base: Location, clock: Clock
) -> None:
    location = memory_base.join("model.h5")
    kill_before(location, single("dead"), "commit model.h5")

    def upload_slowly() -> None:
        clock.now += PATIENCE + 1

    save_meeting(location, single("new"), "write model.h5", upload_slowly)
    assert clock.waits == []
    assert load(location) == expected(single("new"))


@LAYOUTS
def test_a_saver_who_moves_on_is_waited_for_no_longer(
    memory_base: Location, clock: Clock, make: Callable[[str], Content]
) -> None:
    """At the third look, the other one has given up and taken back its announcement."""
    location = memory_base.join(make("").name)
    save(location, make("old"))
    kill_before(location, make("first"), switched(make("first")))

    def give_up() -> None:
        if len(clock.waits) == 3:
            where = manifest_location(location, make("").layout)
            file = _manifest_file.ManifestFile(open_store(location), where, make("").layout)
            file.read()
            file.write(StoredManifest(current=stored(location, make("")).current))

    clock.on_wait = give_up
    save(location, make("second"))
    assert len(clock.waits) == 3
    assert sum(clock.waits) < 1
    assert load(location) == expected(make("second"))


def test_a_saver_that_stood_still_finishes_on_top(memory_base: Location, clock: Clock) -> None:
    """It is taken for dead, and switches its file after the other has finished."""
    location = memory_base.join("model.h5")
    save(location, single("old"))

    def others_save() -> None:
        save(location, single("other"))
        assert load(location) == expected(single("other"))

    save_meeting(location, single("slow"), "commit model.h5", others_save)
    assert sum(clock.waits) == pytest.approx(PATIENCE)
    assert load(location) == expected(single("slow"))
    assert versions_of(stored(location, single(""))) == ("slow", [])


@pytest.mark.parametrize("make", [directory, several])
def test_a_saver_that_stood_still_between_files_is_told(
    memory_base: Location, clock: Clock, make: Callable[[str], Content]
) -> None:
    location = memory_base.join(make("").name)
    save(location, make("old"))

    def others_save() -> None:
        save(location, make("other"))

    plan = Standing(Fault.KILL, 10_000, act=others_save, clock=clock)
    with pytest.raises(ConflictError, match="another writer") as caught:
        save(location, make("slow"), store=FaultyStore(open_store(location), plan))
    assert caught.value.where == str(location)
    assert plan.happened
    # Nothing of the other's is touched.
    assert load(location) == expected(make("other"))
    assert RemoteModel.open(open_store(location), location).verify().ok


@dataclass
class Standing(Plan):
    """Stands still for a minute after the first of the files, while others save."""

    act: Callable[[], None] = lambda: None
    clock: Clock = field(default_factory=Clock)
    happened: bool = False

    @contextmanager
    def operation(self, name: str) -> Iterator[None]:
        with super().operation(name):
            yield
        commits = [each for each in self.operations if each.startswith("commit")]
        if len(commits) == 2 and name.startswith("commit") and not self.happened:
            self.happened = True
            self.clock.now += 60
            self.act()


def test_a_slow_saver_shows_that_it_is_alive(memory_base: Location, clock: Clock) -> None:
    location = memory_base.join("model")
    save(location, directory("old"))
    seen: list[str | None] = []
    where = manifest_location(location, directory("").layout)

    @dataclass
    class Slow(Plan):
        @contextmanager
        def operation(self, name: str) -> Iterator[None]:
            with super().operation(name):
                yield
            if name.startswith("commit"):
                seen.append(open_store(where).head(where).writer)
                clock.now += 4

    plan = Slow(Fault.KILL, 10_000)
    save(location, directory("new"), store=FaultyStore(open_store(location), plan))
    commits = [name.removeprefix("commit ") for name in plan.operations if "commit" in name]
    assert commits.count("manifest.json") > 4
    assert commits[0] == commits[-1] == "manifest.json"
    assert len(set(seen)) == commits.count("manifest.json")
    assert load(location) == expected(directory("new"))


def test_what_others_announce_stays_announced(memory_base: Location, clock: Clock) -> None:
    """One who finishes while another is at it leaves the other's announcement alone."""
    location = memory_base.join("model.h5")
    save(location, single("old"))

    def second_dies_after_its_announcement() -> None:
        kill_before(location, single("second"), "commit model.h5")

    plan = BetweenFileAndFinish(Fault.KILL, 10_000, act=second_dies_after_its_announcement)
    save(location, single("again"), store=FaultyStore(open_store(location), plan))
    assert plan.happened
    assert versions_of(stored(location, single(""))) == ("again", ["second"])
    assert load(location) == expected(single("again"))
    save(location, single("last"))
    assert versions_of(stored(location, single(""))) == ("last", [])


@dataclass
class BetweenFileAndFinish(Plan):
    act: Callable[[], None] = lambda: None
    happened: bool = False

    @contextmanager
    def operation(self, name: str) -> Iterator[None]:
        with super().operation(name):
            yield
        if name == "commit model.h5" and not self.happened:
            self.happened = True
            self.act()


def test_a_file_that_was_to_stay_and_is_gone_travels_after_all(memory_base: Location) -> None:
    """Another saver comes between the look at the unchanged files and the announcement."""
    location = memory_base.join("model")
    save(location, fine_tuned("old"))

    def others_save() -> None:
        save(location, directory("other"))

    save_meeting(location, fine_tuned("new"), "stage manifest.json", others_save)
    assert load(location) == expected(fine_tuned("new"))
    assert RemoteModel.open(open_store(location), location).verify().ok


@pytest.mark.parametrize("overwrite", [True, False])
@LAYOUTS
def test_a_first_save_meets_another(
    base: Location, make: Callable[[str], Content], *, overwrite: bool
) -> None:
    location = base.join(make("").name)
    manifest = manifest_location(location, make("").layout).name

    def others_save() -> None:
        save(location, make("other"), overwrite=False)

    if overwrite:
        save_meeting(location, make("new"), f"stage {manifest}", others_save)
        assert load(location) == expected(make("new"))
    else:
        with pytest.raises(ConflictError, match="overwrite=True") as caught:
            save_meeting(location, make("new"), f"stage {manifest}", others_save, overwrite=False)
        assert caught.value.where == str(location)
        assert isinstance(caught.value, ModelExistsError)
        assert load(location) == expected(make("other"))
    assert RemoteModel.open(open_store(location), location).verify().ok


def test_a_failed_save_does_not_take_back_what_others_build_on(memory_base: Location) -> None:
    location = memory_base.join("model.h5")

    class FailureError(Exception):
        pass

    def others_announce_and_it_fails() -> None:
        kill_before(location, single("other"), "commit model.h5")
        raise FailureError

    with pytest.raises(FailureError):
        save_meeting(location, single("first"), "commit model.h5", others_announce_and_it_fails)
    assert versions_of(stored(location, single(""))) == (None, ["first", "other"])
    assert observe(location, single("first"), single("other")) == "incomplete"
    save(location, single("next"))
    assert load(location) == expected(single("next"))
