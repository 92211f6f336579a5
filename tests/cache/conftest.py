"""A cache of the test's own, and a model that is loaded through it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cache.models import StoredModel, cache_in, content_of, put_model
from remote_models.cache import Cache
from remote_models.storage import Location

SIZES = (5_000, 0, 3_000_000)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """An empty cache that is large enough."""
    return cache_in(tmp_path / "cache")


@pytest.fixture
def model(memory_base: Location) -> StoredModel:
    """A model of three files: a small one, an empty one and one of several chunks."""
    return put_model(memory_base.join("model"), content_of(*SIZES))
