"""Uploads that were begun and neither finished nor aborted, as a store lists them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from remote_models.storage._location import Location

__all__ = ["UnfinishedUpload", "is_at_or_below"]


@dataclass(frozen=True, kw_only=True, slots=True)
class UnfinishedUpload:
    """An upload in parts that nobody can see, and that may have to be paid for.

    Attributes:
        location: Where its object would appear.
        upload_id: What the store calls it.
        begun: When it was begun, by the store's clock.
    """

    location: Location
    upload_id: str
    begun: datetime


def is_at_or_below(key: str, place: str) -> bool:
    """Whether an object belongs to the place, or to the folder, that ``place`` names."""
    return place in ("", key) or key.startswith(f"{place}/")
