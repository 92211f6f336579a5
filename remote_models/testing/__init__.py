"""Object stores that run on this machine, for tests.

Each emulator is a context manager: a real server in a process of its own,
bound to 127.0.0.1 on ports found free at that moment (a fixed port makes two
test runs on one machine fail each other), gone when the block ends or the test
run dies, however it dies. Starting one takes from a tenth of a second to three
seconds, so give the fixture session scope and every test a bucket of its own::

    @pytest.fixture(scope="session")
    def store() -> Iterator[Emulator]:
        with seaweedfs() as emulator, set_environment(emulator):
            yield emulator


    def test_saves(store: Emulator) -> None:
        url = store.make_bucket()  # s3://test-5f0e…

pytest has such fixtures already, from ``pytest_remote_models`` (docs/testing.md).

Install with ``pip install 'remote_models[testing]'``. Linux and macOS only.
"""

from __future__ import annotations

from remote_models.testing._emulator import Emulator
from remote_models.testing._environment import set_environment
from remote_models.testing._fake_gcs import fake_gcs_server
from remote_models.testing._ministack import ministack_server
from remote_models.testing._moto import moto_server
from remote_models.testing._seaweedfs import seaweedfs

__all__ = [
    "Emulator",
    "fake_gcs_server",
    "ministack_server",
    "moto_server",
    "seaweedfs",
    "set_environment",
]
