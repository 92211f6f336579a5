"""moto's server: S3 in Python, quick to start, without signatures or permissions."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from remote_models.testing._emulator import Emulator
from remote_models.testing._package import import_package
from remote_models.testing._ports import find_free_ports
from remote_models.testing._process import Launch, serve
from remote_models.testing._s3 import Account


@contextmanager
def moto_server() -> Iterator[Emulator]:
    """Run a moto server on a free port of 127.0.0.1 while the block lasts.

    Every key pair is accepted, checksums are not verified, and ``If-Match`` on
    complete is ignored: use it for speed, not for refusals. One server is
    shared by a test session, because starting it takes a second.

    Raises:
        MissingDependencyError: moto is not installed.
        StoreUnavailableError: The server does not start.
    """
    import_package("botocore.auth")
    import_package("flask_cors")  # only moto[server] has it
    import_package("moto")
    with serve(_plan) as emulator:
        yield emulator


def _plan(directory: Path) -> Launch:
    (port,) = find_free_ports(1)
    account = Account(
        endpoint_url=f"http://127.0.0.1:{port}",
        access_key="testing",
        secret_key="testing",  # noqa: S106 - moto takes any
    )
    emulator = account.emulator("moto", directory)
    return Launch(
        emulator=emulator,
        command=[sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        environment={**os.environ, "PYTHONUNBUFFERED": "1"},
        is_ready=lambda: account.request("GET", "").ok,
        announcement=f"Running on {account.endpoint_url}",
    )
