"""Which entries have to go when others are to come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from remote_models.cache._entries import CacheEntry

__all__ = ["Disk", "Room", "least_recently_used", "make_room"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Disk:
    """The disk that the cache lies on.

    Attributes:
        free: Bytes that are free.
        total: Bytes that it holds.
    """

    free: int
    total: int

    @property
    def reserve(self) -> int:
        """Bytes that a cache leaves to others, since nobody has asked for it."""
        return min(self.total // 10, 1000**3)


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """What is to be done before files come.

    Attributes:
        removed: The entries that have to go.
        is_enough: Whether what comes may be kept in the cache.
    """

    removed: Sequence[CacheEntry]
    is_enough: bool


def make_room(
    entries: Iterable[CacheEntry],
    *,
    coming: int,
    copied: int,
    wanted: AbstractSet[str],
    max_size: int,
    disk: Disk,
) -> Room:
    """Say which entries have to go; the least recently used go first.

    Nothing goes in vain: if the files do not fit whatever goes, then only as much as lets
    the copy that is the load itself find its place on the disk.

    Args:
        entries: What the cache holds.
        coming: Bytes that are to be kept in the cache.
        copied: Bytes that are to be written to the same disk beside it.
        wanted: Digests that are about to be read, which stay.
        max_size: Bytes that the cache may hold.
        disk: The disk under the cache.
    """
    entries = list(entries)
    others = [each for each in entries if each.sha256 not in wanted]
    removable = sum(each.size for each in others)
    held = sum(each.size for each in entries)
    excess = max(
        held + coming - max_size,
        coming + copied + disk.reserve - disk.free if coming else copied - disk.free,
    )
    if excess <= removable:
        return Room(removed=least_recently_used(others, excess), is_enough=True)
    excess = copied - disk.free
    removed = least_recently_used(others, excess) if excess <= removable else []
    return Room(removed=removed, is_enough=False)


def least_recently_used(entries: Iterable[CacheEntry], nbytes: int) -> Sequence[CacheEntry]:
    """Return the entries that free ``nbytes``, or all; those that were used last stay."""
    chosen = []
    for entry in sorted(entries, key=lambda each: (each.last_used, each.sha256)):
        if nbytes <= 0:
            break
        chosen.append(entry)
        nbytes -= entry.size
    return chosen
