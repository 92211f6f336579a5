"""Steps of a training whose data are read and which change nothing.

The loops of Keras call ``model.train_function``, which they look up for every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["SkippedSteps", "SkippedStepsOnJax", "SkippedStepsOnTensorFlow"]


class SkippedSteps:
    """Stands in for a model's ``train_function`` for some steps, and trains nothing.

    On PyTorch, as it is: the loop hands over a batch and takes logs.

    Args:
        model: A model of Keras; its own function is put back after the last step.
        steps: How many steps to skip.
        at_once: How many steps the loop does in one call.
        restore: Gives the model the state that it keeps while steps are skipped.
    """

    def __init__(
        self, model: Any, steps: int, at_once: Callable[[], int], restore: Callable[[], None]
    ) -> None:
        self._model = model
        self._train = model.train_function
        self._left = steps
        self._at_once = at_once
        self._restore = restore
        self._logs: Any = None
        self._prepare()

    def __call__(self, *given: Any) -> Any:
        self._read(*given)
        self._left -= self._at_once()
        if self._left <= 0:
            self._model.train_function = self._train
        return self._logs

    def _prepare(self) -> None:
        """Restore in time: a loop may take the state before it calls."""
        self._restore()
        self._logs = self._model.get_metrics_result()

    def _read(self, *given: Any) -> None:
        """Read the data of a step, where the loop has not done so."""
        data = given[-1]
        if not isinstance(data, Iterator):
            return
        next(data)
        for _ in range(self._at_once() - 1):
            next(data, None)  # an epoch may end before that


class SkippedStepsOnTensorFlow(SkippedSteps):
    """The loop hands over an iterator, and only the first step makes what metrics keep."""

    def _prepare(self) -> None:
        """Wait for the first step."""

    def _read(self, *given: Any) -> None:
        if self._logs is None:
            self._train(*given)
            super()._prepare()
            return
        super()._read(*given)


class SkippedStepsOnJax(SkippedSteps):
    """The loop hands over the state and an iterator, and takes logs and the state."""

    def __call__(self, *given: Any) -> Any:
        state, _ = given
        return super().__call__(*given), state
