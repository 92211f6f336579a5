"""What other callbacks write on this machine, kept in a store."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from remote_models._api._arguments import URL, StorageOptions
from remote_models.callbacks._background import Saves
from remote_models.callbacks._hooks import Logs
from remote_models.callbacks._saving_hooks import SavingHooks
from remote_models.callbacks._synced_files import SyncedFiles
from remote_models.storage import Location, TransferSettings, open_store

__all__ = ["SyncDirectory"]


class SyncDirectory(SavingHooks):
    """Sends what grows in a local folder, such as the files of ``TensorBoard`` and ``CSVLogger``.

    After each epoch, and at the end of a training, each file that is new or has changed
    appears in the store, whole or not at all, under the same name. Files that have not
    changed do not travel again, in another process neither: ``remote_models_sync.json``
    beside them tells what has been sent. Of a file that has grown S3 copies the beginning
    by itself. What is deleted here stays there; links are not followed. Put it behind the
    callbacks that write the files. One process at a time may send to one URL.

    Attributes:
        location: Where the files go.
    """

    def __init__(
        self,
        local_dir: str | PathLike[str],
        url: URL,
        *,
        asynchronous: bool = True,
        patience: float = 300,
        is_chief: bool | None = None,
        storage_options: StorageOptions | None = None,
        transfer: TransferSettings | None = None,
    ) -> None:
        """Choose the folder and where it goes; nothing is read or made yet.

        Args:
            local_dir: A folder of this machine; it need not be there yet.
            url: The folder in the store.
            asynchronous: Whether training goes on while files are sent.
            patience: Seconds for which an unreachable store is asked again.
            is_chief: As for ``ModelCheckpoint``.
            storage_options: Arguments for the fsspec filesystem, as in pandas.
            transfer: As in ``open_model``.

        Raises:
            ArgumentError: an argument makes no sense.
        """
        super().__init__(
            saves=Saves(in_background=asynchronous, when_busy="wait", patience=patience),
            is_chief=is_chief,
        )
        self.location = Location.parse(url, storage_options)
        self._files = SyncedFiles(
            Path(local_dir), open_store(self.location, transfer), self.location
        )

    def sync(self) -> list[str]:
        """Send what is new or has changed, and return its paths in the folder.

        Call it by hand where there is no training.

        Raises:
            StorageError: the store refused or failed; what was sent is not sent again.
        """
        self._saves.finish()
        return self._files.send()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._saves.check()
        if self._is_chief and self._saves.make_way():
            self._saves.start(self._send)

    def on_train_end(self, logs: Logs = None) -> None:
        try:
            if self._is_chief:
                self._saves.finish()
                self._saves.start(self._send)
        finally:
            super().on_train_end(logs)

    def secure(self, batch: int) -> None:
        if self._saves.make_way():
            self._saves.start(self._send)

    def _send(self) -> None:
        self._files.send()
