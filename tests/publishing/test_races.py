"""Writers and readers at once, in threads."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier, Event

import pytest

from publishing.artifacts import (
    LAYOUTS,
    SCRATCH,
    Content,
    download,
    expected,
    load,
    observe,
    save,
    snapshot,
)
from remote_models.errors import IntegrityError, ModelExistsError
from remote_models.publishing import publish
from remote_models.remote_model import RemoteModel
from remote_models.storage import Location, TransferProgress, open_store

Make = Callable[[str], Content]

each_layout = pytest.mark.parametrize("content", LAYOUTS.values(), ids=LAYOUTS)


def race(location: Location, contents: Sequence[Content], *, overwrite: bool) -> list[str]:
    """Save all of them at once, and return the versions that came through.

    Nobody sends a byte before all have looked whether something is there.
    """
    barrier = Barrier(len(contents))

    def save_one(content: Content) -> str | None:
        waited = False

        def meet(_progress: TransferProgress) -> None:
            nonlocal waited
            if not waited:
                waited = True
                barrier.wait(30)

        with TemporaryDirectory(dir=SCRATCH) as folder:
            artifact = content.write(Path(folder))
            try:
                publish(
                    open_store(location), location, artifact, overwrite=overwrite, progress=meet
                )
            except ModelExistsError:
                return None
        return str(content.metadata["version"])

    with ThreadPoolExecutor(len(contents)) as pool:
        return [version for version in pool.map(save_one, contents) if version is not None]


@each_layout
def test_one_exclusive_writer_wins(base: Location, content: Make) -> None:
    rounds = 15 if base.protocol in ("file", "memory") else 2
    for number in range(rounds):
        folder = base.join(f"round-{number}")
        open_store(folder).make_directory(folder)
        contents = [content(f"{writer}") for writer in ("a", "b", "c")]
        location = folder.join(contents[0].name)
        (winner,) = race(location, contents, overwrite=False)
        assert load(location) == expected(content(winner))
        assert RemoteModel.open(open_store(location), location).verify().ok
        # The losers leave no trace: what is there is what the winner alone leaves.
        alone = folder.with_suffix("-alone")
        open_store(alone).make_directory(alone)
        save(alone.join(contents[0].name), content(winner), overwrite=False)
        assert set(snapshot(folder)) == set(snapshot(alone))


@each_layout
def test_overwriting_writers_leave_one_of_them_or_an_error(base: Location, content: Make) -> None:
    """No store compares and swaps for everybody: the last switch and the last manifest may be
    of different writers. Then it is an error, until the next save."""
    rounds = 15 if base.protocol in ("file", "memory") else 2
    found: Counter[str] = Counter()
    for number in range(rounds):
        folder = base.join(f"round-{number}")
        open_store(folder).make_directory(folder)
        contents = [content("a"), content("b")]
        location = folder.join(contents[0].name)
        if number % 2:
            save(location, content("old"))
        race(location, contents, overwrite=True)
        found[observe(location, content("old"), *contents)] += 1
        save(location, content("next"))
        assert load(location) == expected(content("next"))
    print(f"{base.protocol}: {dict(found)}")
    assert set(found) <= {"a", "b", "incomplete", "damaged"}


@pytest.mark.parametrize("kind", ["local", "memory"])
@each_layout
def test_readers_and_a_writer(request: pytest.FixtureRequest, kind: str, content: Make) -> None:
    base: Location = request.getfixturevalue(f"{kind}_base")
    location = base.join(content("any").name)
    save(location, content("0"))
    stop = Event()

    def write() -> int:
        count = 0
        while not stop.is_set():
            count += 1
            save(location, content(str(count)))
            time.sleep(0.03)
        return count

    def read() -> Counter[str]:
        found: Counter[str] = Counter()
        while not stop.is_set():
            try:
                remote = RemoteModel.open(open_store(location), location)
                files = download(remote)
            except IntegrityError:
                found["error"] += 1
                continue
            version = str(remote.metadata["version"])
            assert files == expected(content(version)), "a mixture"
            found[version] += 1
        return found

    with ThreadPoolExecutor(4) as pool:
        writer = pool.submit(write)
        readers = [pool.submit(read) for _ in range(3)]
        time.sleep(1.2)
        stop.set()
        written = writer.result()
        found = sum((reader.result() for reader in readers), Counter())
    errors = found.pop("error", 0)
    print(f"{kind}: {written} saves, {found.total()} reads of {len(found)}, {errors} errors")
    assert written >= 3
    assert len(found) >= 3, "too few versions seen to say that the readers raced"
    assert errors <= found.total()
