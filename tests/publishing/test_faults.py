"""Saves that die, fail or lose a reply at every single operation on the store.

Whatever happens, a reader gets the old model whole, the new one whole, or an error
that says so; a failed save leaves what was there; and the next save succeeds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Protocol

import pytest

from publishing.artifacts import (
    SCRATCH,
    Content,
    directory,
    expected,
    fine_tuned,
    load,
    observe,
    relabelled,
    save,
    several,
    single,
    snapshot,
)
from publishing.faults import Fault, FaultyStore, Killed, Plan
from remote_models.errors import AmbiguousCommitError, StoreUnavailableError
from remote_models.remote_model import RemoteModel, manifest_location
from remote_models.storage import Location, Publication, open_store
from remote_models.testing import Emulator

pytestmark = pytest.mark.usefixtures("hasty_readers")

MOST_POINTS = 200


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A save, and what a reader may find after it was cut short."""

    content: Callable[[str], Content]
    before: str
    """What is there before: "nothing", "model", or "bare", which has no manifest."""
    readable: frozenset[str]
    points: int
    """Operations of a save that goes through: a change of the protocol shows here."""
    overwrite: bool = True
    kept: int = 0
    """Operations fewer where the store tells that a file is there already."""

    def prepare(self, location: Location) -> None:
        make_parents(location)
        if self.before == "model":
            save(location, self.content("old"))
        elif self.before == "bare":
            put_bare(location, self.content("old"))


def outcomes(*names: str) -> frozenset[str]:
    return frozenset(names)


BARE_DIRECTORY = "overwrite bare directory"

SCENARIOS = {
    "first single": Scenario(
        content=single, before="nothing", readable=outcomes("nothing", "incomplete", "new"),
        points=9,
    ),
    "first single, exclusive": Scenario(
        content=single, before="nothing", readable=outcomes("nothing", "incomplete", "new"),
        points=9, overwrite=False,
    ),
    "first several": Scenario(
        content=several, before="nothing", readable=outcomes("nothing", "incomplete", "new"),
        points=15,
    ),
    "first directory": Scenario(
        content=directory, before="nothing", readable=outcomes("nothing", "incomplete", "new"),
        points=23,
    ),
    "first directory, exclusive": Scenario(
        content=directory, before="nothing", readable=outcomes("nothing", "incomplete", "new"),
        points=23, overwrite=False,
    ),
    "overwrite single": Scenario(
        content=single, before="model", readable=outcomes("old", "new"), points=9
    ),
    "overwrite several": Scenario(
        content=several, before="model", readable=outcomes("old", "incomplete", "new"), points=16
    ),
    "overwrite directory": Scenario(
        content=directory, before="model", readable=outcomes("old", "incomplete", "new"),
        points=24, kept=2,
    ),
    "overwrite unchanged single": Scenario(
        content=relabelled, before="model", readable=outcomes("old"), points=9, kept=6
    ),
    "overwrite unchanged variables": Scenario(
        content=fine_tuned, before="model", readable=outcomes("old", "new"), points=23, kept=10
    ),
    "overwrite bare single": Scenario(
        content=single, before="bare", readable=outcomes("old", "new"), points=6
    ),
    BARE_DIRECTORY: Scenario(
        content=directory, before="bare", readable=outcomes("old", "incomplete", "new"),
        points=23,
    ),
}  # fmt: skip

ON_SERVERS = (
    "first directory", "overwrite single", "overwrite directory", "overwrite unchanged variables",
)  # fmt: skip


@pytest.fixture
def local_base() -> Iterator[Location]:
    """An empty folder, in memory where there is such a file system: 600 saves flush 5,000 files."""
    with TemporaryDirectory(dir=SCRATCH) as folder:
        yield Location.parse(folder)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One save with a fault, and what came of it."""

    plan: Plan
    location: Location
    error: BaseException | None
    before: Mapping[str, bytes]
    after: Mapping[str, bytes]
    outcome: str

    @property
    def switched(self) -> bool:
        """Whether a file of the artifact itself had appeared before the fault."""
        return any(
            name.startswith("commit ") and "manifest" not in name
            for name in self.plan.applied[: self.plan.at]
        )


def operations(scenario: Scenario, base: Location) -> list[str]:
    """Return what a save does that nothing disturbs."""
    location = base.join("undisturbed").join(scenario.content("new").name)
    scenario.prepare(location)
    plan = Plan(Fault.KILL, MOST_POINTS)
    assert attempt(location, scenario, plan) is None
    return plan.operations


def trials(
    scenario: Scenario, base: Location, fault: Fault, points: Sequence[int]
) -> Iterator[Trial]:
    """Run the save with the fault at each of the points."""
    for at in points:
        folder = base.join(f"point-{at}")
        location = folder.join(scenario.content("new").name)
        scenario.prepare(location)
        before = snapshot(folder)
        plan = Plan(fault, at)
        error = attempt(location, scenario, plan)
        known = [scenario.content("old"), scenario.content("new")]
        yield Trial(
            plan=plan,
            location=location,
            error=error,
            before=before,
            after=snapshot(folder),
            outcome=observe(location, *known),
        )


def attempt(location: Location, scenario: Scenario, plan: Plan) -> BaseException | None:
    store = FaultyStore(open_store(location), plan)
    try:
        save(location, scenario.content("new"), overwrite=scenario.overwrite, store=store)
    except (Killed, StoreUnavailableError, AmbiguousCommitError) as error:
        return error
    finally:
        store.release()
    return None


def check_next_save(location: Location, scenario: Scenario) -> None:
    content = scenario.content("next")
    save(location, content)
    assert load(location) == expected(content)
    report = RemoteModel.open(open_store(location), location).verify()
    assert not report.missing
    assert not report.mismatched
    # What was there without a manifest may belong to others, and stays.
    leftovers = {path for path in scenario.content("old").files if scenario.before == "bare"}
    assert set(report.unexpected or ()) <= leftovers


def run(
    name: str,
    base: Location,
    fault: Fault,
    check: Callable[[Scenario, Trial], None] = lambda _scenario, _trial: None,
) -> set[str]:
    """Run all trials, and say how they came out."""
    scenario = SCENARIOS[name]
    steps = operations(scenario, base)
    kept = 0 if base.is_local else scenario.kept
    assert len(steps) == scenario.points - kept, steps
    points = [at for at, step in enumerate(steps) if reaches_the_store(step, base)]
    found: Counter[str] = Counter()
    for trial in trials(scenario, base, fault, points):
        found[trial.outcome] += 1
        where = f"{trial.outcome} after {fault.value} at {trial.plan.at}: {trial.plan.step}"
        if is_survived(fault, trial.plan.step):
            assert trial.error is None, where
            assert trial.outcome == "new" or scenario.content is relabelled, where
        else:
            assert trial.error is not None, where
            assert trial.outcome in scenario.readable, where
            check(scenario, trial)
        check_next_save(trial.location, scenario)
    print(f"{name}, {base.protocol}, {fault.value}: {len(points)} points, {dict(found)}")
    assert found.total() == len(points) >= 3
    return set(found)


def is_survived(fault: Fault, step: str) -> bool:
    """Whether a save gets over a fault: it deletes again, and asks whose file is there."""
    again = ("delete",) if fault is Fault.FAIL else ("delete", "commit")
    return fault in (Fault.FAIL, Fault.LOSE) and step.startswith(again)


def reaches_the_store(step: str, base: Location) -> bool:
    """Whether a step is a request: on servers, small objects wait for their commit."""
    if base.protocol in ("file", "memory"):
        return True
    return step.startswith(("commit", "delete"))


def make_parents(location: Location) -> None:
    open_store(location).make_directory(location.parent)


def put_bare(location: Location, content: Content) -> None:
    """Put files there as others do, without a manifest."""
    store = open_store(location)
    folder = location if content.layout.value == "directory" else location.parent
    for path, data in content.files.items():
        target = folder.join(path)
        make = [target.parent]
        while len(make[-1].path) > len(folder.path):
            make.append(make[-1].parent)
        for each in reversed(make):
            store.make_directory(each)
        with Publication(store) as publication:
            publication.stage(target, len(data), [data])
            publication.commit(lambda _location, _version: None)


fast = pytest.mark.parametrize("kind", ["local", "memory"])
every = pytest.mark.parametrize("name", SCENARIOS)


class Buckets(Protocol):
    """What the fixture of that name is."""

    def prefix(self, emulator: Emulator, *, versioning: bool = False) -> Location: ...


def base_of(request: pytest.FixtureRequest, kind: str) -> Location:
    base: Location = request.getfixturevalue(f"{kind}_base")
    return base


@fast
@every
def test_killed(request: pytest.FixtureRequest, kind: str, name: str) -> None:
    run(name, base_of(request, kind), Fault.KILL)


@fast
@every
def test_outage(request: pytest.FixtureRequest, kind: str, name: str) -> None:
    """Cleaning up fails as well: as good as dead, but the error must be the first one."""

    def check(_scenario: Scenario, trial: Trial) -> None:
        error = trial.error
        if trial.plan.step.startswith("commit"):
            assert isinstance(error, AmbiguousCommitError)
            error = error.__cause__
        assert isinstance(error, StoreUnavailableError)
        assert error.where == trial.plan.step

    run(name, base_of(request, kind), Fault.OUTAGE, check)


def check_failure(scenario: Scenario, trial: Trial) -> None:
    assert isinstance(trial.error, StoreUnavailableError)
    step = trial.plan.step
    if scenario.before == "nothing":
        assert trial.outcome == "nothing", step
        assert trial.after == trial.before, step
    elif not trial.switched and step.startswith("commit") and "manifest" not in step:
        # Whether the file was switched is uncertain to the saver, so the manifest
        # goes on naming both; where there is no old manifest, it can only warn.
        assert trial.outcome == (
            "old" if scenario is not SCENARIOS[BARE_DIRECTORY] else "incomplete"
        ), step
    elif not trial.switched:
        assert trial.outcome == "old", step
        assert trial.after == trial.before, step


@fast
@every
def test_failed(request: pytest.FixtureRequest, kind: str, name: str) -> None:
    """A failed save leaves what was there, to the byte, unless files were switched already."""
    run(name, base_of(request, kind), Fault.FAIL, check_failure)


@pytest.mark.parametrize("kind", ["memory"])  # a disk loses no reply
@every
def test_lost_reply(request: pytest.FixtureRequest, kind: str, name: str) -> None:
    """Of a commit it costs a question; of another step it is as if nothing had happened."""
    run(name, base_of(request, kind), Fault.LOSE, check_lost_reply)


def check_lost_reply(scenario: Scenario, trial: Trial) -> None:
    step = trial.plan.step
    if trial.switched:
        return
    assert trial.outcome == ("nothing" if scenario.before == "nothing" else "old"), step
    # A file or folder that was made without the saver's knowledge is not looked for.
    if not step.startswith(("stage", "make")):
        assert trial.after == trial.before, step


@pytest.mark.parametrize("name", ["first several", "first directory", "overwrite directory"])
def test_what_is_loaded_first_is_switched_last(memory_base: Location, name: str) -> None:
    """TensorFlow Serving reads no manifest: without its entry point nothing loads."""
    steps = operations(SCENARIOS[name], memory_base)
    commits = [step.removeprefix("commit ") for step in steps if step.startswith("commit")]
    manifest, *files, last = commits
    assert manifest == last
    assert "manifest.json" in last
    assert files[-1] in ("saved_model.pb", "ckpt.index")
    assert len(files) > 2


def test_a_reader_is_up_to_date_after_its_pause(
    memory_base: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it read of the manifest before the pause says nothing of what is there after it."""
    location = memory_base.join("model")
    save(location, directory("old"))
    store = FaultyStore(open_store(location), Plan(Fault.KILL, kill_between_files(location)))
    with pytest.raises(Killed):
        save(location, directory("cut short"), store=store)
    assert observe(location, directory("old")) == "incomplete"
    saves = count(1)

    def pause(_seconds: float) -> None:
        save(location, directory(f"v{next(saves)}"))

    monkeypatch.setattr("remote_models.remote_model._settled.time", SimpleNamespace(sleep=pause))
    assert load(location) == expected(directory("v1"))


@pytest.mark.parametrize("kind", ["s3", "ministack", "gcs"])
@pytest.mark.parametrize("name", ON_SERVERS)
def test_killed_on_servers(request: pytest.FixtureRequest, kind: str, name: str) -> None:
    run(name, base_of(request, kind), Fault.KILL)


@pytest.mark.parametrize("kind", ["s3", "ministack", "gcs"])
@pytest.mark.parametrize("name", ON_SERVERS)
def test_failed_on_servers(request: pytest.FixtureRequest, kind: str, name: str) -> None:
    run(name, base_of(request, kind), Fault.FAIL, check_failure)


@pytest.mark.parametrize("name", ["overwrite directory", "overwrite several"])
@pytest.mark.parametrize("fault", [Fault.KILL, Fault.LOSE], ids=["kill", "lose"])
@pytest.mark.parametrize("server", ["seaweed", "fake_gcs"])
def test_on_a_versioned_bucket(
    request: pytest.FixtureRequest, buckets: Buckets, server: str, fault: Fault, name: str
) -> None:
    """There the old snapshot stays whole: the manifest pins the versions of its files."""
    base = buckets.prefix(request.getfixturevalue(server), versioning=True)
    assert run(name, base, fault) <= {"old", "new"}


def test_killed_again_and_again(memory_base: Location) -> None:
    """Each killed save leaves one more candidate; the one that goes through clears them all."""
    location = memory_base.join("model")
    save(location, directory("old"))
    versions = [directory(f"v{number}") for number in range(len(count_points(location)))]
    for at, content in enumerate(versions):
        store = FaultyStore(open_store(location), Plan(Fault.KILL, at))
        with pytest.raises(Killed):
            save(location, content, store=store)
        assert observe(location, directory("old"), *versions) in {"old", "incomplete", f"v{at}"}
    save(location, directory("last"))
    assert load(location) == expected(directory("last"))
    remote = RemoteModel.open(open_store(location), location)
    assert remote.verify().ok
    document = snapshot(manifest_location(location, remote.layout).parent)["manifest.json"]
    assert b"pending" not in document


def count_points(location: Location) -> Sequence[str]:
    plan = Plan(Fault.KILL, MOST_POINTS)
    save(location, directory("counted"), store=FaultyStore(open_store(location), plan))
    save(location, directory("old"))
    return plan.operations


def kill_between_files(location: Location) -> int:
    return count_points(location).index("commit saved_model.pb")
