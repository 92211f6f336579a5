"""The local file system, while others change it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from remote_models.storage import Location, open_store


@pytest.mark.parametrize("method", ["list", "list_names"])
def test_a_file_that_goes_while_it_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(b"x")
    location = Location.parse(tmp_path)
    store = open_store(location)
    look = os.stat

    def look_too_late(path: Any, **options: Any) -> os.stat_result:
        if str(path).endswith("/b"):
            (tmp_path / "b").unlink(missing_ok=True)
        return look(path, **options)

    monkeypatch.setattr(os, "stat", look_too_late)
    found = store.list(location) if method == "list" else store.list_names(location, "")
    assert sorted(found) == ["a", "c"]
