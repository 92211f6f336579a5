"""Whether a load uses the cache of this machine."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from remote_models.storage import Location

if TYPE_CHECKING:
    from remote_models.cache import Cache

__all__ = ["cache_for"]

_LOG = logging.getLogger(__name__)

_AT_HAND = ("file", "memory")
"""What lies here gains nothing by being copied to here."""


def cache_for(location: Location) -> Cache | None:
    """Return the cache for what lies at ``location``; ``None`` to do without.

    Raises:
        ArgumentError: the environment asks for a cache of a size that is none.
    """
    if location.protocol in _AT_HAND:
        return None
    # Only those who copy whole files need it: neither lazy reads nor the import.
    from remote_models.cache import Cache, CacheSettings, open_cache

    found = open_cache(CacheSettings.from_environment(os.environ))
    if isinstance(found, Cache):
        return found
    _LOG.debug("no cache: %s", found.reason)
    return None
