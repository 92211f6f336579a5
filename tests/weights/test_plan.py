"""Requests that bring byte ranges: all that is wanted, once, and little else."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from remote_models.storage import ByteRange, Request, TransferSettings, plan_requests

MIB = 1024 * 1024

RANGES = st.lists(
    st.builds(
        lambda file, start, size: ByteRange(file, start, start + size),
        st.sampled_from("ab"),
        st.integers(0, 200),
        st.integers(0, 40),
    ),
    max_size=12,
)
SETTINGS = st.builds(
    TransferSettings,
    max_gap=st.integers(0, 40),
    max_waste=st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]),
    max_request=st.integers(1, 60),
)


def bytes_of(ranges: Sequence[ByteRange]) -> list[tuple[str, int]]:
    return [(each.file, at) for each in ranges for at in range(each.start, each.stop)]


def asked(requests: Sequence[Request]) -> list[ByteRange]:
    return [request.range for request in requests]


def plan(ranges: Sequence[ByteRange], settings: TransferSettings) -> list[ByteRange]:
    return asked(plan_requests(ranges, settings))


@given(RANGES, SETTINGS)
def test_every_wanted_byte_comes_once(ranges: list[ByteRange], settings: TransferSettings) -> None:
    requests = plan(ranges, settings)
    brought = bytes_of(requests)
    assert len(brought) == len(set(brought))
    assert set(bytes_of(ranges)) <= set(brought)
    assert all(each.size > 0 for each in requests)
    assert requests == sorted(requests)


@given(RANGES, SETTINGS)
def test_every_range_lies_in_one_request_that_knows_it(
    ranges: list[ByteRange], settings: TransferSettings
) -> None:
    requests = plan_requests(ranges, settings)
    members = [number for request in requests for number in request.members]
    assert sorted(members) == [number for number, each in enumerate(ranges) if each.size]
    for request in requests:
        inside = [ranges[number] for number in request.members]
        assert inside == sorted(inside)
        assert all(each.file == request.range.file for each in inside)
        assert min(each.start for each in inside) == request.range.start
        assert max(each.stop for each in inside) == request.range.stop


@given(RANGES, SETTINGS)
def test_unwanted_bytes_are_few(ranges: list[ByteRange], settings: TransferSettings) -> None:
    wanted = set(bytes_of(ranges))
    for request in plan(ranges, settings):
        flags = [at in wanted for at in bytes_of([request])]
        assert flags[0]
        assert flags[-1]
        assert flags.count(False) <= settings.max_waste * request.size
        gaps = "".join("x" if flag else " " for flag in flags).split("x")
        assert max(map(len, gaps)) <= settings.max_gap


@given(RANGES, SETTINGS)
def test_no_request_is_larger_than_it_has_to_be(
    ranges: list[ByteRange], settings: TransferSettings
) -> None:
    """Only a range that is larger itself, or ranges that overlap, exceed the limit."""
    for request in plan_requests(ranges, settings):
        inside = [ranges[number] for number in request.members]
        apart = all(a.stop <= b.start for a, b in pairwise(inside))
        if apart and len(inside) > 1:
            assert request.range.size <= settings.max_request


@given(RANGES, SETTINGS, st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(
    ranges: list[ByteRange], settings: TransferSettings, random: object
) -> None:
    shuffled = ranges * 2
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a Random
    assert plan(shuffled, settings) == plan(ranges, settings)


@given(st.integers(0, 500), st.integers(1, 60), st.integers(1, 20))
def test_a_range_is_split_into_few_and_nearly_equal_parts(size: int, most: int, unit: int) -> None:
    whole = ByteRange("a", 7, 7 + size)
    parts = whole.split(most, unit=unit)
    assert [part.start for part in parts[1:]] == [part.stop for part in parts[:-1]]
    assert (parts[0].start, parts[-1].stop) == (7, 7 + size)
    assert all(part.size % unit == 0 for part in parts[:-1])
    sizes = [part.size for part in parts]
    assert max(sizes) <= max(most, unit)
    assert max(sizes) - min(sizes) < 2 * unit
    if unit == 1:
        assert len(sizes) == max(-(-size // most), 1)


@given(RANGES)
def test_without_gap_nothing_is_wasted(ranges: list[ByteRange]) -> None:
    requests = plan(ranges, TransferSettings(max_gap=0))
    assert sorted(bytes_of(requests)) == sorted(set(bytes_of(ranges)))


@given(RANGES, SETTINGS)
def test_files_do_not_know_each_other(ranges: list[ByteRange], settings: TransferSettings) -> None:
    apart = [
        request
        for file in "ab"
        for request in plan([each for each in ranges if each.file == file], settings)
    ]
    assert plan(ranges, settings) == apart


def test_waste_adds_up_over_a_request_and_not_over_several() -> None:
    """A gap of one byte, again and again: a quarter of the bytes is reached with the third."""
    settings = TransferSettings(max_gap=1, max_waste=0.25)

    def cluster(start: int) -> list[ByteRange]:
        edges = [(0, 4), (5, 6), (7, 8), (9, 10)]
        return [ByteRange("a", start + begin, start + end) for begin, end in edges]

    expected = [ByteRange("a", 0, 8), ByteRange("a", 9, 10)]
    assert plan(cluster(0), settings) == expected
    again = [ByteRange("a", each.start + 100, each.stop + 100) for each in expected]
    assert plan([*cluster(0), *cluster(100)], settings) == [*expected, *again]


def test_neighbours_are_joined_and_distant_ranges_are_not() -> None:
    """By the megabyte."""
    settings = TransferSettings(memory_budget=128 * MIB)
    near = [ByteRange("a", 0, 4 * MIB), ByteRange("a", 5 * MIB, 8 * MIB)]
    assert plan(near, settings) == [ByteRange("a", 0, 8 * MIB)]
    far = [ByteRange("a", 0, 3 * MIB), ByteRange("a", 4 * MIB + 1, 7 * MIB)]
    assert plan(far, settings) == far
    wasteful = [ByteRange("a", 0, MIB), ByteRange("a", 2 * MIB, 3 * MIB)]
    assert plan(wasteful, settings) == wasteful
    large = [ByteRange("a", 0, 4 * MIB), ByteRange("a", 4 * MIB, 8 * MIB + 1)]
    assert plan(large, settings) == large
