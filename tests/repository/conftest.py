"""What several modules of these tests need."""

from __future__ import annotations

import pytest


@pytest.fixture
def hasty_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between the attempts to read what nobody is replacing."""
    monkeypatch.setattr("remote_models.remote_model._settled._BACKOFF_SECONDS", 0)
