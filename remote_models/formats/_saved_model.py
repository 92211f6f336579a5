"""Where a SavedModel directory keeps what Keras knows of the model.

Keras 2 adds a file of its own from TensorFlow 2.5 on. For Keras 3 this library uses the folder
``assets.extra``, which the format keeps for files that no graph reads
(tensorflow/cc/saved_model/constants.h): in it lies what a ``.keras`` archive holds
beside its weights, under the same names. The weights lie in the SavedModel's own
checkpoint, below the root's child ``keras``, under the keys of a ``.weights.h5``: so
layers that load their state from such a file load it from here too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from remote_models.formats._keras_archive import CONFIG, METADATA

__all__ = [
    "EXTRA_FOLDER",
    "KERAS_2_METADATA",
    "SAVED_CONFIG",
    "SAVED_METADATA",
    "SAVED_MODEL",
    "SHARED_VARIABLES",
    "STATE",
    "holds_keras_3",
    "shared_variables",
    "state_key",
]

EXTRA_FOLDER = "assets.extra/keras"

SAVED_CONFIG = f"{EXTRA_FOLDER}/{CONFIG}"

SAVED_METADATA = f"{EXTRA_FOLDER}/{METADATA}"

SAVED_MODEL = "saved_model.pb"

KERAS_2_METADATA = "keras_metadata.pb"
"""Of TensorFlow 2.5 and later; before, ``saved_model.pb`` held what is in it."""

STATE = "keras"
"""The child of the checkpoint's root below which the state lies."""

SHARED_VARIABLES = "shared_variables"
"""A member that the configuration gets where it is needed: keys that stand for a
variable stored under another key. A checkpoint holds each variable once."""

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
"""The end of a variable's key (tensorflow/python/trackable/trackable_utils.py)."""


def holds_keras_3(names: Collection[str]) -> bool:
    """Whether a SavedModel with these files holds the configuration of a Keras 3 model."""
    return SAVED_CONFIG in names and KERAS_2_METADATA not in names


def state_key(key: str) -> str | None:
    """Return the key in a ``.weights.h5`` of a variable with this key in the checkpoint.

    Returns:
        The key, or ``None`` for what is no part of the model's state.

    >>> state_key("keras/layers/dense/vars/0/.ATTRIBUTES/VARIABLE_VALUE")
    'layers/dense/vars/0'
    """
    if not key.startswith(f"{STATE}/") or not key.endswith(_VALUE):
        return None
    return key.removeprefix(f"{STATE}/").removesuffix(_VALUE).replace("..", ".")


def shared_variables(architecture: Mapping[str, Any]) -> dict[str, str]:
    """Return the keys of variables that are stored under another key, and that key."""
    found = architecture.get(SHARED_VARIABLES)
    if not isinstance(found, Mapping):
        return {}
    return {key: other for key, other in found.items() if isinstance(other, str)}
