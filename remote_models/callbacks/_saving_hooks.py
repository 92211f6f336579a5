"""What the callbacks that save have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from remote_models.callbacks._background import Saves
from remote_models.callbacks._hooks import Logs, TrainingHooks
from remote_models.callbacks._preemption import Preemption
from remote_models.errors import ArgumentError
from remote_models.frameworks import framework_of

if TYPE_CHECKING:
    from remote_models.frameworks import Training

__all__ = ["SavingHooks"]

_LOOP = 2
"""Calls from a hook of ours up to the loop: the method here, and Keras' list of callbacks."""


class SavingHooks(TrainingHooks):
    """A callback that saves in the background, on the chief alone.

    What goes wrong there is raised by the next hook, and so by ``fit``.
    """

    def __init__(self, *, saves: Saves, is_chief: bool | None) -> None:
        super().__init__()
        if is_chief is not None and not isinstance(is_chief, bool):
            raise ArgumentError("neither true nor false", where="is_chief", found=repr(is_chief))
        self._saves = saves
        self._chosen = is_chief
        self._is_chief = False
        self._preemption = Preemption()
        self._training: Training | None = None

    @property
    def training(self) -> Training:
        """The model that is trained, as its framework has it."""
        if self._training is None:
            raise ArgumentError(
                "no training has begun", where="on_train_begin",
                hint="Pass the callback to fit(), or call set_model() and on_train_begin()",
            )  # fmt: skip
        return self._training

    def on_train_begin(self, logs: Logs = None) -> None:
        self._training = framework_of(self.model).training(self.model)
        self._is_chief = self._training.is_chief() if self._chosen is None else self._chosen
        self.prepare()
        if self._is_chief:
            self._preemption.watch(_LOOP)

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._saves.check()

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._saves.check()
        if self._preemption.is_due:
            try:
                self.secure(batch)
                self._saves.finish()
            finally:
                self._preemption.give_way()

    def on_train_end(self, logs: Logs = None) -> None:
        self._preemption.stop()
        self._saves.close()

    def prepare(self) -> None:
        """Do what is to be done before the first step."""

    def secure(self, batch: int) -> None:
        """Save what is not saved yet, before the process is ended in this batch."""
