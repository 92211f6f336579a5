"""Saves in child processes that are killed, for real, each at another system call.

Run as a program, in a process without threads, so that it may fork::

    python syscall_kill.py FOLDER SCENARIO EVERY

makes FOLDER/point-0, FOLDER/point-N, …: in each a save was killed before its first
system call, its Nth, …, for N = EVERY. It prints the last one; that save went through.

A child is traced as ptrace(2) has it: it stops before and after each system call, and
what is killed in the stop before has not made it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

MOST_POINTS = 20_000

# <linux/ptrace.h>
_TRACEME = 0
_SYSCALL = 24
_SETOPTIONS = 0x4200
_O_TRACESYSGOOD = 0x1
_O_TRACECLONE = 0x8
_O_EXITKILL = 0x100000

_SYSCALL_STOP = signal.SIGTRAP | 0x80
_WALL = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def main(folder: str, name: str, every: str) -> None:
    # The packages of the tests, when this is run as a program.
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from publishing import artifacts
    from publishing.artifacts import save
    from publishing.test_faults import SCENARIOS
    from remote_models.storage import Location

    artifacts.SCRATCH = f"{folder}/scratch"  # which goes with the folder, what is left there, too
    os.mkdir(artifacts.SCRATCH)
    scenario = SCENARIOS[name]
    for at in range(0, MOST_POINTS, int(every)):
        location = Location.parse(f"{folder}/point-{at}").join(scenario.content("new").name)
        scenario.prepare(location)
        child = os.fork()
        if child == 0:
            ptrace(_TRACEME)
            os.kill(os.getpid(), signal.SIGSTOP)
            save(location, scenario.content("new"), overwrite=scenario.overwrite)
            os._exit(0)
        status = kill_at(child, at)
        if status == 0:
            print(at)
            return
        if status != signal.SIGKILL:
            raise SystemExit(f"the child ended by itself, with status {status}")
    raise SystemExit("a save without end")


def kill_at(child: int, at: int) -> int:
    """Kill a child before system call number ``at`` of any of its threads.

    Returns its status as of wait(2): 0 if it came to its end before.
    """
    os.waitpid(child, 0)
    ptrace(_SETOPTIONS, child, _O_TRACESYSGOOD | _O_TRACECLONE | _O_EXITKILL)
    ptrace(_SYSCALL, child)
    calls = 0
    inside: set[int] = set()
    while True:
        thread, status = os.waitpid(-1, _WALL)
        if not os.WIFSTOPPED(status):
            if thread == child:
                return status
            continue
        passed_on = 0
        if os.WSTOPSIG(status) == _SYSCALL_STOP:
            inside ^= {thread}
            if thread in inside:
                if calls == at:
                    os.kill(child, signal.SIGKILL)
                calls += 1
        elif os.WSTOPSIG(status) not in (signal.SIGTRAP, signal.SIGSTOP):
            passed_on = os.WSTOPSIG(status)
        ptrace(_SYSCALL, thread, passed_on, gone=True)


def ptrace(request: int, thread: int = 0, data: int = 0, *, gone: bool = False) -> None:
    """Call ptrace(2); with ``gone`` the thread may have been killed meanwhile."""
    if _libc.ptrace(request, thread, None, data) == -1 and not gone:
        raise OSError(ctypes.get_errno(), "ptrace")


if __name__ == "__main__":
    main(*sys.argv[1:])
