"""Training with tf_keras.

The only place that touches what its loop keeps private: ``_training_state`` of a model,
which tf_keras' own ``BackupAndRestore`` sets and ``fit`` asks where to begin,
``_steps_per_execution``, and the ``_random_generator`` of layers. Tried with tf_keras 2.21;
tests/callbacks fails where a loop no longer asks for them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from remote_models.errors import ArgumentError
from remote_models.frameworks._skipped_steps import SkippedStepsOnTensorFlow
from remote_models.frameworks._streamed_save import ModelDescription, StreamedSave
from remote_models.frameworks._tf_chief import is_chief
from remote_models.frameworks._tf_keras_saving import stream_weights
from remote_models.frameworks._training import METRICS_GROUP, SEEDS_GROUP, Training

__all__ = ["TFKerasTraining"]


class TFKerasTraining(Training):
    """A model of tf_keras while it is trained."""

    def __init__(self, model: Any, describe: Callable[[Any], ModelDescription]) -> None:
        super().__init__(model)
        self._describe = describe

    def settle(self) -> None:
        """The variables always have them."""

    def stream(self) -> StreamedSave:
        file = stream_weights(
            self.model, {SEEDS_GROUP: self.seeds(), METRICS_GROUP: self.metrics()}
        )
        return StreamedSave(file=file, description=self._describe(self.model))

    def build(self) -> None:
        if not self.model.built:
            raise ArgumentError(
                "this model has no variables yet", where="model", found=self.model.name,
                hint="Build it before fit(): with an Input, with build(), or by calling it once",
            )  # fmt: skip
        optimizer = self.model.optimizer
        if hasattr(optimizer, "build"):  # the legacy ones make slots with the first step
            optimizer.build(self.model.trainable_variables)

    def load(self, path: Path) -> None:
        self.model.load_weights(path)

    def seeds(self) -> list[Any]:
        # Without a generator, which is tf_keras' default, the state is TensorFlow's own.
        kept = [getattr(each, "_random_generator", None) for each in self.model.submodules]
        generators = [getattr(each, "_generator", None) for each in kept]
        return [each.state for each in generators if isinstance(each, tf.random.Generator)]

    def metrics(self) -> list[Any]:
        return [variable for metric in self.model.metrics for variable in metric.variables]

    def begin_at(self, epoch: int) -> None:
        self.model._training_state = _Start(epoch)  # noqa: SLF001 - see the module

    def begun(self) -> None:
        self.model._training_state = None  # noqa: SLF001

    def skip(self, steps: int, restore: Callable[[], None]) -> None:
        self.model.train_function = SkippedStepsOnTensorFlow(
            self.model, steps, self._steps_at_once, restore
        )

    def _steps_at_once(self) -> int:
        return int(self.model._steps_per_execution)  # noqa: SLF001

    def is_chief(self) -> bool:
        return is_chief(self.model.distribute_strategy)


class _Start:
    """What ``fit`` asks for the epoch and step to begin with."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch

    def maybe_load_initial_counters_from_ckpt(
        self, steps_per_epoch: int | None, initial_epoch: int, mode: str
    ) -> tuple[int, int]:
        return self._epoch, 0
