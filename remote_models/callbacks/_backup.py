"""The state of a training, from which it goes on after a kill."""

from __future__ import annotations

from typing import Any

from remote_models._api._arguments import URL, StorageOptions
from remote_models._api._model_files import ModelFiles
from remote_models._api._training_state import TrainingState, delete_training_state
from remote_models.callbacks._background import Saves
from remote_models.callbacks._backup_record import BackupRecord
from remote_models.callbacks._frequency import SaveFrequency
from remote_models.callbacks._hooks import Logs
from remote_models.callbacks._random_states import random_states, restore_random_states
from remote_models.callbacks._saving_hooks import SavingHooks
from remote_models.callbacks._values import to_numbers
from remote_models.storage import Location, TransferSettings, open_store

__all__ = ["BackupAndRestore"]

_NAME = "latest.weights.h5"
"""What Keras calls its own backup."""


class BackupAndRestore(SavingHooks):
    """Backs the state of a training up, and goes on from it when the same script runs again.

    The backup holds the weights, the optimizer, seed generators, metrics, the history, the
    states of Python's and NumPy's generators, and how many epochs and batches are done. It
    is replaced as a whole. After a kill the same script begins with the epoch, and behind
    the batch, that the backup knows: the batches before are read again, without training.
    With data that come in the same order in each run the result is that of a training
    which nobody has disturbed.

    On SIGTERM the state is backed up once more before the process ends.

    Attributes:
        location: Where the backup is.
        restored: What the training went on from, or ``None``.
        skipped: How many backups were left out since another one was under way.
    """

    def __init__(
        self,
        url: URL,
        *,
        save_freq: str | int = "epoch",
        delete_checkpoint: bool = True,
        asynchronous: bool = True,
        when_busy: str = "wait",
        patience: float = 300,
        is_chief: bool | None = None,
        storage_options: StorageOptions | None = None,
        transfer: TransferSettings | None = None,
    ) -> None:
        """Choose where and when; nothing is read or made yet.

        Args:
            url: A folder of the backup's own.
            save_freq: ``"epoch"``, or a number of batches.
            delete_checkpoint: Whether to delete the backup when training is done.
            asynchronous: Whether training goes on while a backup is sent.
            when_busy: What to do when a backup is due and the last one is still under
                way: ``"wait"`` for it, or ``"skip"`` the one that is due.
            patience: Seconds for which an unreachable store is asked again.
            is_chief: Whether this process saves, as in :class:`ModelCheckpoint`. All
                restore.
            storage_options: Arguments for the fsspec filesystem, as in pandas.
            transfer: As in ``open_model``.

        Raises:
            ArgumentError: an argument makes no sense.
        """
        super().__init__(
            saves=Saves(in_background=asynchronous, when_busy=when_busy, patience=patience),
            is_chief=is_chief,
        )
        self.location = Location.parse(url, storage_options).join(_NAME)
        self.restored: BackupRecord | None = None
        self.skipped = 0
        self._transfer = transfer
        self._store = open_store(self.location, transfer)
        self._frequency = SaveFrequency(save_freq)
        self._deletes = delete_checkpoint
        self._state: TrainingState | None = None
        self._begin()

    def _begin(self) -> None:
        self._done = 0, 0
        self._skipping = 0
        self._epochs: list[int] = []
        self._history: dict[str, list[float]] = {}
        self._random_states: dict[str, Any] = {}

    def prepare(self) -> None:
        self._begin()
        self.restored = None
        self.training.build()
        self._state = TrainingState.find(self._store, self.location)
        if self._state is None:
            return
        record = BackupRecord.from_json(
            self._state.metadata.get("backup"), where=str(self.location)
        )
        self._state.load(self.training)
        self._state.load_seeds(self.training)
        self.training.begin_at(record.epoch)
        self.restored = record
        self._done = record.epoch, record.batch
        self._epochs = list(record.epochs)
        self._history = {name: list(values) for name, values in record.history.items()}

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        super().on_epoch_begin(epoch, logs)
        self._frequency.begin_epoch()
        if self._state is not None and self.restored is not None:
            self._go_on(self._state, self.restored)
            self._state = None
        self._done = epoch, self._skipping
        self._random_states = random_states()

    def _go_on(self, state: TrainingState, record: BackupRecord) -> None:
        self.training.begun()
        self._restore_history()
        restore_random_states(record.random_states)
        if record.batch:
            self._skipping = record.batch
            self._frequency.begin_epoch(record.batch)
            self.training.skip(record.batch, lambda: self._restore_all(state))

    def _restore_all(self, state: TrainingState) -> None:
        self.training.settle()
        state.load(self.training)
        state.load_seeds(self.training)
        state.load_metrics(self.training)

    def _restore_history(self) -> None:
        history = getattr(self.model, "history", None)
        if history is not None:
            history.epoch = list(self._epochs)
            history.history = {name: list(values) for name, values in self._history.items()}

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if batch < self._skipping:
            return
        self._skipping = 0
        self._done = self._done[0], batch + 1
        if self._is_chief and self._frequency.is_due(batch):
            self._save()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._saves.check()
        self._skipping = 0
        self._epochs.append(epoch)
        for name, value in to_numbers(logs).items():
            self._history.setdefault(name, []).append(value)
        self._done = epoch + 1, 0
        self._random_states = random_states()
        if self._is_chief and self._frequency.is_each_epoch:
            self._save()

    def on_train_end(self, logs: Logs = None) -> None:
        if self._state is not None:  # there was nothing left to do
            self._state = None
            self.training.begun()
            self._restore_history()
        super().on_train_end(logs)
        if self._is_chief and self._deletes:
            delete_training_state(self._store, self.location)

    def secure(self, batch: int) -> None:
        if batch >= self._skipping:
            self._saves.finish()
            self._start()

    def _save(self) -> None:
        if self._saves.make_way():
            self._start()
        else:
            self.skipped += 1

    def _start(self) -> None:
        record = BackupRecord(
            epoch=self._done[0],
            batch=self._done[1],
            epochs=list(self._epochs),
            history={name: list(values) for name, values in self._history.items()},
            random_states=self._random_states,
        )
        files = ModelFiles.of_training(self.training).frozen()

        def save() -> None:
            self._store.make_directory(self.location.parent)
            files.publish(
                self.location,
                overwrite=True,
                metadata={"backup": record.to_json()},
                transfer=self._transfer,
                progress=False,
            )

        self._saves.start(save)
