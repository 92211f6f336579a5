"""What scripts/emulators does: one process keeps the servers, others look at it and end it.

The process that keeps them holds a lock as long as it lives, and the system lets go of it
however the process ends. So nothing here trusts a process id that is written in a file
and may be another's by now.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from remote_models.testing import (
    Emulator,
    fake_gcs_server,
    ministack_server,
    moto_server,
    seaweedfs,
)
from remote_models.testing._environment import names_to_hide

_FOLDER = Path(__file__).parents[1] / ".emulators"
_BUCKET = "models"
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_LOCK_SECONDS = 2.0
_POLL_SECONDS = 0.05

_SERVERS: dict[str, Callable[[], AbstractContextManager[Emulator]]] = {
    "seaweedfs": seaweedfs,
    "moto": moto_server,
    "ministack": ministack_server,
    "fake-gcs-server": fake_gcs_server,
}
_DEFAULT = ("seaweedfs", "fake-gcs-server")


class EmulatorsError(Exception):
    """What was asked for could not be done."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """One server that runs.

    Attributes:
        name: Which one.
        endpoint_url: Where it answers.
        bucket: The URL of the bucket that was made.
        log: Its output.
        environment: Variables with which clients find it.
    """

    name: str
    endpoint_url: str
    bucket: str
    log: str
    environment: dict[str, str]


class State:
    """The folder in which the keeper says what it keeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self._lock = folder / "lock"
        self._file = folder / "running.json"

    def make(self) -> None:
        """Make the folder, which only its owner may read: there are keys in it."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the keeper's lock while the block lasts; false if another keeper does."""
        with self._lock.open("ab") as file:
            # Those who only look hold it for a moment.
            yield _comes(lambda: _takes(file, fcntl.LOCK_EX), _LOCK_SECONDS)

    def is_kept(self) -> bool:
        """Whether a keeper lives."""
        if not self._lock.exists():
            return False
        with self._lock.open("rb") as file:
            return not _takes(file, fcntl.LOCK_SH)

    def write(self, running: Sequence[Running]) -> None:
        """Say what runs, in one step: who reads gets all or nothing."""
        document = {"pid": os.getpid(), "servers": [asdict(each) for each in running]}
        new = self._file.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(json.dumps(document), encoding="utf-8")
        new.replace(self._file)

    def read(self) -> tuple[int, list[Running]] | None:
        """Return the keeper's process and what runs; ``None`` if nothing does, or not yet."""
        if not self.is_kept() or not self._file.exists():
            return None
        document = json.loads(self._file.read_text(encoding="utf-8"))
        return document["pid"], [Running(**each) for each in document["servers"]]

    def forget(self) -> None:
        """Delete what was said."""
        self._file.unlink(missing_ok=True)


def main() -> None:
    """Do what the command line says; end with status 1 and a message if that fails."""
    arguments = _parser().parse_args()
    state = State(arguments.folder)
    try:
        if arguments.command == "keep":
            keep(state, arguments.names)
        elif arguments.command == "start":
            print(start(state, arguments.names or _DEFAULT))
        elif arguments.command == "status":
            print(status(state))
        else:
            print(stop(state))
    except EmulatorsError as error:
        sys.exit(f"emulators: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="emulators")
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="where to note what runs")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{start,status,stop}")
    for name in ("start", "keep"):
        about = "start servers and print how to find them" if name == "start" else None
        command = commands.add_parser(name, help=about)
        command.add_argument("names", nargs="*", metavar="NAME", help=", ".join(_SERVERS))
    commands.add_parser("status", help="say what runs")
    commands.add_parser("stop", help="end the servers; what they hold is gone")
    return parser


def start(state: State, names: Sequence[str]) -> str:
    """Start servers, unless they run, and return the lines that make a shell find them."""
    for name in set(names) - set(_SERVERS):
        raise EmulatorsError(f"there is no {name}: {', '.join(_SERVERS)}")
    if len({name for name in names if name != "fake-gcs-server"}) > 1:
        raise EmulatorsError("one server for S3 at a time: the environment names only one")
    state.make()
    found = state.read()
    if found is None:
        found = _start(state, names)
    running = found[1]
    if {each.name for each in running} != set(names):
        there = ", ".join(each.name for each in running)
        raise EmulatorsError(f"{there} already run: scripts/emulators stop")
    return exports(running)


def exports(running: Sequence[Running]) -> str:
    """Return lines for a shell that lead to servers, and to nothing else."""
    variables = {name: value for each in running for name, value in each.environment.items()}
    hidden = sorted(set(names_to_hide(variables)) - set(variables))
    lines = [f"unset {' '.join(hidden)}"] if hidden else []
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join([*lines, *(f"# {each.name}: {each.bucket}" for each in running)])


def status(state: State) -> str:
    """Return a line for each server that runs."""
    found = state.read()
    if found is None:
        raise EmulatorsError("none runs")
    return "\n".join(
        f"{each.name} {each.endpoint_url} {each.bucket} (log: {each.log})" for each in found[1]
    )


def stop(state: State) -> str:
    """End the servers, and return when they are gone."""
    found = state.read()
    if found is None:
        raise EmulatorsError("none runs")
    os.kill(found[0], signal.SIGTERM)
    if not _comes(lambda: not state.is_kept(), _STOP_SECONDS):
        raise EmulatorsError(f"process {found[0]} does not end: kill it")
    return "stopped " + ", ".join(each.name for each in found[1])


def _start(state: State, names: Sequence[str]) -> tuple[int, list[Running]]:
    with state.log.open("wb") as log:
        # A session of its own: closing the terminal must not end it.
        keeper = subprocess.Popen(
            [sys.executable, __file__, "--folder", state.folder, "keep", *names],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        # It may end because somebody else's keeper was faster: that one is waited for.
        _comes(
            lambda: state.read() is not None or (keeper.poll() is not None and not state.is_kept()),
            _START_SECONDS,
        )
    except KeyboardInterrupt:
        keeper.kill()
        raise
    found = state.read()
    if found is None:
        keeper.kill()
        keeper.wait()
        raise EmulatorsError(f"they do not start:\n{state.log.read_text(errors='replace')}")
    return found


def _takes(file: IO[bytes], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _comes(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return condition()


def keep(state: State, names: Sequence[str]) -> None:
    """Run servers until SIGTERM; before they serve, it ends this process as ever."""
    with state.locked() as mine, ExitStack() as stack:
        if not mine:
            return  # somebody else was faster
        state.forget()
        emulators = [stack.enter_context(_SERVERS[name]()) for name in names]
        ends = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
        signal.pthread_sigmask(signal.SIG_BLOCK, ends)
        state.write([_describe(each) for each in emulators])
        signal.sigwait(ends)
        state.forget()


def _describe(emulator: Emulator) -> Running:
    return Running(
        name=emulator.name,
        endpoint_url=emulator.endpoint_url,
        bucket=emulator.make_bucket(_BUCKET),
        log=str(emulator.log_path),
        environment=dict(emulator.environment),
    )


if __name__ == "__main__":
    main()
