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
    ByteRange,
    Location,
    PinnedFile,
    PlanSettings,
    RangeSettings,
    Store,
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
    RangeSettings,
    plan=st.builds(
        PlanSettings,
        max_gap=st.integers(0, 50),
        max_waste=st.sampled_from([0.0, 0.25, 1.0]),
        max_request=st.integers(1, 300),
    ),
    max_concurrency=st.integers(1, 5),
    memory_budget=st.integers(0, 600),
)


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
        self, location: Location, start: int, stop: int, *, version: str | None = None
    ) -> bytes:
        with self._lock:
            self.under_way += 1
            self.begun += stop - start
            self.most = max(self.most, self.under_way)
        time.sleep(self._pause)
        try:
            return self._store.read(location, start, stop, version=version)
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
    store: Store, ranges: list[ByteRange], options: RangeSettings
) -> None:
    watched = WatchedStore(store)
    found = list(read_ranges(watched, FILES, ranges, options))
    assert sorted(index for index, _ in found) == list(range(len(ranges)))
    for index, data in found:
        each = ranges[index]
        assert data == CONTENT[each.file][each.start : each.stop]
    assert watched.most <= options.max_concurrency


@given(ranges=RANGES)
@settings(deadline=None)
def test_defaults(store: Store, ranges: list[ByteRange]) -> None:
    for index, data in read_ranges(store, FILES, ranges):
        assert data == CONTENT[ranges[index].file][ranges[index].start : ranges[index].stop]


def test_what_is_handed_out_is_nobody_elses(store: Store) -> None:
    """Two equal ranges are two buffers."""
    whole = ByteRange("a", 0, 512)
    for _, data in read_ranges(store, FILES, [whole, whole]):
        data[:] = bytes(512)
    assert store.read(BASE.join("a"), 0, 512) == CONTENT["a"]


APART = RangeSettings(
    plan=PlanSettings(max_gap=0, max_request=16), max_concurrency=4, memory_budget=1 << 20
)


def test_requests_are_under_way_at_once_but_not_too_many(store: Store) -> None:
    watched = WatchedStore(store, pause=0.01)
    list(read_ranges(watched, FILES, [ByteRange("a", 0, 512)], APART))
    assert watched.most == 4


def test_memory_budget_holds_back_requests(store: Store) -> None:
    ranges = [ByteRange("a", start, start + 16) for start in range(0, 512, 16)]
    options = RangeSettings(
        plan=PlanSettings(max_gap=0, max_request=16), max_concurrency=16, memory_budget=50
    )
    watched = WatchedStore(store, pause=0.001)
    handed_out = 0
    for _ in read_ranges(watched, FILES, ranges, options):
        assert watched.begun - handed_out <= 50
        handed_out += 16
        if handed_out == 256:
            assert watched.most == 3
            watched.most = 0
    assert handed_out == 512
    assert watched.most == 3  # what was handed out makes room for more


def test_one_request_may_exceed_the_budget_alone(store: Store) -> None:
    options = RangeSettings(
        plan=PlanSettings(max_gap=0, max_request=100), max_concurrency=16, memory_budget=10
    )
    watched = WatchedStore(store, pause=0.001)
    ((_, data),) = read_ranges(watched, FILES, [ByteRange("a", 0, 512)], options)
    assert data == CONTENT["a"]
    assert watched.most == 1


def test_who_stops_asking_stops_the_requests(store: Store) -> None:
    watched = WatchedStore(store, pause=0.005)
    ranges = [ByteRange("a", start, start + 16) for start in range(0, 512, 16)]
    reading = read_ranges(watched, FILES, ranges, APART)
    next(reading)
    reading.close()  # type: ignore[attr-defined]  # a generator
    begun = watched.begun
    assert watched.under_way == 0
    time.sleep(0.03)
    assert watched.begun == begun < 512


@pytest.mark.parametrize("count", [1, 3])
def test_short_file_is_an_integrity_error(store: Store, count: int) -> None:
    ranges = [ByteRange("b", 200, 257 + 20 * number) for number in range(count)]
    options = RangeSettings(plan=PlanSettings(max_request=20))
    with pytest.raises(IntegrityError, match=r"memory://ranges/b: .*expected bytes"):
        list(read_ranges(store, FILES, ranges, options))


def test_missing_file_is_named(store: Store) -> None:
    files = {"x": PinnedFile(location=BASE.join("x"))}
    with pytest.raises(ModelNotFoundError, match="memory://ranges/x"):
        list(read_ranges(store, files, [ByteRange("x", 0, 1)]))
