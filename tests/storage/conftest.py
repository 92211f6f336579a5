"""Which client reaches S3 in the tests of this folder."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The client that REMOTE_MODELS_CLIENT asks for: the class's own, a parameter, or fsspec."""
    wanted = str(getattr(request, "param", getattr(request.cls, "client", "fsspec")))
    monkeypatch.setenv("REMOTE_MODELS_CLIENT", wanted)
    return wanted
