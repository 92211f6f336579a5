"""How far apart the values of two tensors are: arithmetic, no bytes of a store."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[Any]

__all__ = ["Gap"]

_AT_ONCE = 1 << 20
"""Elements that are compared at once: the arithmetic takes some 40 bytes for each."""


class Gap:
    """The distance between two tensors, from whatever parts of both are added.

    Elements that are not finite on one side or the other, and differ, are counted and
    left out of the distances.

    Attributes:
        different: How many elements differ. Two NaN are alike.
        not_finite: How many of these are infinite or NaN in one of the two.
        max_abs: The largest difference of two elements.
    """

    def __init__(self) -> None:
        self.different = 0
        self.not_finite = 0
        self.max_abs = 0.0
        self._squares = 0.0
        self._norm_squares = 0.0

    @property
    def l2(self) -> float:
        """The Euclidean norm of the difference."""
        return math.sqrt(self._squares)

    @property
    def relative_l2(self) -> float | None:
        """The same in units of the norm of the first one; ``None`` if that is zero."""
        return self.l2 / math.sqrt(self._norm_squares) if self._norm_squares else None

    def add(self, first: Values, second: Values) -> None:
        """Take elements of the first tensor and those at the same places of the second."""
        for start in range(0, first.size, _AT_ONCE):
            self._add(first[start : start + _AT_ONCE], second[start : start + _AT_ONCE])

    def _add(self, first: Values, second: Values) -> None:
        # What overflows float64 becomes infinite, and is said to be so.
        with np.errstate(over="ignore", invalid="ignore"):
            if first.dtype != second.dtype:
                first, second = _wide(first), _wide(second)
            is_finite = np.isfinite(first) & np.isfinite(second)
            is_different = (first != second) & ~(np.isnan(first) & np.isnan(second))
            self.different += int(np.count_nonzero(is_different))
            self.not_finite += int(np.count_nonzero(is_different & ~is_finite))
            first, second = first[is_finite], second[is_finite]
            gaps = _distances(first, second)
            self.max_abs = max(self.max_abs, float(gaps.max(initial=0)))
            self._squares += float(np.dot(gaps, gaps))
            sizes = np.abs(_wide(first))
            self._norm_squares += float(np.dot(sizes, sizes))


def _distances(first: Values, second: Values) -> Values:
    if first.dtype == second.dtype and first.dtype.kind in "iu":
        # As float64, two large integers that differ would be equal.
        high, low = np.maximum(first, second), np.minimum(first, second)
        between: Values = high.astype(np.uint64) - low.astype(np.uint64)
        return between.astype(np.float64)
    gaps: Values = np.abs(_wide(second) - _wide(first))
    return gaps


def _wide(values: Values) -> Values:
    return values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)
