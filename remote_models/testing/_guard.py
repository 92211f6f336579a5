"""Run a server until its owner says stop or dies; then kill it and delete its files.

A script for the standard library only, started by ``_process`` with
``python -I -S``: OWNER_PID, a JSON list of paths to delete, then the command.
It is a process of its own because nothing else survives the owner's SIGKILL:
``PR_SET_PDEATHSIG`` alone follows the owner's *thread*, so a server started
from a short-lived thread would die with that thread, and nobody would be left
to delete the files.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_CHECK_SECONDS = 0.2


def main(arguments: Sequence[str]) -> int:
    """Guard one server and return its exit status."""
    owner, trash, *command = arguments
    # The death signal follows this thread, the only one, which outlives the server.
    server = subprocess.Popen(  # noqa: S603 - the command is ours
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_die_with_guard,  # noqa: PLW1509 - one thread
    )
    try:
        while server.poll() is None and os.getppid() == int(owner) and not _is_told_to_stop():
            pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        _delete(json.loads(trash))
    return server.returncode


def _is_told_to_stop() -> bool:
    # The owner writes a byte, and end of file counts too. The parent's id is
    # asked besides, because a process forked by the owner holds the pipe open.
    ready, _, _ = select.select([sys.stdin], [], [], _CHECK_SECONDS)
    return bool(ready)


def _die_with_guard() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _delete(paths: Sequence[str]) -> None:
    for path in map(Path, paths):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    # A signal's number comes as a negative status; 128 + number is the shell's way.
    status = main(sys.argv[1:])
    sys.exit(status if status >= 0 else 128 - status)
