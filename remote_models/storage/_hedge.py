"""Wait no longer than need be: ask a second time for what is late, and give up in the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

__all__ = ["Hedge", "answer_within"]

_T = TypeVar("_T")

_LOOK_AGAIN_SECONDS = 0.5
"""How soon a wait notices that it has been called off."""


class Hedge:
    """Asks a second time, on another connection, for an answer that is late.

    The first answer counts ("hedged requests", Dean and Barroso, "The Tail at Scale",
    Communications of the ACM, 2013). A request that was overtaken is left to itself, in a
    thread that does not keep the process; it ends when its client's own limits end it.

    Args:
        most: Second requests at once: what is late because the whole link is slow must
            not be asked for twice throughout.
    """

    def __init__(self, *, most: int = 2) -> None:
        self._room = threading.Semaphore(most)

    def first(
        self,
        ask: Callable[[], _T],
        *,
        late: float,
        give_up: float,
        called_off: threading.Event | None = None,
    ) -> _T:
        """Return what ``ask`` returns, asked twice if it takes long.

        Args:
            ask: Called in another thread, and again in a third.
            late: After how many seconds to ask a second time.
            give_up: After how many to wait no longer.
            called_off: Ends the wait when it is set.

        Raises:
            TimeoutError: no answer has come.
        """
        race = _Race(ask, called_off)
        race.start()
        begun = time.monotonic()
        if race.wait(begun + min(late, give_up)):
            return race.result()
        if self._room.acquire(blocking=False):
            race.start(when_all_ended=self._room.release)
        race.wait(begun + give_up)
        return race.result()


def answer_within(seconds: float, act: Callable[[], _T]) -> _T:
    """Return what ``act`` returns, unless it takes longer.

    It runs in another thread, so that Control-C ends the wait where ``act`` is a call
    that no signal interrupts.

    Raises:
        TimeoutError: it takes longer. It goes on unheard.
    """
    race = _Race(act, None)
    race.start()
    race.wait(time.monotonic() + seconds)
    return race.result()


class _Race(Generic[_T]):
    """Attempts in threads of their own. The first to succeed, or the last to fail, counts."""

    def __init__(self, act: Callable[[], _T], called_off: threading.Event | None) -> None:
        self._act = act
        self._called_off = called_off or threading.Event()
        self._ended: SimpleQueue[tuple[_T | None, BaseException | None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._running = 0
        self._when_all_ended: Callable[[], None] | None = None
        self._outcome: tuple[_T | None, BaseException | None] | None = None

    def start(self, *, when_all_ended: Callable[[], None] | None = None) -> None:
        with self._lock:
            self._running += 1
            self._when_all_ended = when_all_ended
        # No daemon would keep the process until the client gives up.
        threading.Thread(target=self._run, name="remote_models", daemon=True).start()

    def wait(self, until: float) -> bool:
        """Wait for the outcome, and say whether it is there."""
        while (left := until - time.monotonic()) > 0 and not self._called_off.is_set():
            try:
                self._outcome = self._ended.get(timeout=min(left, _LOOK_AGAIN_SECONDS))
            except Empty:
                continue
            with self._lock:
                is_last = not self._running and self._ended.empty()
            if self._outcome[1] is None or is_last:
                return True
        return False

    def result(self) -> _T:
        if self._outcome is None:
            raise TimeoutError("no answer in time")
        value, error = self._outcome
        if error is not None:
            raise error
        return value  # type: ignore[return-value]  # it has succeeded

    def _run(self) -> None:
        value, error = None, None
        try:
            value = self._act()
        except BaseException as raised:  # noqa: BLE001 - raised in the thread that waits
            error = raised
        with self._lock:
            self._running -= 1
            self._ended.put((value, error))
            when_all_ended = None if self._running else self._when_all_ended
        if when_all_ended is not None:
            when_all_ended()
