"""A counting proxy before the S3 server, and the children that save with real frameworks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from remote_models.storage import Location
from remote_models.testing import Emulator
from weights.counting_proxy import CountingProxy, counting_proxy

CHILDREN = {"keras": "keras3_child.py", "tf_keras": "tf_keras_child.py"}


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


@pytest.fixture(scope="session", autouse=True)
def framework_children(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, tuple[Path, subprocess.Popen[bytes]]]]:
    """Both children, from the beginning of the session on if a test asks for them at all.

    Importing TensorFlow takes each five seconds, and saving twenty more.
    """
    wanted = any("saved" in getattr(item, "fixturenames", ()) for item in request.session.items)
    running: dict[str, tuple[Path, subprocess.Popen[bytes]]] = {}
    if wanted:
        seaweed: Emulator = request.getfixturevalue("seaweed")
        base = request.getfixturevalue("buckets").prefix(seaweed)
        running = {
            name: _start(script, tmp_path_factory.mktemp(name), seaweed, str(base.join(name)))
            for name, script in CHILDREN.items()
        }
    try:
        yield running
    finally:
        for _, process in running.values():
            process.kill()
            process.wait()


def _start(
    script: str, folder: Path, emulator: Emulator, url: str
) -> tuple[Path, subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        **emulator.environment,
        "S3_BASE": url,
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [sys.executable, str(Path(__file__).parent / script), str(folder)]
    with (folder / "log").open("wb") as log:
        return folder, subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment
        )
