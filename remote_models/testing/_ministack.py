"""ministack: S3 that refuses wrong digests and stale conditions."""

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
def ministack_server() -> Iterator[Emulator]:
    """Run ministack on a free port of 127.0.0.1 while the block lasts.

    It refuses a wrong SHA-256, a wrong Content-MD5 and a stale ``If-Match``, on the
    completion of an upload, too, with S3's own codes, where moto does not look. Every
    key pair is accepted: use it for conditions, not for permissions. One server is
    shared by a test session, because starting it takes a second.

    Raises:
        MissingDependencyError: ministack is not installed.
        StoreUnavailableError: The server does not start.
    """
    import_package("botocore.auth")
    import_package("hypercorn")
    import_package("ministack")
    with serve(_plan) as emulator:
        yield emulator


def _plan(directory: Path) -> Launch:
    (port,) = find_free_ports(1)
    account = Account(
        endpoint_url=f"http://127.0.0.1:{port}",
        access_key="test",
        secret_key="test",  # noqa: S106 - ministack takes any
    )
    emulator = account.emulator("ministack", directory)
    # Not its own program, which leaves a file with its process in /tmp.
    server = ["hypercorn", "ministack.app:app", "--bind", f"127.0.0.1:{port}"]
    return Launch(
        emulator=emulator,
        command=[sys.executable, "-m", *server, "--keep-alive", "75"],
        environment=_environment(directory, port),
        is_ready=lambda: account.request("GET", "").ok,
        announcement=f"Running on {account.endpoint_url}",
    )


def _environment(directory: Path, port: int) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        # Where it would look for a developer's configuration, and leave files.
        "HOME": str(directory),
        "TMPDIR": str(directory),
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",
        "SERVICES": "s3",
        "PYTHONUNBUFFERED": "1",
    }
