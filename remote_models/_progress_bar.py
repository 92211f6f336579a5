"""Progress on a terminal: one line on standard error, rewritten in place."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from remote_models.errors import ArgumentError
from remote_models.storage import ProgressCallback, TransferProgress

__all__ = ["CLEAR_LINE", "ProgressBar", "format_size", "is_terminal", "progress_callback"]

CLEAR_LINE = "\r\x1b[K"
"""Back to the first column, and erase what is there (ECMA-48, EL)."""

_COLUMNS = 80
"""The width of what does not say how wide it is."""

_MIN_INTERVAL = 0.1
"""Seconds between two redraws."""

_QUIET_SECONDS = 0.5
"""What takes less is over before anybody wants to know."""


def progress_callback(progress: bool | ProgressCallback | None) -> ProgressCallback | None:
    """Return whom to tell: a bar, a callable of the caller's, or nobody.

    ``None`` means a bar if standard error is a terminal.
    """
    if progress is None:
        return ProgressBar(sys.stderr) if is_terminal(sys.stderr) else None
    if isinstance(progress, bool):
        wanted = progress and sys.stderr is not None  # pythonw and daemons have none
        return ProgressBar(sys.stderr, quiet_seconds=0) if wanted else None
    if callable(progress):
        return progress
    raise ArgumentError(
        "cannot report progress",
        where="progress",
        expected="True, False, None or a callable",
        found=repr(progress),
    )


class ProgressBar:
    """Draws bytes, rate and remaining time of a transfer."""

    def __init__(self, stream: TextIO, *, quiet_seconds: float = _QUIET_SECONDS) -> None:
        self._stream = stream
        self._quiet_seconds = quiet_seconds
        self._drawn_at: float | None = None
        self._is_broken = False

    def __call__(self, progress: TransferProgress) -> None:
        """Draw the line again if it is time to."""
        if self._is_broken or progress.seconds < self._quiet_seconds:
            return
        due = self._drawn_at is None or progress.seconds - self._drawn_at >= _MIN_INTERVAL
        if not (due or progress.finished):
            return
        self._drawn_at = progress.seconds
        ending = "\n" if progress.finished else ""
        try:
            self._stream.write(f"{CLEAR_LINE}{_line(progress, _columns(self._stream))}{ending}")
            self._stream.flush()
        except (OSError, ValueError):  # closed, or a pipe that nobody reads: the model matters
            self._is_broken = True


def is_terminal(stream: TextIO | None) -> bool:
    """Say whether somebody watches ``stream``."""
    return stream is not None and not stream.closed and stream.isatty()


def format_size(size: float) -> str:
    """Return a number of bytes for people, as in ``12.3 MB`` (powers of 1000)."""
    if round(size) < 1000:
        return f"{size:.0f} B"
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if round(size, 1) < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} TB"


def _line(progress: TransferProgress, columns: int) -> str:
    share = progress.transferred / progress.total if progress.total else 1.0
    numbers = (
        f"  {share:4.0%}  "
        f"{format_size(progress.transferred)} of {format_size(progress.total)}  "
        f"{format_size(progress.rate)}/s  {_time(progress)}"
    )
    # A line that wraps cannot be rewritten in place: the end of the URL is worth most.
    room = max(columns - 1 - len(progress.operation) - 1 - len(numbers), 10)
    url = "".join(each if each.isprintable() else "?" for each in progress.url)
    url = url if len(url) <= room else f"...{url[3 - room :]}"
    return f"{progress.operation} {url}{numbers}"[: columns - 1]


def _time(progress: TransferProgress) -> str:
    remaining = progress.remaining_seconds
    if remaining is None or progress.finished:
        return f"{progress.seconds:.1f} s"
    minutes, seconds = divmod(round(remaining), 60)
    return f"{minutes}:{seconds:02d} left"


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or _COLUMNS
    except (OSError, ValueError):
        return _COLUMNS
