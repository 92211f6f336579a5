"""In which parts an object is uploaded of which the store holds some bytes already.

S3 copies a part from a range of any object (UploadPartCopy), wherever the range begins.
Every part but the last has 5 MiB at least, and there are 10,000 at most ("Amazon S3
multipart upload limits", Amazon S3 User Guide). So a part that is copied is a run of known
bytes, and what travels between two such runs takes along some of the second where it is
too short for a part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from remote_models.storage._stored_range import StoredRange

__all__ = ["WORTH_COPYING", "PlannedPart", "plan_parts", "takes_any_parts"]

WORTH_COPYING = 1024 * 1024
"""Fewer bytes than this are sent in the time that the requests for a copy take."""

_EQUAL_PARTS = ".r2.cloudflarestorage.com"
"""Where all parts but the last must be equally long ("Multipart upload", Cloudflare R2)."""

_MIN_PART = 5 * 1024 * 1024

_MOST_RUNS = 2000

_MOST_PARTS = 5000
"""Half of what S3 takes: each run adds a part that is shorter than it could be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedPart:
    """One part of an upload.

    Attributes:
        size: Its bytes.
        stored: Where they lie, if they need not travel.
    """

    size: int
    stored: StoredRange | None = None


def plan_parts(size: int, stored: Sequence[StoredRange], part_size: int) -> list[PlannedPart]:
    """Cut an object of ``size`` bytes into parts, in their order; none if nothing is to gain.

    Args:
        size: The object's bytes.
        stored: What of it the store may hold, in the order of their ``start``.
        part_size: How long parts are where nothing decides that.
    """
    shortest = max(_MIN_PART, -(-size // _MOST_RUNS))
    longest = max(part_size, -(-size // _MOST_PARTS))
    parts: list[PlannedPart] = []
    position = 0
    for run in _runs(size, stored, shortest):
        parts += (PlannedPart(size=n) for n in _even(run.start - position, longest))
        at = run.start
        for length in _even(run.stop - run.start, longest, shortest):
            parts.append(PlannedPart(size=length, stored=run.cut(at, at + length)))
            at += length
        position = at
    if not parts:
        return []
    return [*parts, *(PlannedPart(size=n) for n in _even(size - position, longest))]


def takes_any_parts(endpoint: str | None) -> bool:
    """Whether a server, as far as its URL tells, takes parts of different lengths."""
    return not (urlsplit(endpoint or "").hostname or "").endswith(_EQUAL_PARTS)


def _runs(size: int, stored: Sequence[StoredRange], shortest: int) -> Iterator[StoredRange]:
    """Yield what is to be copied: what lies in front of each is long enough for a part."""
    position = 0
    for found in stored:
        start = max(found.start, position)
        if 0 < start - position < shortest:
            start = position + shortest
        least = WORTH_COPYING if found.stop == size else shortest
        if found.stop - start >= least:
            yield found.cut(start, found.stop)
            position = found.stop


def _even(length: int, longest: int, shortest: int = _MIN_PART) -> Iterator[int]:
    """Divide a length into as few numbers as can be, all but equal and none too short."""
    count = max(1, min(-(-length // longest), length // shortest))
    if length:
        quotient, rest = divmod(length, count)
        yield from (quotient + (number < rest) for number in range(count))
