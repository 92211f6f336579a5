"""Servers that never answer, or always refuse: every wait ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from storage.test_conformance import publish
from weights.counting_proxy import Disturbance

from faults.servers import Disturbed
from remote_models.errors import StorageError, StoreUnavailableError
from remote_models.storage import (
    Location,
    RetryPolicy,
    Store,
    TransferSettings,
    open_store,
    read_all,
    read_chunks,
)

MIB = 1024 * 1024

IMPATIENT = TransferSettings(
    max_request=MIB, retry=RetryPolicy(late=0.3, timeout=1.0, slowest=16 * MIB)
)

Act = Callable[[Store, Location], object]

ACTS: dict[str, Act] = {
    "a small object": lambda store, location: read_all(store, location, limit=100),
    "many ranges": lambda store, location: list(read_chunks(store, location, 40 * MIB)),
    "a look": lambda store, location: store.head(location),
    "a listing": lambda store, location: store.list(location.parent),
    "a listing of names": lambda store, location: store.list_names(location.parent, "o"),
    "a small save": lambda store, location: publish(store, location, b"hello"),
    "a large save": lambda store, location: publish(store, location, b"x" * 9 * MIB),
}


@pytest.mark.parametrize("act", ACTS)
def test_a_server_that_never_answers(store: Disturbed, client: str, act: str) -> None:
    if client == "obstore" and act == "a large save":
        pytest.skip("obstore alone, which gives up after some minutes, ends this")
    store.proxy.disturbs = lambda *_: Disturbance.SILENT
    location = store.base.join("object")
    opened = open_store(location, IMPATIENT)
    begun = time.monotonic()
    with pytest.raises(StorageError, match=r"did not answer in time|whether"):
        ACTS[act](opened, location)
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("refusal", [Disturbance.UNAVAILABLE, Disturbance.BUSY, Disturbance.RESET])
def test_a_server_that_always_refuses(store: Disturbed, refusal: Disturbance) -> None:
    store.proxy.disturbs = lambda *_: refusal
    location = store.base.join("object")
    opened = open_store(location, IMPATIENT)
    with pytest.raises(StoreUnavailableError):
        read_all(opened, location, limit=100)
    assert store.proxy.requests <= 30


@pytest.mark.parametrize("size", [1000, 40 * MIB], ids=["small", "large"])
def test_control_c_ends_a_save_that_hangs(
    store: Disturbed, client: str, size: int, tmp_path: Path
) -> None:
    store.proxy.disturbs = lambda *_: Disturbance.SILENT
    child = subprocess.Popen(
        [
            sys.executable, Path(__file__).with_name("interrupted_child.py"),
            f"{store.base.url}/object", str(size), json.dumps(dict(store.base.storage_options)),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ),
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not store.proxy.requests and time.monotonic() < deadline:
            time.sleep(0.1)
        assert store.proxy.requests
        child.send_signal(signal.SIGINT)
        told, _ = child.communicate(timeout=45)
    finally:
        child.kill()
        child.wait()
    assert told.startswith("interrupted")
