"""Fixtures for tests of code that uses remote_models: stores on this machine, empty places.

pytest finds this module by itself where remote_models is installed (pytest documentation,
"Making your plugin installable by others"), and imports it in every run. So it is a module
beside the package, not in it: importing it costs a millisecond, importing the package a
quarter of a second. What starts servers is imported by the fixtures, and a server is
started for the first test that wants it, once for a session.

``-p no:pytest_remote_models`` does without. docs/testing.md shows the fixtures.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from remote_models.testing import Emulator

__all__ = [
    "remote_models_each_store",
    "remote_models_empty_cache",
    "remote_models_fake_gcs",
    "remote_models_gcs",
    "remote_models_memory",
    "remote_models_ministack",
    "remote_models_moto",
    "remote_models_s3",
    "remote_models_seaweedfs",
]

_STORES = {
    "local": "tmp_path",
    "memory": "remote_models_memory",
    "s3": "remote_models_s3",
    "gcs": "remote_models_gcs",
}


@pytest.fixture(scope="session")
def remote_models_seaweedfs() -> Iterator[Emulator]:
    """SeaweedFS, an S3 server that enforces signatures and permissions; started once."""
    from remote_models.testing import seaweedfs

    with seaweedfs() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def remote_models_moto() -> Iterator[Emulator]:
    """moto, an S3 server that starts quickly; started once."""
    from remote_models.testing import moto_server

    with moto_server() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def remote_models_ministack() -> Iterator[Emulator]:
    """ministack, an S3 server that is strict with conditions and checksums; started once."""
    from remote_models.testing import ministack_server

    with ministack_server() as emulator:
        yield emulator


@pytest.fixture(scope="session")
def remote_models_fake_gcs() -> Iterator[Emulator]:
    """fake-gcs-server, Google Cloud Storage in memory; started once."""
    from remote_models.testing import fake_gcs_server

    with fake_gcs_server() as emulator:
        yield emulator


@pytest.fixture
def remote_models_empty_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache for this test alone (``REMOTE_MODELS_CACHE``); the user's is left in peace."""
    folder = tmp_path_factory.mktemp("remote_models_cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REMOTE_MODELS_CACHE", str(folder))
        yield folder


@pytest.fixture
def remote_models_s3(
    remote_models_seaweedfs: Emulator, remote_models_empty_cache: Path
) -> Iterator[str]:
    """The URL of a new, empty bucket of SeaweedFS, ``s3://test-…``.

    While the test lasts, the environment leads every client of S3 there, and shows none
    of the developer's own profiles and keys.
    """
    with _bucket(remote_models_seaweedfs) as url:
        yield url


@pytest.fixture
def remote_models_gcs(
    remote_models_fake_gcs: Emulator, remote_models_empty_cache: Path
) -> Iterator[str]:
    """The URL of a new, empty bucket of fake-gcs-server, ``gs://test-…``; as on S3."""
    with _bucket(remote_models_fake_gcs) as url:
        yield url


@pytest.fixture
def remote_models_memory(remote_models_empty_cache: Path) -> Iterator[str]:
    """The URL of an empty folder in fsspec's memory, which is deleted after the test."""
    import fsspec

    url = f"memory://test-{secrets.token_hex(8)}"
    memory = fsspec.filesystem("memory")
    yield url
    if memory.exists(url):
        memory.rm(url, recursive=True)


@pytest.fixture(params=list(_STORES))
def remote_models_each_store(
    request: pytest.FixtureRequest, remote_models_empty_cache: Path
) -> str:
    """The URL of an empty place: the test runs on the local disk, in memory, on S3 and GCS."""
    return str(request.getfixturevalue(_STORES[request.param]))


@contextmanager
def _bucket(emulator: Emulator) -> Iterator[str]:
    from remote_models.testing import set_environment

    with set_environment(emulator):
        yield emulator.make_bucket()
