"""Many ranges at once: the right bytes, each range once, within the limits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remote_models.errors import IntegrityError, ModelNotFoundError
from remote_models.storage import (
    Buffer,
    ByteRange,
    Location,
    PinnedFile,
    Store,
    TransferSettings,
    open_store,
    read_ranges,
)
from weights.artifacts import put

CONTENT = {"a": bytes(range(256)) * 2, "b": bytes(reversed(range(256))), "c": b""}

BASE = Location.parse("memory://ranges")

FILES = {name: PinnedFile(location=BASE.join(name)) for name in CONTENT}

RANGES = st.lists(
    st.one_of(
        [
            st.builds(
                lambda name, start, size, most: ByteRange(name, start, min(start + size, most)),
                st.just(name),
                st.integers(0, limit),
                st.integers(0, limit),
                st.just(limit),
            )
            for name, limit in [(name, len(data)) for name, data in CONTENT.items()]
        ]
    ),
    max_size=12,
)
SETTINGS = st.builds(
    TransferSettings,
    max_gap=st.integers(0, 50),
    max_waste=st.sampled_from([0.0, 0.25, 1.0]),
    max_request=st.integers(1, 300),
    max_concurrency=st.integers(1, 5),
    memory_budget=st.integers(1, 600),
)


class Received:
    """Keeps what comes, in whatever thread."""

    def __init__(self) -> None:
        self.data: dict[int, bytes] = {}

    def __call__(self, number: int, data: memoryview) -> None:
        assert number not in self.data
        self.data[number] = bytes(data)


class WatchedStore(Store):
    """Passes reads on, and remembers how many were under way at once."""

    def __init__(self, store: Store, *, pause: float = 0.0) -> None:
        self._store = store
        self._pause = pause
        self._lock = threading.Lock()
        self.under_way = 0
        self.most = 0
        self.begun = 0

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
            self.under_way += 1
            self.begun += stop - start
            self.most = max(self.most, self.under_way)
        time.sleep(self._pause)
        try:
            return self._store.read(location, start, stop, version=version, etag=etag)
        finally:
            with self._lock:
                self.under_way -= 1


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    for name, data in CONTENT.items():
        put(BASE.join(name), data)
    yield open_store(BASE)
    open_store(BASE)._filesystem.rm("/ranges", recursive=True)


@given(ranges=RANGES, options=SETTINGS)
@settings(deadline=None)
def test_every_range_comes_once_with_its_bytes(
    store: Store, ranges: list[ByteRange], options: TransferSettings
) -> None:
    watched = WatchedStore(store)
    received = Received()
    found = []
    for number in read_ranges(watched, FILES, ranges, received, options):
        assert number in received.data  # before it is handed out
        found.append(number)
    assert sorted(found) == list(range(len(ranges)))
    for number, data in received.data.items():
        each = ranges[number]
        assert data == CONTENT[each.file][each.start : each.stop]
    assert watched.most <= options.max_concurrency


@given(ranges=RANGES)
@settings(deadline=None)
def test_the_stores_own_settings_are_the_default(store: Store, ranges: list[ByteRange]) -> None:
    watched = WatchedStore(store)
    watched.transfer = TransferSettings(max_gap=0, max_request=1, max_concurrency=1)
    received = Received()
    assert len(list(read_ranges(watched, FILES, ranges, received))) == len(ranges)
    assert watched.most <= 1
    for number, data in received.data.items():
        assert data == CONTENT[ranges[number].file][ranges[number].start : ranges[number].stop]


APART = TransferSettings(max_gap=0, max_request=16, max_concurrency=4, memory_budget=1 << 20)

SIXTEENS = [ByteRange("a", start, start + 16) for start in range(0, 512, 16)]


def test_requests_are_under_way_at_once_but_not_too_many(store: Store) -> None:
    watched = WatchedStore(store, pause=0.01)
    list(read_ranges(watched, FILES, SIXTEENS, Received(), APART))
    assert watched.most == 4


def test_memory_budget_holds_back_requests(store: Store) -> None:
    """Under way are as many bytes as it says, and as many again wait for who is slow."""
    options = TransferSettings(max_gap=0, max_request=16, max_concurrency=16, memory_budget=50)
    watched = WatchedStore(store, pause=0.001)
    handed_out = 0
    ahead = []
    for _ in read_ranges(watched, FILES, SIXTEENS, Received(), options):
        handed_out += 16
        time.sleep(0.005)
        ahead.append(watched.begun - handed_out)
    assert handed_out == 512
    assert watched.most == 3
    assert 50 < max(ahead) <= 100


def test_a_slow_request_does_not_keep_others_from_being_made(store: Store) -> None:
    """The first is handed out last of those that may be read ahead of it."""
    options = TransferSettings(max_gap=0, max_request=16, max_concurrency=2, memory_budget=128)
    begun: list[int] = []
    enough = threading.Event()

    def receive(number: int, _data: memoryview) -> None:
        begun.append(number)
        if len(begun) == 8:
            enough.set()
        if number == 0:
            assert enough.wait(30)

    assert list(read_ranges(store, FILES, SIXTEENS, receive, options)) == list(range(32))


def test_one_request_may_exceed_the_budget_alone(store: Store) -> None:
    options = TransferSettings(max_gap=0, max_request=100, memory_budget=10)
    watched = WatchedStore(store, pause=0.001)
    received = Received()
    hundreds = [ByteRange("a", start, min(start + 100, 512)) for start in range(0, 512, 100)]
    list(read_ranges(watched, FILES, hundreds, received, options))
    assert b"".join(received.data[number] for number in range(6)) == CONTENT["a"]
    assert watched.most == 1


def test_who_stops_asking_stops_the_requests(store: Store) -> None:
    watched = WatchedStore(store, pause=0.005)
    reading = read_ranges(watched, FILES, SIXTEENS, Received(), APART)
    next(reading)
    reading.close()  # type: ignore[attr-defined]  # a generator
    begun = watched.begun
    assert watched.under_way == 0
    time.sleep(0.03)
    assert watched.begun == begun < 512


def test_what_the_receiver_raises_ends_the_reading(store: Store) -> None:
    def refuse(number: int, _data: memoryview) -> None:
        if number == 3:
            raise IntegrityError("not these", where=str(number))

    watched = WatchedStore(store)
    reading = read_ranges(watched, FILES, SIXTEENS, refuse, APART)
    assert [next(reading) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(IntegrityError, match="3: not these"):
        next(reading)
    assert watched.begun < 512
    assert watched.under_way == 0


@pytest.mark.parametrize("count", [1, 3])
def test_short_file_is_an_integrity_error(store: Store, count: int) -> None:
    ranges = [ByteRange("b", 200, 257 + 20 * number) for number in range(count)]
    options = TransferSettings(max_request=20)
    with pytest.raises(IntegrityError, match=r"memory://ranges/b: .*expected bytes"):
        list(read_ranges(store, FILES, ranges, Received(), options))


def test_missing_file_is_named(store: Store) -> None:
    files = {"x": PinnedFile(location=BASE.join("x"))}
    with pytest.raises(ModelNotFoundError, match="memory://ranges/x"):
        list(read_ranges(store, files, [ByteRange("x", 0, 1)], Received()))


def test_a_mapped_file_is_not_read(store: Store) -> None:
    watched = WatchedStore(store)
    mapped = memoryview(CONTENT["a"])
    files = {"a": PinnedFile(location=BASE.join("a"), mapped=lambda a, b: mapped[a:b])}
    received = Received()
    list(read_ranges(watched, files, SIXTEENS, received, APART))
    assert b"".join(received.data[number] for number in range(32)) == CONTENT["a"]
    assert watched.begun == 0
