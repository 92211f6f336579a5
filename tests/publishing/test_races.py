"""Writers and readers at once, on every store; scripts/races does it for longer."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Protocol

import fsspec
import pytest
from weights.counting_proxy import Moment, counting_proxy

from publishing.artifacts import (
    LAYOUTS,
    Content,
    directory,
    expected,
    load,
    observe,
    save,
    single,
    snapshot,
)
from publishing.contests import duel, race
from publishing.request_scenarios import large
from remote_models.remote_model import RemoteModel, manifest_location
from remote_models.storage import Location, Store, open_store
from remote_models.testing import Emulator

Make = Callable[[str], Content]

ROUNDS = int(os.environ.get("REMOTE_MODELS_TEST_RACE_ROUNDS", "2"))
"""How often writers meet; scripts/races says 50."""

SECONDS = float(os.environ.get("REMOTE_MODELS_TEST_DUEL_SECONDS", "1.5"))
"""How long writers and readers go on; scripts/races says 60."""

WRITERS = 12

CLIENTS = ("obstore", "fsspec")

SERVERS = ("seaweed", "moto", "ministack", "fake_gcs")


class Buckets(Protocol):
    """What the fixture of that name is."""

    def prefix(self, emulator: Emulator, *, versioning: bool = False) -> Location: ...


@dataclass(frozen=True)
class Arena:
    """Where they meet."""

    base: Location
    monkeypatch: pytest.MonkeyPatch

    @property
    def is_here(self) -> bool:
        return self.base.protocol in ("file", "memory")

    def stores(self, count: int) -> list[Store]:
        """Return that many stores; on S3, both clients take part."""
        stores = []
        for number in range(count):
            self.monkeypatch.setenv("REMOTE_MODELS_CLIENT", CLIENTS[number % len(CLIENTS)])
            stores.append(open_store(self.base))
        return stores

    def folder(self, name: str) -> Location:
        folder = self.base.join(name)
        open_store(folder).make_directory(folder)
        return folder

    def uploads(self) -> Sequence[str]:
        """Return what has been begun and not ended."""
        if self.base.is_local:
            return [path for path in snapshot(self.base) if path.endswith("staging")]
        if self.base.protocol != "s3":
            return []  # GCS lists no resumable uploads
        bucket, _, prefix = self.base.path.partition("/")
        client: Any = fsspec.filesystem("s3", **self.base.storage_options)
        found = client.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=f"{prefix}/")
        return [each["Key"] for each in found.get("Uploads", [])]


@pytest.fixture
def open_arena(
    request: pytest.FixtureRequest, buckets: Buckets, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Arena]]:
    """What opens an arena on one of the stores."""
    with ExitStack() as stack:

        def open_it(kind: str, *, versioning: bool = False) -> Arena:
            if kind in ("local", "memory"):
                return Arena(request.getfixturevalue(f"{kind}_base"), monkeypatch)
            emulator: Emulator = request.getfixturevalue(kind)
            base = buckets.prefix(emulator, versioning=versioning)
            if kind == "moto":
                # It looks for an object and then writes it, in threads.
                proxy = stack.enter_context(counting_proxy(emulator.endpoint_url))
                proxy.meets = OneAtATime()
                options = {**base.storage_options, "endpoint_url": proxy.endpoint_url}
                base = replace(base, storage_options=options)
            return Arena(base, monkeypatch)

        yield open_it


class OneAtATime:
    """Lets a server do one request after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, moment: Moment, _path: str) -> None:
        if moment is Moment.BEFORE:
            self._lock.acquire()
        else:
            self._lock.release()


@pytest.fixture
def _patient_savers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Savers that wait for each other, as outside of tests."""
    monkeypatch.setattr("remote_models.publishing._manifest_file.PATIENCE_SECONDS", 10)


@pytest.mark.parametrize("kind", ["local", "memory", *SERVERS])
@pytest.mark.parametrize("content", [single, directory])
def test_one_exclusive_writer_wins(
    open_arena: Callable[..., Arena], kind: str, content: Make
) -> None:
    arena = open_arena(kind)
    run_races(arena, kind, content, writers=WRITERS, rounds=ROUNDS * (5 if arena.is_here else 1))


@pytest.mark.parametrize("kind", SERVERS)
def test_one_exclusive_writer_of_a_large_file_wins(
    open_arena: Callable[..., Arena], kind: str
) -> None:
    """The announcement decides: emulators do not complete uploads on a condition in one step."""
    run_races(open_arena(kind), kind, large, writers=4, rounds=max(ROUNDS // 10, 1))


def run_races(arena: Arena, kind: str, content: Make, *, writers: int, rounds: int) -> None:
    stores = arena.stores(writers)
    refused = 0
    alone = arena.folder("alone")
    save(alone.join(content("0").name), content("0"), overwrite=False)
    for number in range(rounds):
        folder = arena.folder(f"round-{number}")
        contents = [content(str(writer)) for writer in range(writers)]
        location = folder.join(contents[0].name)
        outcome = race(location, contents, stores, overwrite=False)
        (winner,) = outcome.winners
        assert (outcome.refused, outcome.late) == (writers - 1, 0)
        refused += outcome.refused
        assert load(location) == expected(content(winner))
        assert RemoteModel.open(open_store(location), location).verify().ok
        # The losers leave no trace: what is there is what the winner alone leaves.
        left = {name.replace(f"data-{winner}", "data-0") for name in snapshot(folder)}
        assert left == set(snapshot(alone))
    assert arena.uploads() == []
    print(f"{kind}, {content.__name__}: {writers} writers x {rounds} rounds, one winner in each,"
          f" {refused} refused with ConflictError, no trace of them")  # fmt: skip


@pytest.mark.parametrize("kind", ["local", "memory", *SERVERS])
@pytest.mark.parametrize("content", LAYOUTS.values(), ids=LAYOUTS)
def test_overwriting_writers_that_do_not_wait(
    open_arena: Callable[..., Arena], kind: str, content: Make
) -> None:
    """As if each took the others for dead.

    A single file is one of them whole in the end. Of several files, the last of one writer
    may come after the manifest of another: an error, until one saves again.
    """
    arena = open_arena(kind)
    stores = arena.stores(3)
    found: Counter[str] = Counter()
    for number in range(15 if arena.is_here else 2):
        folder = arena.folder(f"round-{number}")
        contents = [content("a"), content("b"), content("c")]
        location = folder.join(contents[0].name)
        if number % 2:
            save(location, content("old"))
        outcome = race(location, contents, stores, overwrite=True)
        seen = observe(location, content("old"), *contents)
        found[seen] += 1
        if content is single:
            assert seen in outcome.winners
        assert seen in {"a", "b", "c", "incomplete", "damaged"}
        save(location, content("next"))
        assert load(location) == expected(content("next"))
        assert b"pending" not in manifest_bytes(location, content("next"))
    print(f"{kind}: {dict(found)}")


def manifest_bytes(location: Location, content: Content) -> bytes:
    where = manifest_location(location, content.layout)
    return bytes(open_store(where).read_whole(where, limit=1_000_000)[0])


WHOLE = [
    *[(kind, single, False) for kind in ("local", "memory", *SERVERS)],
    # ministack does not judge: see WHOLE_VERSIONS in blind_spots.
    *[(kind, directory, True) for kind in SERVERS if kind != "ministack"],
]
"""Where every read is one whole version."""

WITH_A_WINDOW = [(kind, directory, False) for kind in ("local", "memory", *SERVERS)]
"""Where a directory is replaced file by file, so that a reader may come in between."""


@pytest.mark.usefixtures("_patient_savers")
@pytest.mark.parametrize(
    ("kind", "content", "versioning"),
    [*WHOLE, *WITH_A_WINDOW],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_two_writers_and_four_readers(
    open_arena: Callable[..., Arena], kind: str, content: Make, *, versioning: bool
) -> None:
    arena = open_arena(kind, versioning=versioning)
    location = arena.base.join(content("any").name)
    save(location, content("first"))
    outcome = duel(
        location, content, SECONDS, writers=arena.stores(2), readers=arena.stores(4)
    )  # fmt: skip
    label = f"{kind}, {content.__name__}{', versions' if versioning else ''}"
    print(f"{label}: two writers and four readers, {SECONDS:g} s: {outcome}")
    assert outcome.saves >= 4
    assert len(outcome.reads) >= 3, "too few versions seen to say that the readers raced"
    assert outcome.conflicts == 0
    if (kind, content, versioning) in WHOLE:
        assert not outcome.errors
    else:
        assert set(outcome.errors) <= {"IncompleteModelError", "IntegrityError"}
    remote = RemoteModel.open(open_store(location), location)
    assert load(location) == expected(content(str(remote.metadata["version"])))
    assert remote.verify().ok
    assert b"pending" not in manifest_bytes(location, content("any"))
    assert arena.uploads() == []
