"""The metric by which one version is better than another."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from remote_models.callbacks._values import Values
from remote_models.errors import ArgumentError

__all__ = ["Monitor"]

_LOWER = ("loss", "error", "mse", "mae", "mape", "msle", "rmse", "perplexity", "divergence")
_HIGHER = ("acc", "auc", "precision", "recall", "f1", "fmeasure", "iou", "r2", "similarity")
"""Parts of names that tell whether less or more is better, in ``"auto"`` mode."""


class Monitor:
    """A metric, whether less or more of it is better, and the best value so far.

    Attributes:
        metric: Its name in the logs.
        mode: ``"min"`` or ``"max"``.
        best: The best value so far, or ``None``.
    """

    def __init__(self, metric: str, mode: str, threshold: float | None) -> None:
        """Choose a metric.

        Raises:
            ArgumentError: there is no such mode, or none can be guessed from the name.
        """
        if mode not in ("auto", "min", "max"):
            raise ArgumentError(
                "no such mode", where="mode", expected="'auto', 'min' or 'max'", found=repr(mode)
            )
        self.metric = metric
        self.mode = _guessed(metric) if mode == "auto" else mode
        self.best = threshold
        self._has_warned = False

    def is_better(self, values: Values) -> bool:
        """Whether the metric in ``values`` is better than any before; then it is the best.

        Where it is not there, nothing is better, with a warning.
        """
        value = values.get(self.metric)
        if value is None:
            self._warn(values)
            return False
        return self._take(value)

    def remember(self, versions: Iterable[Mapping[str, Any]]) -> None:
        """Take the best value from the metadata of versions that were saved before."""
        for metadata in versions:
            metrics = metadata.get("metrics")
            value = metrics.get(self.metric) if isinstance(metrics, Mapping) else None
            if isinstance(value, int | float) and not isinstance(value, bool):
                self._take(float(value))

    def _take(self, value: float) -> bool:
        if math.isnan(value):
            return False
        if self.best is not None and not (
            value < self.best if self.mode == "min" else value > self.best
        ):
            return False
        self.best = value
        return True

    def _warn(self, values: Values) -> None:
        if self._has_warned:
            return
        self._has_warned = True
        warnings.warn(
            f"{self.metric!r} is not among the logs, and nothing is saved by it: there are "
            f"{sorted(values) or 'none'}",
            UserWarning,
            stacklevel=4,
        )


def _guessed(metric: str) -> str:
    name = metric.removeprefix("val_").lower()
    for mode, parts in (("min", _LOWER), ("max", _HIGHER)):
        if any(part in name for part in parts):
            return mode
    raise ArgumentError(
        "this name does not tell whether less or more is better", where="monitor",
        found=repr(metric), hint="Pass mode='min' or mode='max'",
    )  # fmt: skip
