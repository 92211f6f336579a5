"""Start a server, wait until it serves, and stop it for certain."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from remote_models.errors import StoreUnavailableError
from remote_models.testing._emulator import Emulator

_GUARD = Path(__file__).with_name("_guard.py")
_ATTEMPTS = 5
_READY_SECONDS = 60.0
_POLL_SECONDS = 0.05
_STOP_SECONDS = 10.0
_TAIL_BYTES = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """How to start one server on ports already chosen, and how to tell that it serves.

    Attributes:
        emulator: What the test will get.
        command: Program and arguments.
        environment: The server's whole environment.
        is_ready: Asks the server's API; an ``OSError`` means not yet.
        announcement: What our server logs once it owns its port. Without it,
            ``is_ready`` might be answered by another server on a port that
            ours lost; empty when ``is_ready`` proves the identity itself.
        leftovers: Files outside the server's folder to delete after it.
    """

    emulator: Emulator
    command: Sequence[str]
    environment: Mapping[str, str]
    is_ready: Callable[[], bool]
    announcement: str = ""
    leftovers: Sequence[Path] = ()


@contextmanager
def serve(plan: Callable[[Path], Launch]) -> Iterator[Emulator]:
    """Run the server that ``plan`` describes, and kill it when the block ends.

    Args:
        plan: Chooses ports and writes configuration into the folder that it is
            given. Called again, for other ports, when a server ends at once.

    Raises:
        StoreUnavailableError: The server does not start; the message ends with
            its log.
    """
    with ExitStack() as stack:
        yield _start(plan, stack)


def log_path(directory: Path) -> Path:
    """Return where the server in ``directory`` has its log."""
    return directory / "server.log"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Server:
    launch: Launch
    guard: subprocess.Popen[bytes]
    log: BinaryIO

    def becomes_ready(self) -> bool:
        """Wait for the server; false means that it ended by itself."""
        deadline = time.monotonic() + _READY_SECONDS
        while not self._is_ready():
            if self.guard.poll() is not None:
                return False
            if time.monotonic() > deadline:
                raise self.failure(f"is not ready after {_READY_SECONDS:.0f} s")
            time.sleep(_POLL_SECONDS)
        return True

    def failure(self, what: str) -> StoreUnavailableError:
        name = self.launch.emulator.name
        tail = self._read_log()[-_TAIL_BYTES:].decode(errors="replace")
        return StoreUnavailableError(
            f"{name} {what}",
            where=self.launch.emulator.endpoint_url,
            hint=f"The end of its log:\n{tail}",
        )

    def _is_ready(self) -> bool:
        if self.launch.announcement.encode() not in self._read_log():
            return False
        try:
            return self.launch.is_ready()
        except OSError:
            return False

    def _read_log(self) -> bytes:
        # Through a handle: a server that ended by itself has its folder deleted.
        self.log.seek(0)
        return self.log.read()


def _start(plan: Callable[[Path], Launch], stack: ExitStack) -> Emulator:
    # A port may be taken between the choice and the server's bind. Every server
    # here then ends at once, so an early end is answered with other ports.
    for _ in range(_ATTEMPTS):
        server = stack.enter_context(_run(plan))
        if server.becomes_ready():
            return server.launch.emulator
    raise server.failure(f"ended by itself {_ATTEMPTS} times")


@contextmanager
def _run(plan: Callable[[Path], Launch]) -> Iterator[_Server]:
    # No TemporaryDirectory: its finalizer would also run in a forked child.
    directory = Path(tempfile.mkdtemp(prefix="remote_models-"))
    try:
        launch = plan(directory)
        log = log_path(directory)
        with (
            log.open("ab") as output,
            log.open("rb") as reader,
            _spawn(launch, directory, output) as guard,
        ):
            try:
                yield _Server(launch=launch, guard=guard, log=reader)
            finally:
                _stop(guard)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _spawn(launch: Launch, directory: Path, output: BinaryIO) -> subprocess.Popen[bytes]:
    trash = json.dumps([str(path) for path in (directory, *launch.leftovers)])
    guard = [sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), trash]
    return subprocess.Popen(  # noqa: S603 - the command is ours
        [*guard, *launch.command],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        cwd=directory,
        env=dict(launch.environment),
        # Control-C in the terminal must reach the test run, not the server.
        start_new_session=True,
    )


def _stop(guard: subprocess.Popen[bytes]) -> None:
    try:
        guard.communicate(b"stop\n", timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        guard.kill()
