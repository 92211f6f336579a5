"""Files that were downloaded before, by the SHA-256 of their bytes; knows no stores.

An entry is a proposal, never a promise: whoever takes bytes from here compares them with
the digest that they were asked for by, and discards an entry that is something else.
All else follows from that. Nothing is flushed to the disk (what a power failure leaves
is noticed), a lock only saves work, and any file here may be deleted at any moment.
"""

from remote_models._cache_settings import CacheSettings
from remote_models.cache._cache import Cache, NoCache, open_cache
from remote_models.cache._entries import CacheEntry

__all__ = ["Cache", "CacheEntry", "CacheSettings", "NoCache", "open_cache"]
