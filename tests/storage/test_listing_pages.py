"""Listings that come in several pages are whole."""

from __future__ import annotations

from typing import Any

import pytest

from remote_models.storage import Location, open_store
from storage.test_conformance import publish


@pytest.mark.parametrize(
    ("server", "limit"),
    [("moto", {"MaxKeys": 2}), ("s3", {"MaxKeys": 2}), ("gcs", {"maxResults": 2})],
)
def test_pages(request: pytest.FixtureRequest, server: str, limit: dict[str, int]) -> None:
    base: Location = request.getfixturevalue(f"{server}_base")
    store: Any = open_store(base)
    store = getattr(store, "_other", None) or store  # not obstore, which has pages of its own
    for name in ("a", "b", "c", "d/e", "d/f"):
        publish(store, base.join(name), name.encode())
    assert sorted(store._list(base, "", limit)) == ["a", "b", "c", "d/e", "d/f"]
    assert {name: info.size for name, info in store.list(base).items()}["d/f"] == 3
    assert sorted(store.list_names(base, "")) == ["a", "b", "c"]
    assert sorted(store.list_names(base.join("d"), "e")) == ["e"]
