"""A model while it is trained: all of its state, and where its loop begins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remote_models.errors import FormatError

if TYPE_CHECKING:
    import numpy as np

    from remote_models.frameworks._streamed_save import StreamedSave

__all__ = ["METRICS_GROUP", "SEEDS_GROUP", "Training", "is_beside_weights"]

SEEDS_GROUP = "training_state/seeds/vars"
METRICS_GROUP = "training_state/metrics/vars"
"""Groups of a weights file that no framework looks for: what it would forget."""

Arrays = Mapping[str, "np.ndarray[Any, Any]"]


def is_beside_weights(key: str) -> bool:
    """Whether a tensor of a training's state is none that a weights file has."""
    return key.startswith((SEEDS_GROUP, METRICS_GROUP))


class Training(ABC):
    """A model while it is trained.

    Attributes:
        model: The model.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    @abstractmethod
    def settle(self) -> None:
        """Let the variables have the values that training has come to."""

    @abstractmethod
    def stream(self) -> StreamedSave:
        """Return a ``.weights.h5`` with all that training has changed.

        That is what the framework itself writes there, the optimizer included, and in
        groups of their own the state of seed generators and of metrics.
        """

    @abstractmethod
    def build(self) -> None:
        """Make the variables of the optimizer, where they are made with the first step.

        Raises:
            ArgumentError: the model itself has none yet.
        """

    @abstractmethod
    def load(self, path: Path) -> None:
        """Take weights and optimizer from a file of :meth:`stream`."""

    def load_seeds(self, arrays: Arrays) -> None:
        """Give seed generators the state in ``arrays``, which may hold more.

        Raises:
            FormatError: they belong to another model.
        """
        _assign(self.seeds(), SEEDS_GROUP, arrays)

    def load_metrics(self, arrays: Arrays) -> None:
        """Give metrics the state in ``arrays``, which may hold more.

        Raises:
            FormatError: they belong to another model.
        """
        _assign(self.metrics(), METRICS_GROUP, arrays)

    @abstractmethod
    def seeds(self) -> list[Any]:
        """Return the variables of seed generators, in the model's order."""

    @abstractmethod
    def metrics(self) -> list[Any]:
        """Return the variables of metrics, in the model's order."""

    @abstractmethod
    def begin_at(self, epoch: int) -> None:
        """Let the loop that has just begun start with ``epoch``, counted from 0."""

    @abstractmethod
    def begun(self) -> None:
        """Let the next loop start where it is told to."""

    @abstractmethod
    def skip(self, steps: int, restore: Callable[[], None]) -> None:
        """Let the loop pass over the first steps of the epoch that it has just begun.

        Their data are read, and their callbacks run, but the model stays as ``restore``
        leaves it, which is called once all variables are there.
        """

    @abstractmethod
    def is_chief(self) -> bool:
        """Whether this process, of all that train the model together, is the one to save."""


def _assign(variables: list[Any], group: str, arrays: Arrays) -> None:
    found = {key: value for key, value in arrays.items() if key.startswith(f"{group}/")}
    stored = [found[f"{group}/{number}"] for number in range(len(found))]
    shapes = [tuple(each.shape) for each in variables]
    if shapes != [each.shape for each in stored]:
        raise FormatError(
            "this state belongs to another model",
            where=group,
            expected=f"variables of the shapes {shapes}",
            found=[each.shape for each in stored],
            hint="Train it with the model, optimizer and metrics of the run that saved it",
        )
    for variable, value in zip(variables, stored, strict=True):
        variable.assign(value)
