"""Save Keras and TensorFlow models straight to object storage and load them back.

The same calls serve local paths, ``file://``, ``memory://``, ``s3://`` and
``gs://``. Importing this package imports no framework, no h5py and no client of a
store; each is imported when it is needed.
"""

from remote_models._api import (
    ModelListing,
    UnverifiedModelWarning,
    adopt_model,
    list_models,
    load_architecture,
    load_model,
    load_weights,
    open_model,
    pull_model,
    push_model,
    save_architecture,
    save_model,
    save_weights,
    verify_model,
)
from remote_models._version import __version__
from remote_models.manifest import FileEntry, Manifest
from remote_models.remote_model import FileMismatch, RemoteModel, VerifyReport
from remote_models.storage import TransferProgress

__all__ = [
    "FileEntry",
    "FileMismatch",
    "Manifest",
    "ModelListing",
    "RemoteModel",
    "TransferProgress",
    "UnverifiedModelWarning",
    "VerifyReport",
    "__version__",
    "adopt_model",
    "list_models",
    "load_architecture",
    "load_model",
    "load_weights",
    "open_model",
    "pull_model",
    "push_model",
    "save_architecture",
    "save_model",
    "save_weights",
    "verify_model",
]
