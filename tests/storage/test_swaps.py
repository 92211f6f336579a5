"""Counting together: each of several savers adds to a number that it replaces conditionally.

A swap that let two of them through would lose a count.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from remote_models.errors import ConflictError
from remote_models.storage import Location, Publication, Store, open_store

COUNTERS, TIMES = 4, 10

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from storage.test_swaps import count
from remote_models.storage import Location, open_store
location = Location.parse(sys.argv[2])
print(count(open_store(location), location, 100))
"""


def count(store: Store, location: Location, times: int) -> int:
    """Add 1 that many times; return how often another one was faster."""
    refused = 0
    while times:
        data, info = store.read_whole(location, limit=100)
        try:
            replace(store, location, str(int(bytes(data)) + 1), if_match=info.etag)
        except ConflictError:
            refused += 1
        else:
            times -= 1
    return refused


def replace(store: Store, location: Location, text: str, *, if_match: str | None) -> None:
    with Publication(store, if_match=if_match) as publication:
        publication.stage(location, len(text), [text.encode()])
        publication.commit(lambda _location, _committed: None)


def check(location: Location, total: int, refused: Sequence[int]) -> None:
    assert bytes(open_store(location).read(location, 0, 100)) == str(total).encode()
    print(f"{location.protocol}: {total} counted, {sum(refused)} refused")


@pytest.mark.parametrize(
    ("kind", "client"),
    [("local", "auto"), ("memory", "auto"), ("s3", "obstore"), ("s3", "fsspec"), ("gcs", "auto")],
)
def test_threads_count_together(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str, client: str
) -> None:
    monkeypatch.setenv("REMOTE_MODELS_CLIENT", client)
    base: Location = request.getfixturevalue(f"{kind}_base")
    location = base.join("number")
    replace(open_store(base), location, "0", if_match=None)
    stores = [open_store(location) for _ in range(COUNTERS)]
    with ThreadPoolExecutor(COUNTERS) as pool:
        refused = list(pool.map(lambda store: count(store, location, TIMES), stores))
    check(location, COUNTERS * TIMES, refused)


def test_processes_count_together(local_base: Location) -> None:
    location = local_base.join("number")
    replace(open_store(local_base), location, "0", if_match=None)
    tests = __file__.rpartition("/storage/")[0]
    command = [sys.executable, "-c", PROGRAM, tests, location.path]
    children = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(COUNTERS)
    ]
    refused = [int(child.communicate()[0]) for child in children]
    assert [child.returncode for child in children] == [0] * COUNTERS
    check(location, COUNTERS * 100, refused)
    assert list(open_store(local_base).list(local_base)) == ["number"]
