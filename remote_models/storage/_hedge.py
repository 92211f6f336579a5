"""Wait no longer than need be: ask a second time for what is late, and give up in the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from itertools import count
from typing import TypeVar

__all__ = ["Hedge", "answer_within", "begin"]

_T = TypeVar("_T")

_LOOK_AGAIN_SECONDS = 0.5
"""How soon a wait notices that it has been called off."""


def begin(act: Callable[[], _T]) -> Future[_T]:
    """Let a thread of its own do something, that does not keep the process when it is left."""
    future: Future[_T] = Future()

    def run() -> None:
        try:
            result = act()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that asks
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="remote_models", daemon=True).start()
    return future


def answer_within(seconds: float, act: Callable[[], _T]) -> _T:
    """Return what ``act`` returns, unless it takes longer.

    It runs in another thread, so that Control-C ends the wait where ``act`` is a call
    that no signal interrupts.

    Raises:
        TimeoutError: it takes longer. It goes on unheard.
    """
    return begin(act).result(seconds)


class Hedge:
    """Asks a second time, on another connection, for an answer that is late.

    The first answer counts ("hedged requests", Dean and Barroso, "The Tail at Scale",
    Communications of the ACM, 2013). A request that was overtaken is left to itself; it
    ends when its client's own limits end it.

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
        called_off = called_off or threading.Event()
        begun = time.monotonic()
        attempts = [begin(ask)]
        with suppress(TimeoutError):  # mostly there is no more to it, and nothing is cheaper
            return attempts[0].result(min(late, give_up, _LOOK_AGAIN_SECONDS))
        until = begun + give_up
        _wait(attempts, min(begun + late, until), called_off)
        while _is_open(attempts) and time.monotonic() < until and not called_off.is_set():
            # Where others are late as well, there is room when they have ended.
            if len(attempts) == 1 and self._room.acquire(blocking=False):
                attempts.append(begin(ask))
                self._release_after(attempts)
            _wait(attempts, min(until, time.monotonic() + _LOOK_AGAIN_SECONDS), called_off)
        ended = [each for each in attempts if each.done()]
        if not ended:
            raise TimeoutError("no answer in time")
        return next(filter(_has_succeeded, ended), ended[0]).result()

    def _release_after(self, attempts: Sequence[Future[_T]]) -> None:
        """Make room again when all attempts have ended, those that nobody waits for, too."""
        ended = count(1)
        for each in attempts:
            each.add_done_callback(
                lambda _: self._room.release() if next(ended) == len(attempts) else None
            )


def _wait(attempts: Sequence[Future[_T]], until: float, called_off: threading.Event) -> None:
    """Wait until one has succeeded or all have failed."""
    while (left := until - time.monotonic()) > 0 and not called_off.is_set():
        if not _is_open(attempts):
            return
        pending = [each for each in attempts if not each.done()]
        wait(pending, min(left, _LOOK_AGAIN_SECONDS), FIRST_COMPLETED)


def _is_open(attempts: Sequence[Future[_T]]) -> bool:
    """Whether none has succeeded and one still may."""
    return not all(each.done() for each in attempts) and not any(map(_has_succeeded, attempts))


def _has_succeeded(attempt: Future[_T]) -> bool:
    return attempt.done() and attempt.exception() is None
