"""Bytes of a coming object that the store may hold already, in another one."""

from __future__ import annotations

from dataclasses import dataclass

from remote_models.storage._location import Location

__all__ = ["StoredRange"]


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredRange:
    """Bytes of a coming object that probably lie in the store already.

    Attributes:
        start: Where they begin in the coming object.
        stop: Where they end in it (not included).
        source: The object in which the same bytes lie.
        source_start: Where they begin there.
        is_certain: Whether digests say that the bytes are the same; else it is a guess.
        etag: What ``head`` says of that object as long as it is the one that is meant.
    """

    start: int
    stop: int
    source: Location
    source_start: int
    etag: str
    is_certain: bool

    def cut(self, start: int, stop: int) -> StoredRange:
        """Return what of it lies between two places of the coming object."""
        return StoredRange(
            start=start,
            stop=stop,
            source=self.source,
            source_start=self.source_start + start - self.start,
            etag=self.etag,
            is_certain=self.is_certain,
        )
