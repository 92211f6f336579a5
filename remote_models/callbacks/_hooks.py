"""What the training loops of Keras 3 and of tf_keras call.

Both take any object that has the methods of their ``Callback``; so one object serves the
two, and none of them is imported for it. Beside the documented hooks tf_keras 2.21 asks for
``_supports_tf_logs`` and for what is of batches (``CallbackList`` in its callbacks.py), and
Keras 3.15 for ``async_safe`` (``CallbackList._configure_async_dispatch``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Logs", "TrainingHooks"]

Logs = Mapping[str, Any] | None


class TrainingHooks:
    """A callback that does nothing, for Keras 3 and for tf_keras.

    Attributes:
        params: What the loop tells of itself.
        model: The model that is trained.
        async_safe: Whether Keras may call the end of a batch from another thread.
    """

    async_safe = False

    _supports_tf_logs = True
    """tf_keras: the logs of a step need not be fetched from the device for this one."""

    def __init__(self) -> None:
        self.params: Mapping[str, Any] = {}
        self.model: Any = None

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Take what the loop tells of itself."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Take the model that is trained."""
        self.model = model

    def on_train_begin(self, logs: Logs = None) -> None:
        """Hear that a training begins."""

    def on_train_end(self, logs: Logs = None) -> None:
        """Hear that a training has come to its end."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Hear that an epoch begins, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Hear that an epoch has ended, validation included."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Hear that a batch begins, counted from 0 in its epoch."""

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Hear that a batch has ended, the last one of those that are done at once."""

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Hear the same as ``on_train_batch_begin``."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Hear the same as ``on_train_batch_end``."""

    def on_test_begin(self, logs: Logs = None) -> None:
        """Hear that an evaluation begins."""

    def on_test_end(self, logs: Logs = None) -> None:
        """Hear that an evaluation has ended."""

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Hear that a batch of an evaluation begins."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Hear that a batch of an evaluation has ended."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Hear that a prediction begins."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """Hear that a prediction has ended."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Hear that a batch of a prediction begins."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Hear that a batch of a prediction has ended."""

    def _implements_train_batch_hooks(self) -> bool:
        return True

    def _implements_test_batch_hooks(self) -> bool:
        return False

    def _implements_predict_batch_hooks(self) -> bool:
        return False

    # As Keras marks its own hooks that do nothing (``utils.default``): where one of these
    # is not marked, it waits for the numbers of every batch.
    on_test_batch_end._is_default = True  # type: ignore[attr-defined]  # noqa: SLF001
    on_predict_batch_end._is_default = True  # type: ignore[attr-defined]  # noqa: SLF001
    on_batch_end._is_default = True  # type: ignore[attr-defined]  # noqa: SLF001
