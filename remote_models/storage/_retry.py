"""Ask a store again for what it could not give for a moment."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from remote_models.errors import StoreUnavailableError

__all__ = ["RetryPolicy"]

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How often and how long a store is asked again that does not answer or breaks off.

    The clients of the stores ask again by themselves, some of them for half a minute,
    but not after every error. So that an outage is not waited for many times over, no
    attempt begins once ``patience`` is used up, by the client or here.

    The pauses grow exponentially, each of a random length between nothing and all of it
    ("Exponential Backoff And Jitter", AWS Architecture Blog): many readers that one
    outage has stopped do not come back at the same moment.

    Attributes:
        attempts: How often to ask in all.
        first_pause: The longest that the first pause may be, in seconds.
        longest_pause: The longest that any pause may be, in seconds.
        patience: Seconds after the first attempt began in which another may begin.
        sleep: Waits for some seconds.
        random: Returns a number from 0 to 1.
        clock: Tells the time in seconds.
    """

    attempts: int = 4
    first_pause: float = 0.5
    longest_pause: float = 4.0
    patience: float = 10.0
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random
    clock: Callable[[], float] = time.monotonic

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
