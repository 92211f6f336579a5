"""A counting proxy before the S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from remote_models.storage import Location
from remote_models.testing import Emulator
from weights.counting_proxy import CountingProxy, counting_proxy


@pytest.fixture(scope="session")
def session_proxy(seaweed: Emulator) -> Iterator[CountingProxy]:
    """One for the session: a client's connection outlives the test that made it."""
    with counting_proxy(seaweed.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def proxy(session_proxy: CountingProxy) -> Iterator[CountingProxy]:
    """The proxy, with nothing counted yet."""
    session_proxy.clear()
    yield session_proxy
    session_proxy.allows = lambda _method, _path: True


@pytest.fixture
def counted_base(proxy: CountingProxy, seaweed: Emulator, s3_base: Location) -> Location:
    """An empty prefix of SeaweedFS, reached through the proxy."""
    return replace(s3_base, storage_options=proxy.storage_options(seaweed))
