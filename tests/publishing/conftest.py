"""What several modules of these tests need."""

from __future__ import annotations

import sys

import pytest

from remote_models.remote_model import RemoteModel


@pytest.fixture
def hasty_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause between the attempts to read what nobody is replacing."""
    monkeypatch.setattr(sys.modules[RemoteModel.__module__], "_BACKOFF_SECONDS", 0)
