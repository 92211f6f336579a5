"""Saves that go on while training does."""

from __future__ import annotations

import time
import warnings
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from remote_models.errors import ArgumentError, StoreUnavailableError

__all__ = ["Saves", "UnreportedSaveWarning"]

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 15.0


class UnreportedSaveWarning(UserWarning):
    """A save failed in the background, and no hook came after it that could have said so."""


class Saves:
    """One save after the other, each of them in the background.

    A save that fails since the store cannot be reached is tried again, for ``patience``
    seconds after its first attempt. A process that ends waits for the save under way.

    Args:
        in_background: Whether to go on at once, or to wait for each save.
        when_busy: ``"wait"`` for the save under way, or ``"skip"`` the one that is due.
        patience: Seconds for which an unreachable store is asked again.

    Raises:
        ArgumentError: an argument makes no sense.
    """

    def __init__(self, *, in_background: bool, when_busy: str, patience: float) -> None:
        if when_busy not in ("wait", "skip"):
            raise ArgumentError(
                "no such way", where="when_busy", expected="'wait' or 'skip'",
                found=repr(when_busy),
            )  # fmt: skip
        if isinstance(patience, bool) or not patience >= 0:
            raise ArgumentError("not a number of seconds", where="patience", found=repr(patience))
        self._in_background = in_background
        self._skips = when_busy == "skip"
        self._patience = patience
        self._thread: ThreadPoolExecutor | None = None
        self._under_way: list[Future[None]] = []
        weakref.finalize(self, _report, self._under_way)

    def make_way(self) -> bool:
        """Wait until another save can start; false if the one that is due is to be skipped.

        Raises:
            RemoteModelsError: what made the last save fail.
        """
        if self._skips and self._under_way and not self._under_way[0].done():
            return False
        self.finish()
        return True

    def start(self, save: Callable[[], None]) -> None:
        """Start a save; :meth:`make_way` has been called before.

        Raises:
            RemoteModelsError: it failed, unless it runs in the background.
        """
        if not self._in_background:
            _persist(save, self._patience)
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="remote_models")
        self._under_way.append(self._thread.submit(_persist, save, self._patience))

    def check(self) -> None:
        """Raise what made a save fail that has ended by now, once."""
        if self._under_way and self._under_way[0].done():
            self._under_way.pop().result()

    def finish(self) -> None:
        """Wait for the save under way.

        Raises:
            RemoteModelsError: what made it fail.
        """
        if self._under_way:
            try:
                self._under_way[0].result()
            finally:
                if self._under_way[0].done():  # else somebody has interrupted the waiting
                    self._under_way.pop()

    def close(self) -> None:
        """Wait for the save under way, and let its thread go; raises as :meth:`finish`."""
        try:
            self.finish()
        finally:
            if self._thread is not None and not self._under_way:
                self._thread.shutdown()
                self._thread = None


def _persist(save: Callable[[], None], patience: float) -> None:
    """Save, and try again while the store cannot be reached."""
    started, pause = time.monotonic(), _FIRST_PAUSE
    while True:
        try:
            save()
        except StoreUnavailableError as error:
            left = started + patience - time.monotonic()
            if left <= 0:
                error.add_note(f"Tried again for {time.monotonic() - started:.0f} seconds.")
                raise
            time.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE)
        else:
            return


def _report(under_way: list[Future[None]]) -> None:
    """Say what nobody has asked for: training ended in an exception, or was given up."""
    for future in under_way:
        error = future.exception()
        if error is not None:
            warnings.warn(f"a save has failed: {error}", UnreportedSaveWarning, stacklevel=1)
