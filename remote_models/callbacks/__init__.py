"""Callbacks for training with Keras 3 and tf_keras, which save while training goes on."""

from remote_models.callbacks._backup import BackupAndRestore
from remote_models.callbacks._model_checkpoint import ModelCheckpoint
from remote_models.callbacks._sync_directory import SyncDirectory

__all__ = ["BackupAndRestore", "ModelCheckpoint", "SyncDirectory"]
