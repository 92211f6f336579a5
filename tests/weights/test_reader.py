"""A file over ranges of an object: the same bytes as the file itself, in few requests."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remote_models.storage import Buffer, Location, Store, open_reader, open_store
from remote_models.storage import _reader as module
from weights.artifacts import put
from weights.test_ranges import WatchedStore

BASE = Location.parse("memory://reader")

BLOCK = 16

STEPS = st.lists(
    st.tuples(st.integers(0, 700), st.sampled_from([os.SEEK_SET, os.SEEK_CUR, os.SEEK_END]),
              st.integers(0, 200)),
    max_size=12,
)  # fmt: skip


class CountingStore(WatchedStore):
    """Remembers every request."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.requests: list[tuple[int, int]] = []

    def read(
        self,
        location: Location,
        start: int,
        stop: int,
        *,
        version: str | None = None,
        etag: str | None = None,
    ) -> Buffer:
        self.requests.append((start, stop))
        return super().read(location, start, stop, version=version, etag=etag)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", BLOCK)
    monkeypatch.setattr(module, "_MAX_BLOCKS", 8)


def stored(data: bytes) -> CountingStore:
    put(BASE.join("file"), data)
    return CountingStore(open_store(BASE))


@given(size=st.integers(0, 600), steps=STEPS)
@settings(deadline=None)
def test_reads_as_a_file_does(size: int, steps: list[tuple[int, int, int]]) -> None:
    data = bytes(number % 251 for number in range(size))
    store = stored(data)
    with open_reader(store, BASE.join("file"), size) as found:
        expected = io.BytesIO(data)
        for distance, whence, count in steps:
            if whence == os.SEEK_END and distance > size:
                continue  # BytesIO refuses it
            offset = -distance if whence == os.SEEK_END else distance
            assert found.seek(offset, whence) == expected.seek(offset, whence)
            assert found.read(count) == expected.read(count)
            assert found.tell() == expected.tell()
        expected.seek(0)
        found.seek(0)
        assert found.read() == expected.read()
    assert all(start % BLOCK == 0 and stop - start <= 8 * BLOCK for start, stop in store.requests)


def test_what_was_read_is_not_asked_for_again() -> None:
    store = stored(bytes(100))
    file = open_reader(store, BASE.join("file"), 100)
    for position in (0, 90, 3, 95, 15):
        file.seek(position)
        file.read(1)
    assert store.requests == [(0, 16), (80, 96)]


def test_a_long_read_is_one_request() -> None:
    store = stored(bytes(100))
    file = open_reader(store, BASE.join("file"), 100)
    file.seek(40)
    file.read(1)
    file.seek(5)
    assert len(file.read(90)) == 90
    assert store.requests == [(32, 48), (0, 32), (48, 96)]


def test_little_is_kept() -> None:
    store = stored(bytes(1000))
    file = open_reader(store, BASE.join("file"), 1000)
    for position in range(0, 1000, BLOCK):
        file.seek(position)
        file.read(1)
    assert len(file._blocks) == 8  # type: ignore[attr-defined]  # the reader's own


def test_a_file_that_shrank_ends_early() -> None:
    store = stored(bytes(50))
    file = open_reader(store, BASE.join("file"), 100)
    assert file.read(100) == bytes(50)
    assert file.read(1) == b""
