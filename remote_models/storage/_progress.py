"""How far a transfer has come: the values that progress callbacks receive."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["ProgressCallback", "ProgressMeter", "TransferProgress"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TransferProgress:
    """One moment of a transfer.

    Attributes:
        operation: ``"upload"``, ``"download"``, ``"verify"`` or ``"adopt"``.
        url: The model's URL, without credentials.
        transferred: Bytes moved so far.
        total: Bytes to move in all.
        seconds: Time since the transfer began.
    """

    operation: str
    url: str
    transferred: int
    total: int
    seconds: float

    @property
    def rate(self) -> float:
        """Bytes per second so far; 0 at the very beginning."""
        return self.transferred / self.seconds if self.seconds > 0 else 0.0

    @property
    def remaining_seconds(self) -> float | None:
        """The time still needed at this rate, or ``None`` while there is no rate."""
        return (self.total - self.transferred) / self.rate if self.rate else None

    @property
    def finished(self) -> bool:
        """Whether every byte has been moved."""
        return self.transferred >= self.total


ProgressCallback = Callable[[TransferProgress], None]


class ProgressMeter:
    """Counts the bytes of one transfer and tells a callback, if there is one."""

    def __init__(
        self, operation: str, url: str, total: int, callback: ProgressCallback | None
    ) -> None:
        self._operation = operation
        self._url = url
        self._total = total
        self._callback = callback
        self._transferred = 0
        self._start = time.monotonic()
        self.advance(0)

    def advance(self, size: int) -> None:
        """Count ``size`` more bytes. A negative size takes back what must be moved again."""
        self._transferred += size
        if self._callback is not None:
            self._callback(
                TransferProgress(
                    operation=self._operation,
                    url=self._url,
                    transferred=self._transferred,
                    total=self._total,
                    seconds=time.monotonic() - self._start,
                )
            )
