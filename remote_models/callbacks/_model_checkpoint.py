"""Versions of a model while it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remote_models._api._arguments import URL, StorageOptions, model_format
from remote_models._api._model_files import ModelFiles
from remote_models.callbacks._background import Saves
from remote_models.callbacks._frequency import SaveFrequency
from remote_models.callbacks._hooks import Logs
from remote_models.callbacks._monitor import Monitor
from remote_models.callbacks._saving_hooks import SavingHooks
from remote_models.callbacks._values import to_json, to_numbers
from remote_models.errors import ArgumentError
from remote_models.frameworks import SaveOptions
from remote_models.repository import Repository, Version
from remote_models.storage import TransferSettings

__all__ = ["ModelCheckpoint"]


class ModelCheckpoint(SavingHooks):
    """Saves the model as the next version of a :class:`Repository` while it is trained.

    The state is copied to host memory, and training goes on while it is sent. A version
    appears whole or not at all, and ``latest`` moves to it after that. A save that fails
    makes the next step, or ``fit`` at its end, raise what was wrong.

    Each version's metadata has ``epoch`` (from 1, as Keras prints it), ``step`` (of the
    optimizer), ``batch`` (done in this epoch, unless it has ended) and ``metrics``.

    Attributes:
        repository: Where the versions are.
        last_version: The version that was saved last by this callback.
        skipped: How many saves were left out since another one was under way.
    """

    def __init__(
        self,
        url: URL,
        monitor: str = "val_loss",
        *,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
        save_format: str = "keras",
        keep_last: int | None = None,
        keep_best: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        asynchronous: bool = True,
        when_busy: str = "wait",
        patience: float = 300,
        is_chief: bool | None = None,
        storage_options: StorageOptions | None = None,
        transfer: TransferSettings | None = None,
    ) -> None:
        """Choose what to save, where and when; nothing is read or made yet.

        Args:
            url: The repository's URL.
            monitor: The metric that tells the best versions, as in ``logs``.
            save_best_only: Save only what is better than all versions before, those of
                earlier runs included, which are read from the manifests.
            save_weights_only: Save ``N/model.weights.h5`` instead of the whole model.
            mode: ``"min"`` or ``"max"``; ``"auto"`` goes by the metric's name.
            save_freq: ``"epoch"``, or a number of batches.
            initial_value_threshold: What the first version has to be better than.
            save_format: As in ``Repository.save``. A SavedModel (``"tf"``) is written to
                the temporary directory before training goes on.
            keep_last: After each save, delete all but so many of the newest versions.
            keep_best: After each save, keep the versions with the best ``monitor``.
            metadata: A JSON object of your own for each version.
            asynchronous: Whether training goes on while a version is sent.
            when_busy: What to do when a save is due and the last one is still under way:
                ``"wait"`` for it, or ``"skip"`` the one that is due. If the last save of
                a training was skipped, it is made at the end.
            patience: Seconds for which an unreachable store is asked again.
            is_chief: Whether this process saves, of all that train the model together.
                By default that is found out (``tf.distribute``, JAX, torch).
            storage_options: Arguments for the fsspec filesystem, as in pandas.
            transfer: As in ``open_model``.

        Raises:
            ArgumentError: an argument makes no sense.
        """
        super().__init__(
            saves=Saves(in_background=asynchronous, when_busy=when_busy, patience=patience),
            is_chief=is_chief,
        )
        self.repository = Repository(url, storage_options=storage_options, transfer=transfer)
        self.last_version: Version | None = None
        self.skipped = 0
        self._saves_best_only = save_best_only
        needs_mode = save_best_only or keep_best is not None
        self._monitor = Monitor(
            monitor, mode if needs_mode or mode != "auto" else "min", initial_value_threshold
        )
        self._frequency = SaveFrequency(save_freq)
        self.async_safe = self._frequency.is_each_epoch
        self._weights_only = save_weights_only
        self._format = model_format(self.repository.location.join("1"), save_format)
        self._keep_last = _count("keep_last", keep_last)
        self._keep_best = _count("keep_best", keep_best)
        self._metadata = dict(metadata or {})
        self._epoch = 0
        self._missed: dict[str, Any] | None = None

    @property
    def best(self) -> float | None:
        """The best value of the metric so far, or ``None``."""
        return self._monitor.best

    def prepare(self) -> None:
        self._missed = None
        if self._is_chief and self._saves_best_only:
            self._monitor.remember(version.metadata for version in self.repository.versions())

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._epoch = epoch
        self._frequency.begin_epoch()

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if self._is_chief and self._frequency.is_due(batch):
            self._save(logs, batch=batch + 1)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._saves.check()
        if self._is_chief and self._frequency.is_each_epoch:
            self._save(logs)

    def on_train_end(self, logs: Logs = None) -> None:
        try:
            if self._missed is not None:
                self._saves.finish()
                self._start(self._missed)
        finally:
            super().on_train_end(logs)

    def _save(self, logs: Logs, *, batch: int | None = None) -> None:
        values = to_numbers(logs)
        if self._saves_best_only and not self._monitor.is_better(values):
            return
        self.training.settle()
        metadata = self._describe(values, batch)
        if self._saves.make_way():
            self._start(metadata)
        else:
            self.skipped += 1
            self._missed = metadata

    def _start(self, metadata: Mapping[str, Any]) -> None:
        self._missed = None
        self.training.settle()
        files = self._files().frozen()

        def save() -> None:
            self.last_version = self.repository.save_files(files, metadata=metadata, progress=False)
            files.close()
            self._prune(metadata)

        self._saves.start(save)

    def _files(self) -> ModelFiles:
        if self._weights_only:
            return ModelFiles.of_weights(self.model)
        return ModelFiles.of_model(self.model, self._format, SaveOptions())

    def _describe(self, values: Mapping[str, float], batch: int | None) -> dict[str, Any]:
        metadata = {
            **self._metadata,
            "epoch": self._epoch + 1,
            "metrics": {name: to_json(value) for name, value in values.items()},
        }
        if batch is not None:
            metadata["batch"] = batch
        iterations = getattr(self.model.optimizer, "iterations", None)
        if iterations is not None:
            metadata["step"] = int(iterations)
        return metadata

    def _prune(self, metadata: Mapping[str, Any]) -> None:
        if self._keep_last is None and self._keep_best is None:
            return
        monitor = self._monitor
        has_metric = isinstance(metadata["metrics"].get(monitor.metric), float)
        best = (monitor.metric, monitor.mode, self._keep_best)
        if self._keep_best is not None and has_metric:
            self.repository.prune(
                keep_last=self._keep_last, keep_best=(best[0], best[1], self._keep_best)
            )
        elif self._keep_best is None:
            self.repository.prune(keep_last=self._keep_last)


def _count(where: str, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ArgumentError(
            "not a count", where=where, expected="a whole number from 1 on", found=repr(value)
        )
    return value
