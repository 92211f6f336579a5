"""Progress on a terminal: one line on standard error, rewritten in place."""

from __future__ import annotations

import sys
from typing import TextIO

from remote_models.errors import ArgumentError
from remote_models.storage import ProgressCallback, TransferProgress

__all__ = ["ProgressBar", "format_size", "progress_callback"]

_MIN_INTERVAL = 0.1
"""Seconds between two redraws."""

_QUIET_SECONDS = 0.5
"""What takes less is over before anybody wants to know."""


def progress_callback(progress: bool | ProgressCallback | None) -> ProgressCallback | None:
    """Return whom to tell: a bar, a callable of the caller's, or nobody.

    ``None`` means a bar if standard error is a terminal.
    """
    if progress is None:
        return ProgressBar(sys.stderr) if sys.stderr is not None and sys.stderr.isatty() else None
    if isinstance(progress, bool):
        return ProgressBar(sys.stderr, quiet_seconds=0) if progress else None
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

    def __call__(self, progress: TransferProgress) -> None:
        """Draw the line again if it is time to."""
        if progress.seconds < self._quiet_seconds:
            return
        due = self._drawn_at is None or progress.seconds - self._drawn_at >= _MIN_INTERVAL
        if not (due or progress.finished):
            return
        ending = "\n" if progress.finished else ""
        self._stream.write(f"\r\x1b[K{_line(progress)}{ending}")
        self._stream.flush()
        self._drawn_at = progress.seconds


def format_size(size: float) -> str:
    """Return a number of bytes for people, as in ``12.3 MB`` (powers of 1000)."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _line(progress: TransferProgress) -> str:
    share = progress.transferred / progress.total if progress.total else 1.0
    text = (
        f"{progress.operation} {progress.url}  {share:4.0%}  "
        f"{format_size(progress.transferred)} of {format_size(progress.total)}  "
        f"{format_size(progress.rate)}/s"
    )
    remaining = progress.remaining_seconds
    if remaining is None or progress.finished:
        return f"{text}  {progress.seconds:.1f} s"
    minutes, seconds = divmod(round(remaining), 60)
    return f"{text}  {minutes}:{seconds:02d} left"
