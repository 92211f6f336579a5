"""Reading ahead: the same items, the same end, sooner."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote_models.frameworks._read_ahead import ReadAhead


def items(count: int, log: list[str], error: BaseException | None = None) -> Generator[int]:
    try:
        yield from range(count)
        if error is not None:
            raise error
    finally:
        log.append("closed")


@given(st.integers(0, 50))
def test_same_items_in_the_same_order(count: int) -> None:
    log: list[str] = []
    with ReadAhead(items(count, log)) as ahead:
        assert list(ahead) == list(range(count))
        assert next(ahead, None) is None
    assert log == ["closed"]


@pytest.mark.parametrize("error", [OSError("gone"), KeyboardInterrupt()])
def test_what_the_source_raises_comes_in_its_turn(error: BaseException) -> None:
    with ReadAhead(items(2, [], error)) as ahead:
        assert [next(ahead), next(ahead)] == [0, 1]
        for _ in range(2):
            with pytest.raises(type(error)):
                next(ahead)


def test_it_reads_before_it_is_asked() -> None:
    taken = threading.Event()

    def source() -> Generator[int]:
        yield 1
        taken.set()
        yield 2

    with ReadAhead(source()) as ahead:
        assert taken.wait(30)
        assert list(ahead) == [1, 2]


def test_closing_ends_the_reading_and_its_thread() -> None:
    log: list[str] = []
    before = threading.active_count()
    begun = threading.Event()
    goes_on = threading.Event()

    def source() -> Generator[int]:
        try:
            begun.set()
            assert goes_on.wait(30)
            yield from range(10**9)
        finally:
            log.append("closed")

    with ReadAhead(source()):
        assert begun.wait(30)
        goes_on.set()
    assert log == ["closed"]
    assert threading.active_count() == before
