"""Loads in processes that the system kills, each at another change to the cache.

Run as a program, in a process without threads, so that it may fork::

    python kill_child.py FOLDER MODEL

makes the caches FOLDER/0, FOLDER/1, …: in each a load of MODEL, a local one, was killed at its
first change to the cache, its second, … It prints how many there are.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

CHANGES = {"open", "os.rename", "os.remove", "os.mkdir"}
"""Audit events (docs.python.org, "Audit events table") before what a load does to a cache."""

MOST_POINTS = 200


def main(folder: str, model: str) -> None:
    # The packages of the tests, when this is run as a program.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from cache.models import cache_in, load
    from remote_models.storage import Location

    for at in range(MOST_POINTS):
        child = os.fork()
        if child == 0:
            arm(f"{folder}/{at}", at)
            load(cache_in(Path(folder, str(at))), Location.parse(model))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            print(at)
            return
        if status != signal.SIGKILL:
            raise SystemExit(f"the child ended by itself, with status {status}")
    raise SystemExit("a load without end")


def arm(directory: str, at: int) -> None:
    """Kill this process before change number ``at`` to what is in ``directory``."""
    left = at

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event not in CHANGES or not str(arguments[0]).startswith(directory):
            return
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    sys.addaudithook(watch)


if __name__ == "__main__":
    main(*sys.argv[1:])
