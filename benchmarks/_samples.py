"""What was measured, and medians of it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks._meter import Reading
from benchmarks.server import Counters

__all__ = ["Sample", "Samples", "Spread"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One turn of one case.

    Attributes:
        group: The group's name.
        case: The case's label.
        turn: Which of the group's turns, from 0.
        reading: What it cost the process.
        startup: Seconds of imports and of moving a tiny model, before.
        counters: What the server counted, if it counts.
    """

    group: str
    case: str
    turn: int
    reading: Reading
    startup: float
    counters: Counters | None

    @property
    def requests(self) -> int | None:
        """How many requests the server counted, if it counts."""
        return None if self.counters is None else sum(self.counters.requests.values())

    @property
    def moved(self) -> int | None:
        """How many bytes of bodies the server counted, both ways, if it counts."""
        counters = self.counters
        return None if counters is None else counters.bytes_sent + counters.bytes_received


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """A median between the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of some values."""
        return cls(median=statistics.median(values), least=min(values), most=max(values))


class Samples:
    """All that was measured, found by group and case."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.all = tuple(samples)

    def cases(self, group: str) -> set[str]:
        """Return the labels of a group's cases."""
        return {each.case for each in self.all if each.group == group}

    def of(self, group: str, case: str) -> list[Sample]:
        """Return the turns of a case, in order.

        Raises:
            KeyError: there are none.
        """
        found = [each for each in self.all if (each.group, each.case) == (group, case)]
        if not found:
            raise KeyError(f"{case} in {group}")
        return sorted(found, key=lambda each: each.turn)

    def spread(self, group: str, case: str, what: Callable[[Sample], float]) -> Spread:
        """Return the spread of a figure of a case."""
        return Spread.of([what(each) for each in self.of(group, case)])

    def ratio(self, group: str, case: str, other: str, what: Callable[[Sample], float]) -> Spread:
        """Return by how much a figure of a case exceeds another's, turn by turn.

        What slows the machine down for a while slows both of a turn.
        """
        above, below = (
            {each.turn: what(each) for each in self.of(group, label)} for label in (case, other)
        )
        return Spread.of([above[turn] / below[turn] for turn in above.keys() & below.keys()])
