"""Saves in child processes that the system kills, each at another change to the disk.

Run as a program, in a process without threads, so that it may fork::

    python sigkill.py FOLDER SCENARIO

makes FOLDER/point-0, FOLDER/point-1, …: in each a save was killed at its first change
to the disk, its second, … It prints how many there are. The last save went through.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

CHANGES = {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir"}
"""Audit events (docs.python.org, "Audit events table") before what a save does to the disk."""

MOST_POINTS = 200


def main(folder: str, name: str) -> None:
    # The packages of the tests, when this is run as a program.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from publishing.artifacts import save
    from publishing.test_faults import SCENARIOS
    from remote_models.storage import Location

    scenario = SCENARIOS[name]
    for at in range(MOST_POINTS):
        base = f"{folder}/point-{at}"
        location = Location.parse(base).join(scenario.content("new").name)
        scenario.prepare(location)
        child = os.fork()
        if child == 0:
            arm(base, at)
            save(location, scenario.content("new"), overwrite=scenario.overwrite)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status == 0:
            print(at)
            return
        if status != signal.SIGKILL:
            raise SystemExit(f"the child ended by itself, with status {status}")
    raise SystemExit("a save without end")


def arm(base: str, at: int) -> None:
    """Kill this process before change number ``at`` to what is below ``base``."""
    left = at

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event not in CHANGES or not str(arguments[0]).startswith(base):
            return
        if event == "open" and is_reading(arguments):
            return
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    sys.addaudithook(watch)


def is_reading(arguments: tuple[object, ...]) -> bool:
    mode = arguments[1]
    # None is os.open, with which a save opens folders, to flush them.
    return mode is not None and not set(str(mode)) & set("wxa+")


if __name__ == "__main__":
    main(*sys.argv[1:])
