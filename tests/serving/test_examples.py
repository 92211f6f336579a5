"""The examples answer here: a digest pinned, a tampered model refused, a new version served."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from remote_models.storage import Location
from remote_models.testing import Emulator
from remote_models.testing._ports import find_free_ports
from serving.models import damage, save_next
from serving.runtime_api import RuntimeApi, runtime_api

EXAMPLES = Path(__file__).parents[2] / "examples"
DOCUMENT = {"instances": [[1, 2]]}

Variables = Mapping[str, str]


@contextmanager
def process(
    folder: str, command: list[str], variables: Variables, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "REMOTE_MODELS_CACHE": "off", **variables}
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, *command],
            cwd=EXAMPLES / folder,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield child
        finally:
            # The whole group: gunicorn's workers, which would end their requests first.
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait(timeout=30)


@contextmanager
def function(store: Emulator, log: Path, **variables: str) -> Iterator[RuntimeApi]:
    """Run examples/aws_lambda as Lambda does."""
    with runtime_api() as api:
        settings = {
            **store.environment,
            "AWS_LAMBDA_RUNTIME_API": api.address,
            **{f"REMOTE_MODELS_{name}": value for name, value in variables.items()},
        }
        with process("aws_lambda", ["-m", "awslambdaric", "handler.handler"], settings, log):
            yield api


def url_event(method: str, path: str, body: Any = None) -> dict[str, Any]:
    """Return what a function URL sends (payload format 2.0)."""
    return {
        "version": "2.0",
        "rawPath": path,
        "requestContext": {"stage": "$default", "http": {"method": method, "path": path}},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


def test_lambda_serves_and_follows(seaweed: Emulator, s3_base: Location, tmp_path: Path) -> None:
    save_next(s3_base)
    log = tmp_path / "log"
    with function(seaweed, log, URL=s3_base.url, REFRESH="0.01") as api:
        assert api.invoke(DOCUMENT) == {"predictions": [[2.0, 3.0]]}
        save_next(s3_base)
        time.sleep(0.05)
        name = s3_base.name
        answer = api.invoke(url_event("POST", f"/v1/models/{name}:predict", DOCUMENT))
        assert answer["statusCode"] == 200, answer
        assert json.loads(answer["body"]) == {"predictions": [[3.0, 4.0]]}
        ready = api.invoke(url_event("GET", "/ready"))
        assert json.loads(ready["body"])["version"] == 2
        assert "error" in api.invoke({"instances": [[1]]})
    assert b"Traceback" not in log.read_bytes()


def test_lambda_serves_what_is_pinned_and_nothing_else(
    seaweed: Emulator, s3_base: Location, tmp_path: Path
) -> None:
    pinned, other = save_next(s3_base), save_next(s3_base)
    log = tmp_path / "log"
    with function(seaweed, log, URL=pinned.url, MANIFEST_DIGEST=pinned.digest) as api:
        assert api.invoke(DOCUMENT) == {"predictions": [[2.0, 3.0]]}
    damage(s3_base.join("1"))
    for digest in (pinned.digest, other.digest):
        with function(seaweed, log, URL=pinned.url, MANIFEST_DIGEST=digest) as api:
            kind, answer = api.answers.get(timeout=60)
            assert kind == "init/error"
            assert answer["errorType"] in ("IntegrityError", "ManifestError"), answer


@contextmanager
def service(store: Emulator, log: Path, **variables: str) -> Iterator[httpx.Client]:
    """Run examples/cloud_run as its image does."""
    (port,) = find_free_ports(1)
    settings = {
        **store.environment,
        **{f"REMOTE_MODELS_{name}": value for name, value in variables.items()},
    }
    options = ["--workers", "1", "--threads", "16", "--timeout", "0"]
    app = 'functions_framework:create_app("predict", "main.py")'
    command = ["-m", "gunicorn", "--bind", f"127.0.0.1:{port}", *options, app]
    with (
        process("cloud_run", command, settings, log) as child,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client,
    ):
        deadline = time.monotonic() + 60
        while child.poll() is None and time.monotonic() < deadline:
            try:
                if client.get("/ready").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        yield client


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_cloud_run_serves_and_follows(fake_gcs: Emulator, gcs_base: Location, log: Path) -> None:
    save_next(gcs_base)
    bucket, _, folder = gcs_base.path.partition("/")
    with service(fake_gcs, log, URL=gcs_base.url) as client:
        url = f"/v1/models/{gcs_base.name}:predict"
        assert client.post(url, json=DOCUMENT).json() == {"predictions": [[2.0, 3.0]]}
        save_next(gcs_base)
        assert client.post(url, json=DOCUMENT).json() == {"predictions": [[2.0, 3.0]]}
        told = client.post(
            "/",
            json={"bucket": bucket, "name": f"{folder}/aliases/latest.json"},
            headers={
                "ce-type": "google.cloud.storage.object.v1.finalized",
                "ce-specversion": "1.0",
                "ce-id": "1",
                "ce-source": "//storage.googleapis.com/projects/_/buckets/b",
            },
        )
        assert (told.status_code, told.json()) == (200, {"swapped": True})
        assert client.post(url, json=DOCUMENT).json() == {"predictions": [[3.0, 4.0]]}
        assert client.get("/ready").json()["version"] == 2
        assert client.post(url, json={"instances": [[1]]}).status_code == 400


def test_cloud_run_serves_what_is_pinned_and_nothing_else(
    fake_gcs: Emulator, gcs_base: Location, log: Path
) -> None:
    pinned = save_next(gcs_base)
    with service(fake_gcs, log, URL=pinned.url, MANIFEST_DIGEST=pinned.digest) as client:
        assert client.post("/", json=DOCUMENT).json() == {"predictions": [[2.0, 3.0]]}
    damage(gcs_base.join("1"))
    with (
        service(fake_gcs, log, URL=pinned.url, MANIFEST_DIGEST=pinned.digest) as client,
        pytest.raises(httpx.TransportError),
    ):
        client.get("/ready")
    assert b"IntegrityError" in log.read_bytes()
