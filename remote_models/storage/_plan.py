"""Plan which requests bring which byte ranges: a pure function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from remote_models.storage._settings import TransferSettings

__all__ = ["ByteRange", "Request", "plan_requests"]


@dataclass(frozen=True, order=True, slots=True)
class ByteRange:
    """Bytes ``start`` to ``stop`` (not included) of the file called ``file``."""

    file: str
    start: int
    stop: int

    @property
    def size(self) -> int:
        """How many bytes."""
        return self.stop - self.start

    def split(self, most: int, *, unit: int = 1) -> list[ByteRange]:
        """Return parts of at most ``most`` bytes, as few and as equal as can be.

        Each but the last is a multiple of ``unit`` bytes long, and one unit at least.
        """
        units = max(-(-self.size // unit), 1)
        parts = -(-units // max(most // unit, 1))
        cuts = [self.start + units * index // parts * unit for index in range(parts)]
        return [
            ByteRange(self.file, start, stop)
            for start, stop in zip(cuts, [*cuts[1:], self.stop], strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Request:
    """What one request brings.

    Attributes:
        range: The bytes to ask for.
        members: The numbers of the wanted ranges in it, by their first bytes.
    """

    range: ByteRange
    members: tuple[int, ...]


def plan_requests(
    ranges: Sequence[ByteRange], settings: TransferSettings | None = None
) -> list[Request]:
    """Return the requests that bring ``ranges``, sorted, none overlapping another.

    Every range with a byte lies in exactly one request, in whatever order the ranges come
    and however they overlap. Neighbours are joined as long as the gap, the waste and
    the request's size allow it. A range is never cut: who asks for much splits it first.
    """
    settings = settings or TransferSettings()
    order = sorted(
        (number for number, each in enumerate(ranges) if each.size > 0),
        key=lambda number: ranges[number],
    )
    requests: list[Request] = []
    current: ByteRange | None = None
    members: list[int] = []
    wasted = 0
    for number in order:
        each = ranges[number]
        if current is not None and each.file == current.file:
            gap = max(each.start - current.stop, 0)
            joined = ByteRange(each.file, current.start, max(current.stop, each.stop))
            if each.start < current.stop or _may_join(joined, gap, wasted + gap, settings):
                current, wasted = joined, wasted + gap
                members.append(number)
                continue
        if current is not None:
            requests.append(Request(current, tuple(members)))
        current, members, wasted = each, [number], 0
    if current is not None:
        requests.append(Request(current, tuple(members)))
    return requests


def _may_join(joined: ByteRange, gap: int, wasted: int, settings: TransferSettings) -> bool:
    return (
        joined.size <= settings.request_size
        and gap <= settings.max_gap
        and wasted <= settings.max_waste * joined.size
    )
