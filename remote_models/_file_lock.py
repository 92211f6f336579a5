"""Locks between processes that only save work: whoever gets none goes on without.

``flock(2)``: the system lets go of it when a process ends, however it ends.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path

__all__ = ["Lock", "hold", "remove_abandoned", "safe_open", "try_lock"]

_SAFELY = (
    getattr(os, "O_NOFOLLOW", 0)  # a link here leads where somebody else wants
    | getattr(os, "O_NONBLOCK", 0)  # opening a FIFO would wait for its other end
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)

_FIRST_PAUSE = 0.02

_LONGEST_PAUSE = 0.25

_ABANDONED_SECONDS = 24 * 3600
"""Age from which a file is nobody's any more, where locks cannot tell."""


class Lock(Enum):
    """What came of an attempt to lock a file."""

    TAKEN = "taken"
    HELD_BY_ANOTHER = "held by another"
    IMPOSSIBLE = "impossible"


def safe_open(path: Path, flags: int) -> int:
    """Open a file of the cache and return the descriptor; follows no link, waits for nobody.

    Raises:
        OSError: it cannot be opened, or is a link.
    """
    return os.open(path, flags | _SAFELY, 0o600)


def try_lock(descriptor: int) -> Lock:
    """Lock an open file, unless another process or thread has locked it."""
    if sys.platform == "win32":
        return Lock.IMPOSSIBLE
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return Lock.HELD_BY_ANOTHER
    except OSError:  # some network file systems have no locks
        return Lock.IMPOSSIBLE
    return Lock.TAKEN


@contextmanager
def hold(path: Path, patience: float) -> Iterator[bool]:
    """Lock a file of this name for the length of a block, and say whether that was possible.

    The block runs in any case: without the lock where there can be none, or after
    ``patience`` seconds of waiting for somebody else.
    """
    descriptor = _take(path, patience)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            _let_go(path, descriptor)


def remove_abandoned(path: Path) -> bool:
    """Delete a file that a process has left behind, unless one still works with it."""
    try:
        descriptor = safe_open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        lock = try_lock(descriptor)
        if lock is Lock.IMPOSSIBLE:
            is_abandoned = time.time() - os.fstat(descriptor).st_mtime > _ABANDONED_SECONDS
        else:
            is_abandoned = lock is Lock.TAKEN
        if is_abandoned:
            os.unlink(path)
        return is_abandoned
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _take(path: Path, patience: float) -> int | None:
    deadline = time.monotonic() + patience
    pause = _FIRST_PAUSE
    while True:
        try:
            descriptor = safe_open(path, os.O_RDWR | os.O_CREAT)
        except OSError:
            return None
        lock = try_lock(descriptor)
        # Who held it has deleted its name; what is locked now is no longer seen by others.
        if lock is Lock.TAKEN and os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)
        if lock is Lock.IMPOSSIBLE or time.monotonic() >= deadline:
            return None
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _let_go(path: Path, descriptor: int) -> None:
    with suppress(OSError):
        os.unlink(path)
    if sys.platform != "win32":
        import fcntl

        # Closing is not enough: a process that was forked meanwhile has it open, too.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)
