"""Values that Keras logs, as JSON has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["Values", "from_json", "to_json", "to_numbers"]

Values = Mapping[str, float]

_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def to_numbers(logs: Mapping[str, Any] | None) -> dict[str, float]:
    """Return the numbers in logs by their names; tensors of one element are some."""
    numbers = {}
    for name, value in (logs or {}).items():
        try:
            numbers[name] = float(value)
        except (TypeError, ValueError):  # an array, a text
            continue
    return numbers


def to_json(value: float) -> float | str:
    """Return a number as JSON has it, which knows none that is not finite."""
    if math.isfinite(value):
        return value
    return next(
        name
        for name, each in _NOT_FINITE.items()
        if each == value or (math.isnan(each) and math.isnan(value))
    )


def from_json(value: object) -> float | None:
    """Return the number that :func:`to_json` made, or ``None`` if it is no such."""
    if isinstance(value, str):
        return _NOT_FINITE.get(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)
