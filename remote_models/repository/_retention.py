"""Which versions to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from remote_models.errors import ArgumentError
from remote_models.repository._version import Version

__all__ = ["Best", "Retention"]

_MODES = ("min", "max")


@dataclass(frozen=True, kw_only=True, slots=True)
class Best:
    """The versions with the best values of a metric.

    Attributes:
        metric: A member of the metadata, or of the object ``metrics`` in it.
        mode: ``"min"`` if lower is better, ``"max"`` if higher is.
        count: How many to keep.
    """

    metric: str
    mode: str
    count: int = 1

    @classmethod
    def parse(cls, keep_best: object, metric: object, mode: object) -> Self:
        """Take ``keep_best=2, metric="val_loss", mode="min"`` or one tuple of all that.

        Raises:
            ArgumentError: something is missing, said twice, or no such mode.
        """
        if not isinstance(keep_best, tuple):
            values = (metric, "min" if mode is None else mode, keep_best)
        elif metric is not None or mode is not None:
            raise ArgumentError("said twice", where="metric", hint="Name it in keep_best alone")
        elif len(keep_best) in (2, 3):
            values = (keep_best[0], keep_best[1], [*keep_best, 1][2])
        else:
            raise ArgumentError(
                "not a rule", where="keep_best", found=repr(keep_best),
                expected="as in 2, ('val_loss', 'min') or ('val_loss', 'min', 2)",
            )  # fmt: skip
        name, how, number = values
        if not isinstance(name, str) or not name:
            raise ArgumentError(
                "no metric", where="keep_best", found=repr(name),
                hint="Pass metric=, or keep_best=('val_loss', 'min')",
            )  # fmt: skip
        if not isinstance(how, str) or how not in _MODES:
            raise ArgumentError(
                "no such mode", where="keep_best", expected="'min' or 'max'", found=repr(how)
            )
        return cls(metric=name, mode=how, count=_checked(number, "keep_best"))

    def choose(self, versions: Sequence[Version]) -> set[int]:
        """Return the numbers of the best; of equal ones the latest come first.

        Raises:
            ArgumentError: no version at all has the metric, which may be mistyped.
        """
        sign = 1 if self.mode == "min" else -1
        measured = [
            (sign * value, -version.number)
            for version in versions
            if (value := _metric_of(version, self.metric)) is not None
        ]
        if versions and not measured:
            raise ArgumentError(
                "no version has this metric", where="keep_best", found=repr(self.metric),
                expected=" or ".join(map(repr, _metrics_of(versions))) or "a number in metadata",
            )  # fmt: skip
        return {-number for _, number in sorted(measured)[: self.count]}


@dataclass(frozen=True, kw_only=True, slots=True)
class Retention:
    """Which versions to keep; one that any rule keeps is kept, and the newest is always.

    Attributes:
        last: How many of the newest.
        best: Those with the best metric.
        every: Those whose number this divides.
    """

    last: int | None = None
    best: Best | None = None
    every: int | None = None

    def __post_init__(self) -> None:
        for value, where in ((self.last, "keep_last"), (self.every, "keep_every")):
            if value is not None:
                _checked(value, where)
        if self.last is None and self.best is None and self.every is None:
            raise ArgumentError(
                "nothing says what to keep", where="prune",
                hint="Pass keep_last=, keep_best= or keep_every=",
            )  # fmt: skip

    def choose(self, versions: Sequence[Version]) -> set[int]:
        """Return the numbers of the versions to keep, of all there are in ascending order."""
        numbers = [version.number for version in versions]
        kept = set(numbers[-(self.last or 1) :])
        if self.best is not None:
            kept |= self.best.choose(versions)
        if self.every is not None:
            kept |= {number for number in numbers if number % self.every == 0}
        return kept


def _metrics_of(versions: Sequence[Version]) -> list[str]:
    names: set[str] = set()
    for version in versions:
        nested = version.metadata.get("metrics")
        names |= {*version.metadata, *(nested if isinstance(nested, dict) else ())}
    return sorted(
        name for name in names if any(_metric_of(each, name) is not None for each in versions)
    )


def _metric_of(version: Version, name: str) -> float | None:
    metadata = version.metadata
    nested = metadata.get("metrics")
    value = metadata.get(name, nested.get(name) if isinstance(nested, dict) else None)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _checked(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ArgumentError(
            "not a count", where=where, expected="a whole number from 1 on", found=repr(value)
        )
    return value
