"""Requests that bring byte ranges: all that is wanted, once, and little else."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from remote_models.storage import ByteRange, PlanSettings, plan_requests

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
    PlanSettings,
    max_gap=st.integers(0, 40),
    max_waste=st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]),
    max_request=st.integers(1, 60),
)


def bytes_of(ranges: Sequence[ByteRange]) -> list[tuple[str, int]]:
    return [(each.file, at) for each in ranges for at in range(each.start, each.stop)]


def joined(requests: Sequence[ByteRange]) -> list[ByteRange]:
    """Undo the splitting: requests that touch each other are one run."""
    runs: list[ByteRange] = []
    for each in requests:
        if runs and runs[-1].file == each.file and runs[-1].stop == each.start:
            runs[-1] = ByteRange(each.file, runs[-1].start, each.stop)
        else:
            runs.append(each)
    return runs


@given(RANGES, SETTINGS)
def test_every_wanted_byte_comes_once(ranges: list[ByteRange], settings: PlanSettings) -> None:
    requests = plan_requests(ranges, settings)
    brought = bytes_of(requests)
    assert len(brought) == len(set(brought))
    assert set(bytes_of(ranges)) <= set(brought)
    assert all(each.size > 0 for each in requests)
    assert requests == sorted(requests)


@given(RANGES, SETTINGS)
def test_unwanted_bytes_are_few(ranges: list[ByteRange], settings: PlanSettings) -> None:
    wanted = set(bytes_of(ranges))
    for run in joined(plan_requests(ranges, settings)):
        flags = [at in wanted for at in bytes_of([run])]
        assert flags[0]
        assert flags[-1]
        assert flags.count(False) <= settings.max_waste * run.size
        gaps = "".join("x" if flag else " " for flag in flags).split("x")
        assert max(map(len, gaps)) <= settings.max_gap


@given(RANGES, SETTINGS, st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(
    ranges: list[ByteRange], settings: PlanSettings, random: object
) -> None:
    shuffled = ranges * 2
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a Random
    assert plan_requests(shuffled, settings) == plan_requests(ranges, settings)


@given(st.integers(1, 500), st.integers(1, 60))
def test_parts_are_nearly_equal(size: int, most: int) -> None:
    requests = plan_requests([ByteRange("a", 7, 7 + size)], PlanSettings(max_request=most))
    sizes = [each.size for each in requests]
    assert sum(sizes) == size
    assert max(sizes) <= most
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == -(-size // most)


@given(RANGES)
def test_without_gap_nothing_is_wasted(ranges: list[ByteRange]) -> None:
    requests = plan_requests(ranges, PlanSettings(max_gap=0))
    assert sorted(bytes_of(requests)) == sorted(set(bytes_of(ranges)))


@given(RANGES, SETTINGS)
def test_files_do_not_know_each_other(ranges: list[ByteRange], settings: PlanSettings) -> None:
    apart = [
        request
        for file in "ab"
        for request in plan_requests([each for each in ranges if each.file == file], settings)
    ]
    assert plan_requests(ranges, settings) == apart


def test_waste_adds_up_over_a_request_and_not_over_several() -> None:
    """A gap of one byte, again and again: a quarter of the bytes is reached with the third."""
    settings = PlanSettings(max_gap=1, max_waste=0.25)

    def cluster(start: int) -> list[ByteRange]:
        edges = [(0, 4), (5, 6), (7, 8), (9, 10)]
        return [ByteRange("a", start + begin, start + end) for begin, end in edges]

    expected = [ByteRange("a", 0, 8), ByteRange("a", 9, 10)]
    assert plan_requests(cluster(0), settings) == expected
    again = [ByteRange("a", each.start + 100, each.stop + 100) for each in expected]
    assert plan_requests([*cluster(0), *cluster(100)], settings) == [*expected, *again]


def test_neighbours_are_joined_and_distant_ranges_are_not() -> None:
    """The defaults, by the megabyte."""
    near = [ByteRange("a", 0, 4 * MIB), ByteRange("a", 5 * MIB, 8 * MIB)]
    assert plan_requests(near) == [ByteRange("a", 0, 8 * MIB)]
    far = [ByteRange("a", 0, 4 * MIB), ByteRange("a", 5 * MIB + 1, 8 * MIB)]
    assert plan_requests(far) == far
    wasteful = [ByteRange("a", 0, MIB), ByteRange("a", 2 * MIB, 3 * MIB)]
    assert plan_requests(wasteful) == wasteful
    large = plan_requests([ByteRange("a", 0, 17 * MIB)])
    assert len(large) == 3
    assert sum(each.size for each in large) == 17 * MIB
