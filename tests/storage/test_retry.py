"""Requests that fail for a moment, and those that fail for good."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st
from weights.counting_proxy import CountingProxy, Disturbance, counting_proxy

from remote_models.errors import (
    AccessDeniedError,
    CredentialsError,
    IntegrityError,
    ModelExistsError,
    ModelNotFoundError,
    RemoteModelsError,
    StorageError,
    StoreFullError,
    StoreUnavailableError,
)
from remote_models.storage import (
    Buffer,
    ByteRange,
    Location,
    ObjectInfo,
    PinnedFile,
    Store,
    TransferSettings,
    open_reader,
    open_store,
    read_all,
    read_chunks,
    read_ranges,
)
from remote_models.storage._memory import MemoryStore
from remote_models.storage._retry import RetryPolicy
from remote_models.testing import Emulator
from storage.test_conformance import publish

DATA = bytes(number * 7 % 251 for number in range(1000))
LOCATION = Location.parse("memory://object")

REFUSALS = (
    AccessDeniedError, CredentialsError, IntegrityError, ModelExistsError, ModelNotFoundError,
    StorageError, StoreFullError,
)  # fmt: skip


@dataclass
class Clock:
    """Time that passes by sleeping, and by work that says so."""

    now: float = 100.0
    pauses: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def policy(self, random: Callable[[], float] = lambda: 1.0) -> RetryPolicy:
        return RetryPolicy(sleep=self.sleep, random=random, clock=lambda: self.now)


# The policy.


@given(
    failures=st.integers(0, 8),
    duration=st.floats(0, 12),
    luck=st.lists(st.floats(0, 1), min_size=9, max_size=9),
)
def test_attempts_are_bounded(failures: int, duration: float, luck: list[float]) -> None:
    clock = Clock()
    draws = iter(luck)
    policy = clock.policy(lambda: next(draws))
    began: list[float] = []

    def act() -> str:
        began.append(clock.now - 100)
        clock.now += duration
        if len(began) <= failures:
            raise StoreUnavailableError("for a moment")
        return "done"

    try:
        assert policy.retried(act) == "done"
    except StoreUnavailableError:
        waited_for = began[-1] + duration + policy.longest_pause
        assert len(began) == policy.attempts or waited_for > policy.patience - 1e-6
    else:
        assert len(began) == failures + 1
    assert len(began) <= policy.attempts
    assert all(start <= policy.patience + 1e-6 for start in began)
    for number, pause in enumerate(clock.pauses):
        assert 0 <= pause <= min(policy.first_pause * 2**number, policy.longest_pause)


def test_pauses_are_random_parts_of_growing_ones() -> None:
    clock = Clock()

    def fail() -> None:
        raise StoreUnavailableError("for good")

    with pytest.raises(StoreUnavailableError):
        replace(clock.policy(lambda: 0.5), attempts=6, timeout=300).retried(fail)
    assert clock.pauses == [0.25, 0.5, 1.0, 2.0, 2.0]


@pytest.mark.parametrize("kind", [*REFUSALS, ValueError, KeyboardInterrupt])
def test_what_is_certain_is_not_asked_again(kind: type[BaseException]) -> None:
    asked = []

    def act() -> None:
        asked.append(1)
        raise kind("no")

    with pytest.raises(kind):
        Clock().policy().retried(act)
    assert len(asked) == 1


# Reads.


class FailingStore(MemoryStore):
    """One object in memory, whose range at a byte fails some times, or comes in half."""

    def __init__(
        self, at: int, times: int, error: type[RemoteModelsError] | None, size: int = len(DATA)
    ) -> None:
        super().__init__(MemoryFileSystem())
        self.transfer = TransferSettings(
            max_request=100, max_concurrency=3, max_gap=0, retry=Clock().policy()
        )
        self.asked: Counter[tuple[int, int]] = Counter()
        self.heads = 0
        self._at = at
        self._times = times
        self._error = error
        self._size = size
        self._lock = threading.Lock()

    def head(self, location: Location, *, version: str | None = None) -> ObjectInfo:
        self.heads += 1
        return ObjectInfo(size=self._size)

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
            self.asked[start, stop] += 1
            disturbed = start <= self._at < stop and self.asked[start, stop] <= self._times
        if disturbed and self._error is not None:
            raise self._error("no", where=str(location))
        data = DATA[start : min(stop, self._size)]
        return data[: len(data) // 2] if disturbed else data


def chunks(store: Store) -> bytes:
    return b"".join(read_chunks(store, LOCATION, len(DATA)))


def ranges(store: Store) -> bytes:
    wanted = [ByteRange("f", start, start + 100) for start in range(0, 1000, 100)]
    found: dict[int, bytes] = {}

    def receive(number: int, data: memoryview) -> None:
        found[number] = bytes(data)

    files = {"f": PinnedFile(location=LOCATION)}
    numbers = list(read_ranges(store, files, wanted, receive))
    return b"".join(found[number] for number in sorted(numbers))


def whole(store: Store) -> bytes:
    return read_all(store, LOCATION, limit=len(DATA))


def structure(store: Store) -> bytes:
    with open_reader(store, LOCATION, len(DATA)) as file:
        return file.read()


in_parts = pytest.mark.parametrize("read", [chunks, ranges])
in_any_way = pytest.mark.parametrize("read", [chunks, ranges, whole, structure])


@in_any_way
@pytest.mark.parametrize("times", [1, 3])
def test_only_what_failed_is_asked_again(read: Callable[[Store], bytes], times: int) -> None:
    store = FailingStore(350, times, StoreUnavailableError)
    assert read(store) == DATA
    often = {key: count for key, count in store.asked.items() if count > 1}
    ((start, stop),) = often
    assert start <= 350 < stop
    assert often[start, stop] == times + 1


@in_any_way
def test_what_fails_for_ever_is_given_up(read: Callable[[Store], bytes]) -> None:
    store = FailingStore(350, 1000, StoreUnavailableError)
    with pytest.raises(StoreUnavailableError):
        read(store)
    assert max(store.asked.values()) == 4


@in_any_way
@pytest.mark.parametrize("error", REFUSALS)
def test_a_refusal_is_one_request(
    read: Callable[[Store], bytes], error: type[RemoteModelsError]
) -> None:
    store = FailingStore(350, 1000, error)
    with pytest.raises(error):
        read(store)
    assert max(store.asked.values()) == 1


@in_parts
@pytest.mark.parametrize("times", [1, 3])
def test_an_answer_that_is_too_short_is_asked_for_again(
    read: Callable[[Store], bytes], times: int
) -> None:
    store = FailingStore(350, times, None)
    assert read(store) == DATA
    assert store.asked[300, 400] == times + 1
    assert sum(store.asked.values()) == 10 + times


@in_parts
def test_answers_that_stay_too_short_are_given_up(read: Callable[[Store], bytes]) -> None:
    store = FailingStore(350, 1000, None)
    with pytest.raises(StoreUnavailableError, match="broke off"):
        read(store)
    assert store.asked[300, 400] == 4


@in_parts
def test_a_file_that_is_too_short_is_not_asked_for_again(read: Callable[[Store], bytes]) -> None:
    store = FailingStore(350, 0, None, size=399)
    with pytest.raises(IntegrityError, match="shorter"):
        read(store)
    assert max(store.asked.values()) == 1


# A real server, behind a proxy that disturbs.


@pytest.fixture
def proxy(seaweed: Emulator) -> Iterator[CountingProxy]:
    with counting_proxy(seaweed.endpoint_url) as proxy:
        yield proxy


@pytest.mark.parametrize("client", ["fsspec", "obstore"], indirect=True)
@pytest.mark.parametrize(
    "disturbance",
    [Disturbance.UNAVAILABLE, Disturbance.RESET, Disturbance.CUT, Disturbance.SHORT],
)
@pytest.mark.parametrize("pinned", [False, True])
def test_a_server_that_stumbles(
    seaweed: Emulator,
    proxy: CountingProxy,
    s3_base: Location,
    disturbance: Disturbance,
    *,
    pinned: bool,
) -> None:
    publish(open_store(s3_base), s3_base.join("object"), DATA)
    location = Location.parse(s3_base.join("object").url, proxy.storage_options(seaweed))
    store = open_store(location)
    store.transfer = TransferSettings(max_request=100, max_concurrency=2)
    etag = store.head(location).etag if pinned else None
    left = [1]
    lock = threading.Lock()

    def disturb(method: str, wanted: str | None) -> Disturbance | None:
        with lock:
            if method == "GET" and wanted == "bytes=300-399" and left:
                left.pop()
                return disturbance
        return None

    proxy.clear()
    proxy.disturbs = disturb
    assert b"".join(read_chunks(store, location, len(DATA), etag=etag)) == DATA
    asked = Counter(each.range for each in proxy.exchanges if each.method == "GET")
    # obstore asks for the other half of a body that was cut.
    assert asked.pop("bytes=300-399") + asked.pop("bytes=350-399", 0) == 2
    assert len(asked) == 9
    assert set(asked.values()) == {1}
