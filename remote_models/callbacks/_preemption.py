"""SIGTERM while a model is trained: what clouds send before they take a machine away."""

from __future__ import annotations

import inspect
import signal
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

__all__ = ["Preemption"]

_Handler = Callable[[int, FrameType | None], Any] | int | None


class Preemption:
    """Holds SIGTERM back until the next step of a training, which may save before it.

    That is so only while the function that trains is running, and in the main thread,
    where signals arrive. Otherwise, and the second time, the signal does what it did
    before.
    """

    def __init__(self) -> None:
        self.is_due = False
        self._is_watching = False
        self._before: _Handler = signal.SIG_DFL
        self._loop: tuple[int, CodeType] | None = None

    def watch(self, depth: int) -> None:
        """Begin to hold the signal back.

        Args:
            depth: How many calls above the caller the training loop is.
        """
        if self._is_watching or threading.current_thread() is not threading.main_thread():
            return
        loop = _caller(depth + 1)
        # Not the frame itself: it holds the data that are trained on.
        self._loop = None if loop is None else (id(loop), loop.f_code)
        self.is_due = False
        self._before = signal.signal(signal.SIGTERM, self._hear)
        self._is_watching = True

    def stop(self) -> None:
        """Let the signal do what it did before."""
        if not self._is_watching:
            return
        self._is_watching = False
        if signal.getsignal(signal.SIGTERM) == self._hear:
            signal.signal(signal.SIGTERM, self._before)

    def give_way(self) -> None:
        """Let the signal that was held back do what it does."""
        self.is_due = False
        self.stop()
        signal.raise_signal(signal.SIGTERM)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._is_watching and not self.is_due and self._is_inside(frame):
            self.is_due = True
            return
        self.is_due = False
        self.stop()
        if callable(self._before):
            self._before(number, frame)
        elif self._before != signal.SIG_IGN:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTERM)

    def _is_inside(self, frame: FrameType | None) -> bool:
        while frame is not None:
            if (id(frame), frame.f_code) == self._loop:
                return True
            frame = frame.f_back
        return False


def _caller(depth: int) -> FrameType | None:
    """Return the frame so many calls above the caller, or the outermost one."""
    frame = inspect.currentframe()
    for _ in range(depth + 1):
        if frame is None or frame.f_back is None:
            break
        frame = frame.f_back
    return frame
