"""How much of a machine and of a link a transfer may take."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from remote_models._size import parse_size
from remote_models.errors import ArgumentError
from remote_models.storage._retry import RetryPolicy

__all__ = ["TransferSettings"]

_MIN_REQUEST = 256 * 1024

_MIN_PART = 8 * 1024 * 1024

_MAX_PARTS = 10_000

_MAX = 1 << 50
"""Beyond what any machine has; clients count in 64 bits."""

_CONCURRENCY = "REMOTE_MODELS_MAX_CONCURRENCY"

_BUDGET = "REMOTE_MODELS_MEMORY_BUDGET"

_ATTEMPTS = "REMOTE_MODELS_ATTEMPTS"

_TIMEOUT = "REMOTE_MODELS_TIMEOUT"


_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True, kw_only=True, slots=True)
class TransferSettings:
    """How much of a machine and of a link a transfer may take.

    The defaults are for loading on a server or in a function of a cloud: one connection
    to S3 gives about 85 to 90 MB/s, so 16 fill a 10 Gbit/s link, and 64 MiB are small
    beside any model for which speed matters. Requests of 4 to 16 MiB are equally fast;
    of 1 MiB they take two to three times the CPU.

    Over a link of 30 ms and 90 MB/s a request costs as much time as 2.7 MB of bytes, so
    reading a gap of 1 MiB is cheaper than asking twice; that every request may waste at
    most a quarter of its bytes bounds what scattered small ranges cost on a slow link.

    Attributes:
        max_concurrency: Requests under way at once.
        memory_budget: Bytes of requests under way, or that wait to be sent. Of what has
            arrived, as much again may wait for who asked for it.
        max_request: Bytes per request at most, however large the budget is.
        max_gap: Unwanted bytes between two ranges that are read to save a request.
        max_waste: The share of a request's bytes that may be unwanted.
        retry: What is done where a request fails for a moment.
    """

    max_concurrency: int = 16
    memory_budget: int = 64 * 1024 * 1024
    max_request: int = 8 * 1024 * 1024
    max_gap: int = 1024 * 1024
    max_waste: float = 0.25
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def __post_init__(self) -> None:
        for name in ("max_concurrency", "memory_budget", "max_request"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MAX:
                raise ArgumentError(
                    "not a positive integer",
                    where=f"TransferSettings.{name}",
                    expected="a number" if name == "max_concurrency" else "a number of bytes",
                    found=repr(value),
                )

        if not isinstance(self.retry, RetryPolicy):
            raise ArgumentError(
                "not a RetryPolicy", where="TransferSettings.retry", found=repr(self.retry),
                hint="Pass retry=remote_models.RetryPolicy(attempts=…)",
            )  # fmt: skip

    @property
    def request_size(self) -> int:
        """Bytes per request: as many as let ``max_concurrency`` of them fit the budget."""
        share = max(self.memory_budget // self.max_concurrency, _MIN_REQUEST)
        return min(self.max_request, share)

    def part_size(self, size: int) -> int:
        """Return the bytes per part in which an object of ``size`` bytes is uploaded.

        S3 takes 10,000 parts at most, and objects of up to 5 TiB ("Amazon S3 multipart
        upload limits", Amazon S3 User Guide).
        """
        return max(_MIN_PART, -(-size // _MAX_PARTS))

    def parts_at_once(self, part_size: int, *, besides: int = 1) -> int:
        """Return how many parts may be under way, with ``besides`` more that are being filled."""
        return max(1, min(self.max_concurrency, self.memory_budget // part_size - besides))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> TransferSettings:
        """Return the defaults, or what the environment says instead.

        ``REMOTE_MODELS_MAX_CONCURRENCY`` is a number, ``REMOTE_MODELS_MEMORY_BUDGET`` a
        number of bytes, also as in ``128MiB`` or ``1GB``; ``REMOTE_MODELS_ATTEMPTS`` is
        how often to ask in all, ``REMOTE_MODELS_TIMEOUT`` after how many seconds to give up.

        Raises:
            ArgumentError: a variable holds something else.
        """
        defaults = cls()
        retry = defaults.retry

        def read(name: str, parse: Callable[[str], _Number], form: str, other: _Number) -> _Number:
            text = environ.get(name)
            return _parse(text, name, parse, form) if text else other

        def read_size(text: str) -> int:
            return parse_size(text, _BUDGET)

        return cls(
            max_concurrency=read(_CONCURRENCY, int, "as in 16", defaults.max_concurrency),
            memory_budget=read(_BUDGET, read_size, "as in 128MiB", defaults.memory_budget),
            retry=RetryPolicy(
                attempts=read(_ATTEMPTS, int, "as in 4", retry.attempts),
                timeout=read(_TIMEOUT, _seconds, "seconds, as in 60", retry.timeout),
            ),
        )


def _seconds(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _parse(text: str, where: str, read: Callable[[str], _Number], expected: str) -> _Number:
    try:
        number = read(text)
    except ValueError as error:
        raise ArgumentError(
            "not a positive number", where=where, expected=expected, found=repr(text),
        ) from error  # fmt: skip
    if number <= 0:
        raise ArgumentError(
            "not a positive number", where=where, expected=expected, found=repr(text)
        )
    return number
