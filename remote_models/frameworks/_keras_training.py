"""Training with Keras 3.

The only place that touches what its loop keeps private: ``_initial_epoch`` of a model,
which Keras' own ``BackupAndRestore`` sets. Public, but little used, are ``train_function``,
which the loop of each backend looks up for every step, and ``jax_state_sync``. Tried with
Keras 3.15; tests/callbacks fails where a loop no longer asks for them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras

from remote_models.errors import ArgumentError
from remote_models.frameworks._keras_saving import stream_groups
from remote_models.frameworks._keras_state import (
    HeldValue,
    StateGroup,
    record_state,
    variable_paths,
)
from remote_models.frameworks._skipped_steps import (
    SkippedSteps,
    SkippedStepsOnJax,
    SkippedStepsOnTensorFlow,
)
from remote_models.frameworks._streamed_save import ModelDescription, StreamedSave
from remote_models.frameworks._training import METRICS_GROUP, SEEDS_GROUP, Training

__all__ = ["Keras3Training"]

_SKIPPED = {"tensorflow": SkippedStepsOnTensorFlow, "jax": SkippedStepsOnJax}


class Keras3Training(Training):
    """A model of Keras 3 while it is trained."""

    def settle(self) -> None:
        if keras.backend.backend() == "jax":  # which keeps the state in its loop
            self.model.jax_state_sync()

    def stream(self) -> StreamedSave:
        self.settle()
        groups = [
            *record_state(self.model),
            _group(SEEDS_GROUP, self.seeds()),
            _group(METRICS_GROUP, self.metrics()),
        ]
        description = ModelDescription(
            name=self.model.name, variables=variable_paths(groups), architecture=None
        )
        return StreamedSave(file=stream_groups(groups), description=description)

    def build(self) -> None:
        if not self.model.built:
            raise ArgumentError(
                "this model has no variables yet", where="model", found=self.model.name,
                hint="Build it before fit(): with an Input, with build(), or by calling it once",
            )  # fmt: skip
        optimizer = self.model.optimizer
        if optimizer is not None and not optimizer.built:
            optimizer.build(self.model.trainable_variables)

    def load(self, path: Path) -> None:
        self.model.load_weights(path)

    def seeds(self) -> list[Any]:
        others = {id(each) for each in (*self.model.weights, *self.model.metrics_variables)}
        return [each for each in _unique(self.model.variables) if id(each) not in others]

    def metrics(self) -> list[Any]:
        return _unique(self.model.metrics_variables)

    def begin_at(self, epoch: int) -> None:
        self.model._initial_epoch = epoch  # noqa: SLF001 - see the module

    def begun(self) -> None:
        # Keras would start the next fit() there, too.
        self.model._initial_epoch = None  # noqa: SLF001

    def skip(self, steps: int, restore: Callable[[], None]) -> None:
        make = _SKIPPED.get(keras.backend.backend(), SkippedSteps)
        self.model.train_function = make(
            self.model, steps, lambda: self.model.steps_per_execution, restore
        )

    def is_chief(self) -> bool:
        backend = keras.backend.backend()
        if backend == "jax":
            return bool(sys.modules["jax"].process_index() == 0)
        if backend == "torch":
            distributed = sys.modules["torch"].distributed
            together = distributed.is_available() and distributed.is_initialized()
            return not together or bool(distributed.get_rank() == 0)
        if backend == "tensorflow":
            from remote_models.frameworks._tf_chief import is_chief

            return is_chief(self.model.distribute_strategy)
        return True


def _group(path: str, variables: Iterable[Any]) -> StateGroup:
    values = {str(number): HeldValue.of(each) for number, each in enumerate(variables)}
    return StateGroup(path=path, attributes={}, values=values, owner=None)


def _unique(variables: Iterable[Any]) -> list[Any]:
    return list({id(each): each for each in variables}.values())
