"""Writers, prunes, aliases and readers at once, in threads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest
from publishing.artifacts import snapshot

from remote_models.errors import ConflictError, IntegrityError, ModelNotFoundError
from remote_models.storage import Location, open_store
from repository.versions import FORMATS, label_of, repository_at, save_next

pytestmark = pytest.mark.usefixtures("hasty_readers")

WRITERS = 12

SECONDS = 3


def test_each_of_many_writers_gets_a_version_of_its_own(base: Location) -> None:
    root = base.join("r")
    barrier = Barrier(WRITERS)
    words = list(FORMATS)

    def write(writer: int) -> tuple[int, str]:
        barrier.wait(30)
        label = f"writer-{writer}"
        return save_next(root, label, save_format=words[writer % 3]).number, label

    rounds = 3 if base.protocol in ("file", "memory") else 1
    saved: dict[int, str] = {}
    for _ in range(rounds):
        with ThreadPoolExecutor(WRITERS) as pool:
            saved |= dict(pool.map(write, range(WRITERS)))
    assert len(saved) == rounds * WRITERS, "a number was given twice"
    repository = repository_at(root)
    assert [version.number for version in repository.versions()] == sorted(saved)
    for number, label in saved.items():
        assert label_of(repository.open(number)) == label
    assert repository.aliases() == {"latest": max(saved)}
    assert not [path for path in snapshot(root) if path.startswith("claims/") and path[-1] != "/"]
    print(f"{base.protocol}: {len(saved)} versions of {WRITERS} writers in {rounds} rounds")


class Crowd:
    """Programs that use one repository at once; what they do, and how often, is counted."""

    def __init__(self, root: Location) -> None:
        self.root = root
        self.stop = Event()
        self.found: Counter[str] = Counter()
        self.saved: list[int] = []
        self._latest = 0

    def write(self) -> None:
        self.saved.append(save_next(self.root, "same").number)

    def prune(self) -> None:
        self.found["deleted"] += len(repository_at(self.root).prune(keep_last=2).deleted)

    def promote(self) -> None:
        """Choose the version that a prune is about to delete."""
        repository = repository_at(self.root)
        number = repository.versions()[0].number
        try:
            repository.set_alias("production", number)
        except (ConflictError, ModelNotFoundError):
            self.found["promotions refused"] += 1

    def read_latest(self) -> None:
        number = repository_at(self.root).aliases()["latest"]
        assert number >= self._latest
        self._latest = number
        assert label_of(repository_at(self.root).open("latest")) == "same"

    def read_production(self) -> None:
        """No prune takes away what an alias leads to: only moving it lets a version go."""
        repository = repository_at(self.root)
        before = repository.aliases()["production"]
        try:
            assert label_of(repository.open(before)) == "same"
        except (IntegrityError, ModelNotFoundError):
            assert repository.aliases()["production"] != before
            self.found["production moved meanwhile"] += 1

    def run(self, acts: Sequence[Callable[[], None]]) -> None:
        def until_stopped(act: Callable[[], None]) -> None:
            try:
                while not self.stop.is_set():
                    act()
                    self.found[act.__name__] += 1
            finally:
                self.stop.set()  # nobody goes on when one has failed

        with ThreadPoolExecutor(len(acts)) as pool:
            running = [pool.submit(until_stopped, act) for act in acts]
            self.stop.wait(SECONDS)
            self.stop.set()
            for each in running:
                each.result()


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_everything_at_once(request: pytest.FixtureRequest, kind: str) -> None:
    base: Location = request.getfixturevalue(f"{kind}_base")
    crowd = Crowd(base.join("r"))
    fill_same(crowd.root)
    crowd.run(
        [crowd.write, crowd.write, crowd.write, crowd.prune, crowd.promote, crowd.read_latest,
         crowd.read_production]
    )  # fmt: skip
    print(f"{kind}: {dict(crowd.found)}")
    assert len(set(crowd.saved)) == len(crowd.saved), "a number was given twice"
    assert min(crowd.saved) == 3
    assert crowd.found["deleted"] > 5
    repository = repository_at(crowd.root)
    numbers = [version.number for version in repository.versions()]
    assert repository.aliases()["latest"] == numbers[-1] == max(crowd.saved)
    assert repository.aliases()["production"] in numbers
    for number in numbers:
        assert label_of(repository.open(number)) == "same"


def fill_same(root: Location) -> None:
    open_store(root).make_directory(root)
    for _ in range(2):
        save_next(root, "same")
    repository_at(root).set_alias("production", 2)
