"""An opened artifact: its manifest, its files, its lazy weights."""

from typing import TYPE_CHECKING, Any

from remote_models.remote_model._discovery import (
    find_files,
    find_manifest,
    manifest_location,
    parse_stored_manifest,
    read_stored_manifest,
)
from remote_models.remote_model._folder import ArtifactFolder
from remote_models.remote_model._model import RemoteModel
from remote_models.remote_model._model_diff import Change, ModelDiff, TensorDiff, TensorForm
from remote_models.remote_model._signed import has_signature, refuse_links, signature_location
from remote_models.remote_model._verify import FileMismatch, VerifyReport
from remote_models.remote_model._whole_reading import WholeReading

if TYPE_CHECKING:
    from remote_models.remote_model._weights import RemoteTensor, TensorSelector, Weights

__all__ = [
    "ArtifactFolder",
    "Change",
    "FileMismatch",
    "ModelDiff",
    "RemoteModel",
    "RemoteTensor",
    "TensorDiff",
    "TensorForm",
    "TensorSelector",
    "VerifyReport",
    "Weights",
    "WholeReading",
    "find_files",
    "find_manifest",
    "has_signature",
    "manifest_location",
    "parse_stored_manifest",
    "read_stored_manifest",
    "refuse_links",
    "signature_location",
]


def __getattr__(name: str) -> Any:
    """Import the lazy weights when they are asked for: they need NumPy, which takes 0.2 s."""
    if name in ("RemoteTensor", "TensorSelector", "Weights"):
        from remote_models.remote_model import _weights

        return getattr(_weights, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
