"""Save Keras and TensorFlow models straight to object storage and load them back.

The same calls serve local paths, ``file://``, ``memory://``, ``s3://`` and
``gs://``. Importing this package imports no framework, no h5py and no client of a
store; each is imported when it is needed.
"""

from typing import TYPE_CHECKING

from remote_models._api import (
    GarbageReport,
    Leftover,
    ModelListing,
    ModelResult,
    UnverifiedModelWarning,
    adopt_model,
    adopt_models,
    collect_garbage,
    copy_model,
    copy_models,
    diff_models,
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
    sign_model,
    verify_model,
    verify_models,
)
from remote_models._version import __version__
from remote_models.frameworks import InferenceOnlyWarning
from remote_models.manifest import FileEntry, Manifest
from remote_models.remote_model import (
    Change,
    FileMismatch,
    ModelDiff,
    RemoteModel,
    TensorDiff,
    TensorForm,
    VerifyReport,
)
from remote_models.repository import PruneReport, Repository, Version, prune_repositories
from remote_models.storage import (
    RetryPolicy,
    TransferProgress,
    TransferSettings,
    UnconditionalStoreWarning,
)

if TYPE_CHECKING:
    from remote_models._api._export import export_weights
    from remote_models._api._runtimes import load_runtime
    from remote_models.remote_model import RemoteTensor, Weights
else:

    def __getattr__(name: str) -> object:
        """Import what needs NumPy when it is asked for: that takes 0.1 s."""
        if name == "export_weights":
            from remote_models._api._export import export_weights

            return export_weights
        if name == "load_runtime":
            from remote_models._api._runtimes import load_runtime

            return load_runtime
        if name in ("RemoteTensor", "Weights"):
            from remote_models import remote_model

            return getattr(remote_model, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "Change",
    "FileEntry",
    "FileMismatch",
    "GarbageReport",
    "InferenceOnlyWarning",
    "Leftover",
    "Manifest",
    "ModelDiff",
    "ModelListing",
    "ModelResult",
    "PruneReport",
    "RemoteModel",
    "RemoteTensor",
    "Repository",
    "RetryPolicy",
    "TensorDiff",
    "TensorForm",
    "TransferProgress",
    "TransferSettings",
    "UnconditionalStoreWarning",
    "UnverifiedModelWarning",
    "VerifyReport",
    "Version",
    "Weights",
    "__version__",
    "adopt_model",
    "adopt_models",
    "collect_garbage",
    "copy_model",
    "copy_models",
    "diff_models",
    "export_weights",
    "list_models",
    "load_architecture",
    "load_model",
    "load_runtime",
    "load_weights",
    "open_model",
    "prune_repositories",
    "pull_model",
    "push_model",
    "save_architecture",
    "save_model",
    "save_weights",
    "sign_model",
    "verify_model",
    "verify_models",
]
