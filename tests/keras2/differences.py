"""How far two outputs of a model are apart."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["difference"]


def difference(made: Any, expected: Any) -> float:
    """Return the largest difference, relative to the largest value where that is above one.

    Texts are equal or infinitely far apart.
    """
    if made.shape != expected.shape:
        return float("inf")
    if expected.dtype.kind == "S":
        return 0.0 if (made.astype("S") == expected).all() else float("inf")
    gap = np.max(np.abs(made.astype("float64") - expected.astype("float64")), initial=0.0)
    return float(gap / np.max(np.abs(expected), initial=1.0))
