"""Files that are made while they are read; apart from the package since they need NumPy."""

from remote_models.formats._hdf5_layout import Hdf5Layout
from remote_models.formats._keras_archive import CONFIG, METADATA
from remote_models.formats._keras_archive_file import KerasArchiveFile
from remote_models.formats._legacy_hdf5_file import (
    LegacyWeights,
    legacy_model_file,
    legacy_weights_file,
)
from remote_models.formats._streamed_file import DelayedTensor, StreamedFile

__all__ = [
    "CONFIG",
    "METADATA",
    "DelayedTensor",
    "Hdf5Layout",
    "KerasArchiveFile",
    "LegacyWeights",
    "StreamedFile",
    "legacy_model_file",
    "legacy_weights_file",
]
