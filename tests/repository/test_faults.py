"""Saves, prunes and aliases that die, fail or lose a reply at every operation on the store.

Whatever happens, every version that was finished loads whole unless it was to be deleted,
what is deleted is gone and no half of a version, every alias leads to a whole version, no
number is used twice, and the next call of the same kind does what this one was to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from tempfile import TemporaryDirectory

import pytest
from publishing.artifacts import SCRATCH, snapshot
from publishing.faults import Fault, FaultyStore, Killed, Plan

from remote_models.errors import AmbiguousCommitError, ModelNotFoundError, StoreUnavailableError
from remote_models.storage import Location, Store, open_store
from repository.versions import fill, label_of, repository_at, save_next

pytestmark = pytest.mark.usefixtures("hasty_readers")

MOST_POINTS = 300

VERSIONS = 4
"""Finished versions before the call; ``production`` leads to the second."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A call that is disturbed, and what holds after it."""

    call: Callable[[Location, Store], object]
    survivors: frozenset[int] = frozenset(range(1, VERSIONS + 1))
    """Versions that must load, whatever happens."""
    made: int | None = None
    """The version that the call makes."""
    aliased: frozenset[int] = frozenset({2})
    """What ``production`` may lead to."""
    versions: int = VERSIONS


def save_tf(root: Location, store: Store) -> object:
    return save_next(root, f"v{VERSIONS + 1}", store=store)


def save_keras(root: Location, store: Store) -> object:
    return save_next(root, f"v{VERSIONS + 1}", save_format="keras", store=store)


def save_first(root: Location, store: Store) -> object:
    return save_next(root, "v1", store=store)


def prune(root: Location, store: Store) -> object:
    return repository_at(root, store).prune(keep_last=1)


def promote(root: Location, store: Store) -> object:
    return repository_at(root, store).set_alias("production", 3)


SCENARIOS = {
    "first save": Scenario(
        call=save_first, survivors=frozenset(), made=1, aliased=frozenset(), versions=0
    ),
    "save": Scenario(call=save_tf, made=VERSIONS + 1),
    "save a file": Scenario(call=save_keras, made=VERSIONS + 1),
    "prune": Scenario(call=prune, survivors=frozenset({2, 4})),
    "set an alias": Scenario(call=promote, aliased=frozenset({2, 3})),
}

every = pytest.mark.parametrize("name", SCENARIOS)


@pytest.fixture
def local_base() -> Iterator[Location]:
    """An empty folder, in memory where there is such a file system."""
    with TemporaryDirectory(dir=SCRATCH) as folder:
        yield Location.parse(folder)


@pytest.fixture(params=["local", "memory"])
def fast_base(request: pytest.FixtureRequest) -> Location:
    base: Location = request.getfixturevalue(f"{request.param}_base")
    return base


def prepare(root: Location, scenario: Scenario) -> None:
    open_store(root).make_directory(root.parent)
    if scenario.versions:
        fill(root, scenario.versions)
        repository_at(root).set_alias("production", 2)


def attempt(root: Location, scenario: Scenario, plan: Plan) -> BaseException | None:
    store = FaultyStore(open_store(root), plan)
    try:
        scenario.call(root, store)
    except (Killed, StoreUnavailableError, AmbiguousCommitError) as error:
        return error
    finally:
        store.release()
    return None


def operations(root: Location, scenario: Scenario) -> list[str]:
    """Return what the call does that nothing disturbs."""
    prepare(root, scenario)
    plan = Plan(Fault.KILL, MOST_POINTS)
    assert attempt(root, scenario, plan) is None
    return plan.operations


def reaches_the_store(step: str, base: Location) -> bool:
    """Whether a step is a request: on servers, small objects wait for their commit."""
    return base.protocol in ("file", "memory") or step.startswith(("commit", "delete"))


def run(name: str, base: Location, fault: Fault) -> None:
    scenario = SCENARIOS[name]
    steps = operations(base.join("undisturbed").join("r"), scenario)
    points = [at for at, step in enumerate(steps) if reaches_the_store(step, base)]
    found: Counter[str] = Counter()
    for at in points:
        root = base.join(f"point-{at}").join("r")
        prepare(root, scenario)
        plan = Plan(fault, at)
        error = attempt(root, scenario, plan)
        where = f"{fault.value} at {at}: {steps[at]}"
        # A commit whose reply is lost has come through, which the store tells when asked.
        assert error is not None or (fault is Fault.LOSE and "commit" in plan.step), where
        try:
            found[check(root, scenario)] += 1
            check_next_calls(root, scenario)
        except BaseException as failure:
            failure.add_note(where)
            raise
    print(f"{name}, {base.protocol}, {fault.value}: {len(points)} points, {dict(found)}")
    assert found.total() == len(points) >= 1


def check(root: Location, scenario: Scenario) -> str:
    """Look at everything that a reader can see, and say in a word what is there."""
    repository = repository_at(root)
    finished = [version.number for version in repository.versions()]
    known = set(range(1, VERSIONS + 1)) if scenario.versions else set()
    assert scenario.survivors <= set(finished) <= known | {scenario.made}
    for number in finished:
        assert label_of(repository.open(number)) == f"v{number}"
    for number in known - set(finished):
        with pytest.raises(ModelNotFoundError):
            repository.open(number)
    aliases = repository.aliases()
    assert {aliases.pop("production")} <= scenario.aliased if scenario.aliased else True
    newest = repository.latest
    if newest is None:
        assert finished == []
        assert aliases == {}
        return "nothing"
    assert newest.number == finished[-1]
    leads_to = int(label_of(repository.open("latest"))[1:])
    # A save that was killed before its last step may leave it one behind.
    assert leads_to in {newest.number, VERSIONS}
    assert aliases in ({"latest": leads_to}, {})
    if scenario.aliased:
        assert int(label_of(repository.open("production"))[1:]) in scenario.aliased
    return f"{len(finished)} versions, latest {leads_to}"


def check_next_calls(root: Location, scenario: Scenario) -> None:
    """Whatever was left undone, what comes next is done."""
    repository = repository_at(root)
    before = {version.number for version in repository.versions()}
    number = save_next(root, "next").number
    assert number > max(before, default=0)
    # One number is lost at most: that of the save that was cut short.
    assert number <= (scenario.made or VERSIONS) + 1
    assert repository.aliases()["latest"] == number
    assert label_of(repository.open()) == "next"
    if scenario.aliased:
        repository.prune(keep_last=100)  # after which no mark is left that is in the way
        repository.set_alias("production", 4)
    repository.prune(keep_last=1)
    kept = {4, number} if scenario.aliased else {number}
    assert {version.number for version in repository.versions()} == kept
    # Of what a kill leaves half-written on a disk, gc takes care.
    left = {
        path
        for path in snapshot(root)
        if not path.startswith("aliases/") and not path.endswith(".remote-models-staging")
    }
    if scenario.made and scenario.made not in {*kept, *before}:
        # A save that is cut short leaves what is none of a prune's business.
        left = {path for path in left if not path.startswith(f"{scenario.made}/")}
    assert {path.partition("/")[0] for path in left if path not in ("claims/", "deleting/")} == {
        str(each) for each in kept
    }


@every
@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.value)
def test_disturbed(memory_base: Location, name: str, fault: Fault) -> None:
    run(name, memory_base, fault)


@every
def test_killed_on_disk(local_base: Location, name: str) -> None:
    run(name, local_base, Fault.KILL)


@pytest.mark.parametrize("kind", ["s3", "gcs"])
@pytest.mark.parametrize("name", ["save", "prune", "set an alias"])
def test_killed_on_servers(request: pytest.FixtureRequest, kind: str, name: str) -> None:
    run(name, request.getfixturevalue(f"{kind}_base"), Fault.KILL)


def test_a_version_stops_being_one_with_the_first_file_that_goes(fast_base: Location) -> None:
    """TensorFlow loads nothing without its graph, so that comes next."""
    root = fast_base.join("r")
    steps = operations(root, SCENARIOS["prune"])
    deletes = [step for step in steps if step.startswith("delete")]
    assert deletes[:2] == ["delete manifest.json", "delete saved_model.pb"]
    assert deletes[-1] == "delete 3.json"


def test_prunes_that_are_killed_again_and_again_come_to_an_end(fast_base: Location) -> None:
    root = fast_base.join("r")
    prepare(root, SCENARIOS["prune"])
    rounds = 0
    while True:
        plan = Plan(Fault.KILL, 7)  # a mark takes five operations
        if attempt(root, SCENARIOS["prune"], plan) is None:
            break
        check(root, SCENARIOS["prune"])
        rounds += 1
        assert rounds < MOST_POINTS
    print(f"{fast_base.protocol}: killed {rounds} times")
    assert rounds > 3
    assert [version.number for version in repository_at(root).versions()] == [2, 4]
