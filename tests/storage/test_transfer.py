"""Reading in chunks: the same bytes at any size, chunk size and concurrency."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from remote_models.errors import IntegrityError, StoreUnavailableError
from remote_models.storage import (
    Buffer,
    Location,
    ObjectInfo,
    TransferSettings,
    read_all,
    read_chunks,
)
from remote_models.storage._memory import MemoryStore
from remote_models.storage._retry import RetryPolicy

DATA = bytes(number * 7 % 251 for number in range(4096))
LOCATION = Location.parse("memory://object")


AT_ONCE = RetryPolicy(sleep=lambda _seconds: None)
"""Nobody waits: nothing is said to the clock."""


class RecordingStore(MemoryStore):
    """One object in memory. Records the ranges, fails at a byte, and counts who reads at once."""

    def __init__(self, data: bytes, *, broken_at: int | None = None, delay: float = 0) -> None:
        super().__init__(MemoryFileSystem())
        self.transfer = TransferSettings(retry=AT_ONCE)
        self._data = data
        self._broken_at = broken_at
        self._delay = delay
        self._lock = threading.Lock()
        self._reading = 0
        self.ranges: list[tuple[int, int]] = []
        self.most_at_once = 0

    def read(
        self,
        location: Location,
        start: int,
        stop: int,
        *,
        version: str | None = None,
        etag: str | None = None,
    ) -> Buffer:
        with self._lock:
            self.ranges.append((start, stop))
            self._reading += 1
            self.most_at_once = max(self.most_at_once, self._reading)
        time.sleep(self._delay)
        with self._lock:
            self._reading -= 1
        if self._broken_at is not None and start <= self._broken_at < stop:
            raise StoreUnavailableError("gone", where=str(location))
        return self._data[start:stop]

    def head(self, location: Location, *, version: str | None = None) -> ObjectInfo:
        return ObjectInfo(size=len(self._data))


def gather(chunks: Iterator[Buffer], received: bytearray) -> None:
    for chunk in chunks:
        received += chunk


sizes = st.integers(min_value=1, max_value=len(DATA))
settings = st.builds(
    TransferSettings,
    max_request=st.integers(min_value=41, max_value=5000),
    max_concurrency=st.integers(min_value=1, max_value=20),
    retry=st.just(AT_ONCE),
)


@given(sizes, settings)
def test_any_chunks_give_the_same_bytes(size: int, settings: TransferSettings) -> None:
    store = RecordingStore(DATA[:size])
    chunks = list(read_chunks(store, LOCATION, size, settings=settings))
    assert b"".join(chunks) == DATA[:size]
    assert all(len(chunk) == settings.request_size for chunk in chunks[:-1])
    assert sorted(store.ranges) == [
        (start, min(start + settings.request_size, size))
        for start in range(0, size, settings.request_size)
    ]


@given(sizes, st.integers(min_value=1, max_value=len(DATA)), settings)
def test_a_missing_byte_is_noticed(size: int, missing: int, settings: TransferSettings) -> None:
    store = RecordingStore(DATA[: max(0, size - missing)])
    with pytest.raises(IntegrityError, match="shorter"):
        list(read_chunks(store, LOCATION, size, settings=settings))


@given(sizes, st.data(), settings)
def test_a_failed_range_fails_the_read(
    size: int, data: st.DataObject, settings: TransferSettings
) -> None:
    broken_at = data.draw(st.integers(min_value=0, max_value=size - 1))
    store = RecordingStore(DATA, broken_at=broken_at)
    received = bytearray()
    chunks = read_chunks(store, LOCATION, size, settings=settings)
    with pytest.raises(StoreUnavailableError):
        gather(chunks, received)
    assert received == DATA[: len(received)]
    assert len(received) <= broken_at


@given(st.integers(min_value=0, max_value=len(DATA)))
def test_read_all_of_any_size(size: int) -> None:
    store = RecordingStore(DATA[:size])
    assert read_all(store, LOCATION, limit=len(DATA)) == DATA[:size]
    assert len(store.ranges) == 1


@pytest.mark.parametrize("concurrency", [1, 3, 16])
def test_no_more_than_asked_for_at_once(concurrency: int) -> None:
    store = RecordingStore(DATA, delay=0.002)
    settings = TransferSettings(max_request=100, max_concurrency=concurrency)
    assert b"".join(read_chunks(store, LOCATION, len(DATA), settings=settings)) == DATA
    assert store.most_at_once <= concurrency
    assert (store.most_at_once > 1) == (concurrency > 1)


def test_what_is_not_consumed_is_not_read() -> None:
    store = RecordingStore(DATA)
    settings = TransferSettings(max_request=10, max_concurrency=4)
    chunks: Iterator[Buffer] = read_chunks(store, LOCATION, len(DATA), settings=settings)
    assert next(chunks) == DATA[:10]
    time.sleep(0.05)
    assert len(store.ranges) <= 5
    chunks.close()  # type: ignore[attr-defined]  # a generator
    assert len(store.ranges) <= 5


def test_no_thread_outlives_the_read() -> None:
    before = set(threading.enumerate())
    settings = TransferSettings(max_request=10, max_concurrency=8)
    list(read_chunks(RecordingStore(DATA), LOCATION, len(DATA), settings=settings))
    with pytest.raises(StoreUnavailableError):
        list(read_chunks(RecordingStore(DATA, broken_at=900), LOCATION, 4096, settings=settings))
    assert set(threading.enumerate()) <= before  # those of other tests' servers may end
