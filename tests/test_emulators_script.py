"""scripts/emulators: servers that run until they are told to stop."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts/_emulators.py"

STORE = """
import fsspec
for scheme in ("s3", "gs"):
    fsspec.filesystem(scheme).pipe_file("models/object", scheme.encode())
    print(fsspec.filesystem(scheme).cat_file("models/object").decode())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where to note what runs; whatever runs at the end is stopped."""
    folder = tmp_path / "a folder"
    try:
        yield folder
    finally:
        emulators(folder, "stop")


def emulators(
    folder: Path, *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, "--folder", folder, *arguments],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def started(folder: Path, *names: str, **environment: str) -> str:
    done = emulators(folder, "start", *names, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def is_listening(url: str) -> bool:
    parts = urlsplit(url)
    with closing(socket.socket()) as probe:
        return probe.connect_ex((parts.hostname, parts.port)) == 0


def keeper_of(folder: Path) -> int:
    return int(json.loads((folder / "running.json").read_text())["pid"])


def test_started_used_and_stopped(folder: Path) -> None:
    lines = started(folder, "moto", "fake-gcs-server", AWS_PROFILE="mine", BOTO_CONFIG="/mine")
    assert {"AWS_PROFILE", "BOTO_CONFIG"} <= set(lines.partition("\n")[0].split())
    shell = 'eval "$1"; shift; [ -z "${AWS_PROFILE:-}" ]; exec "$@"'
    used = subprocess.run(
        ["bash", "-euc", shell, "bash", lines, sys.executable, "-c", STORE],
        env={**os.environ, "AWS_PROFILE": "mine"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert used.stdout.split() == ["s3", "gs"], used.stderr
    again = started(folder, "moto", "fake-gcs-server")
    assert again.partition("export")[2] == lines.partition("export")[2]
    told = emulators(folder, "status")
    assert told.returncode == 0
    assert [line.split()[0] for line in told.stdout.splitlines()] == ["moto", "fake-gcs-server"]
    urls = [line.split()[1] for line in told.stdout.splitlines()]
    assert all(map(is_listening, urls))
    assert folder.stat().st_mode & 0o077 == 0
    assert emulators(folder, "stop").stdout == "stopped moto, fake-gcs-server\n"
    assert not any(map(is_listening, urls))
    for command in ("status", "stop"):
        gone = emulators(folder, command)
        assert (gone.returncode, gone.stderr) == (1, "emulators: none runs\n")


def test_of_two_starts_at_once_one_starts(folder: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: started(folder, "fake-gcs-server"), range(2))
    assert one == other
    refused = emulators(folder, "start", "moto")
    assert refused.returncode == 1
    assert "fake-gcs-server already run" in refused.stderr


def test_a_killed_keeper_is_noticed_and_replaced(folder: Path) -> None:
    first = started(folder, "fake-gcs-server")
    os.kill(keeper_of(folder), signal.SIGKILL)
    assert "none runs" in emulators(folder, "status").stderr
    assert started(folder, "fake-gcs-server") != first
    assert is_listening(emulators(folder, "status").stdout.split()[1])


def test_what_does_not_start_says_why(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "moto.py").write_text("raise ModuleNotFoundError('no moto', name='moto')\n")
    done = emulators(folder, "start", "moto", PYTHONPATH=f"{tmp_path}:{SCRIPT.parents[1]}")
    assert done.returncode == 1
    assert "they do not start" in done.stderr
    assert "remote_models[testing]" in done.stderr


def test_a_start_that_is_interrupted_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "moto.py").write_text(
        f"import pathlib, time\npathlib.Path({str(tmp_path)!r}, 'here').touch()\ntime.sleep(60)\n"
    )
    starter = subprocess.Popen(
        [sys.executable, SCRIPT, "--folder", folder, "start", "moto"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{SCRIPT.parents[1]}"},
        stderr=subprocess.DEVNULL,
    )
    try:
        while not (tmp_path / "here").exists():
            assert starter.poll() is None
            time.sleep(0.05)
        starter.send_signal(signal.SIGINT)
        assert starter.wait(timeout=60) != 0
    finally:
        starter.kill()
        starter.wait()
    # The lock can be had: nobody keeps anything, and nobody is about to.
    with (folder / "lock").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)


@pytest.mark.parametrize(
    ("names", "told"),
    [(["moto", "seaweedfs"], "one server for S3 at a time"), (["azure"], "there is no azure")],
)
def test_what_cannot_be_is_refused(folder: Path, names: list[str], told: str) -> None:
    done = emulators(folder, "start", *names)
    assert done.returncode == 1
    assert told in done.stderr
    assert not folder.exists()
