"""Ask a store again for what it could not give for a moment."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from remote_models.errors import ArgumentError, StoreUnavailableError

__all__ = ["RetryPolicy"]

_T = TypeVar("_T")

_SMALL = 1024 * 1024
"""Bytes that any link brings in the time that a request takes anyway."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How often and how long a store is asked again that does not answer or breaks off.

    The clients of the stores ask again by themselves, some of them for half a minute,
    but not after every error. So that an outage is not waited for many times over, no
    attempt begins once a third of ``timeout`` is used up, by the client or here, and no
    request is waited for longer than that: an outage ends in an error after a minute.

    A range that is late is asked for a second time on another connection, which is as
    often as not a faster one ("Performance design patterns for Amazon S3", section
    "Timeouts and retries for latency-sensitive applications").

    The pauses grow exponentially, each of a random length between nothing and all of it
    ("Exponential Backoff And Jitter", AWS Architecture Blog): many readers that one
    outage has stopped do not come back at the same moment.

    Attributes:
        attempts: How often to ask in all.
        first_pause: The longest that the first pause may be, in seconds.
        longest_pause: The longest that any pause may be, in seconds.
        late: Seconds after which a range is asked for a second time, and more for a
            large one: see ``late_after``.
        timeout: Seconds after which a request is given up, and more for a large one:
            see ``give_up_after``.
        slowest: Bytes per second on one connection, of which a slower one is given up.
        sleep: Waits for some seconds.
        random: Returns a number from 0 to 1.
        clock: Tells the time in seconds.
    """

    attempts: int = 4
    first_pause: float = 0.5
    longest_pause: float = 4.0
    late: float = 10.0
    timeout: float = 60.0
    slowest: int = 32 * 1024
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        for name in ("attempts", "late", "timeout", "slowest"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not value > 0:
                raise ArgumentError(
                    "not a positive number", where=f"RetryPolicy.{name}", found=repr(value)
                )

    @property
    def patience(self) -> float:
        """Seconds after the first attempt began in which another may begin."""
        return self.timeout / 3

    def late_after(self, size: int) -> float:
        """Return after how many seconds ``size`` bytes that have not come are late."""
        return self.late + _counted(size) / (4 * self.slowest)

    def give_up_after(self, size: int) -> float:
        """Return after how many seconds ``size`` bytes that have not come are given up."""
        return self.timeout + _counted(size) / self.slowest

    def retried(self, act: Callable[[], _T]) -> _T:
        """Return what ``act`` returns, called again while the store is unavailable.

        Raises:
            StoreUnavailableError: the last attempt failed like all before it.
        """
        started = self.clock()
        for number in range(1, self.attempts):
            try:
                return act()
            except StoreUnavailableError:
                pause = self.random() * min(
                    self.first_pause * 2 ** (number - 1), self.longest_pause
                )
                if self.clock() - started + pause > self.patience:
                    raise
                self.sleep(pause)
        return act()


def _counted(size: int) -> int:
    return max(size - _SMALL, 0)
