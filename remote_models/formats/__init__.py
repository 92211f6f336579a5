"""What the bytes of an artifact mean. Knows files and tensors, no Keras and no TensorFlow."""

from remote_models.formats._format import Format, Recognition
from remote_models.formats._json import shard_names
from remote_models.formats._recognition import recognise_directory, recognise_file
from remote_models.formats._saved_model import (
    EXTRA_FOLDER,
    SAVED_CONFIG,
    SHARED_VARIABLES,
    STATE,
    shared_variables,
    state_key,
)

__all__ = [
    "EXTRA_FOLDER",
    "SAVED_CONFIG",
    "SHARED_VARIABLES",
    "STATE",
    "Format",
    "Recognition",
    "recognise_directory",
    "recognise_file",
    "shard_names",
    "shared_variables",
    "state_key",
]
