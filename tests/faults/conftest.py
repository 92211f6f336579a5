"""Stores that stumble, for each client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from faults.servers import CLIENTS, Disturbed, disturbed
from remote_models.storage import Location
from remote_models.testing import Emulator


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who reaches the store: s3fs, obstore or gcsfs."""
    name = str(request.param)
    monkeypatch.setenv("REMOTE_MODELS_CLIENT", "obstore" if name == "obstore" else "fsspec")
    return name


@pytest.fixture
def store(client: str, request: pytest.FixtureRequest) -> Iterator[Disturbed]:
    """An empty prefix of SeaweedFS or fake-gcs-server behind a proxy."""
    server, prefix = ("fake_gcs", "gcs_base") if client == "gcsfs" else ("seaweed", "s3_base")
    emulator: Emulator = request.getfixturevalue(server)
    direct: Location = request.getfixturevalue(prefix)
    with disturbed(emulator, direct) as found:
        yield found
