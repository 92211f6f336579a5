"""The formats that an artifact can have, and what recognition says of one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Format", "Recognition"]


class Format(StrEnum):
    """What the bytes of an artifact mean. The values stand in manifests."""

    SAVED_MODEL = "saved_model"
    """A directory with ``saved_model.pb``, as TensorFlow writes it."""

    KERAS = "keras"
    """A ``.keras`` zip archive: configuration and weights."""

    KERAS_DIRECTORY = "keras_directory"
    """The members of a ``.keras`` archive as a directory (``zipped=False``)."""

    H5 = "h5"
    """A whole model in Keras' legacy HDF5 layout."""

    H5_WEIGHTS = "h5_weights"
    """Weights in Keras' legacy HDF5 layout, without the architecture."""

    KERAS_WEIGHTS = "keras_weights"
    """A ``.weights.h5`` file."""

    SHARDED_WEIGHTS = "sharded_weights"
    """A ``.weights.json`` map and the ``.weights.h5`` shards that it names."""

    CHECKPOINT = "tf_checkpoint"
    """A TensorFlow checkpoint: ``PREFIX.index`` and ``PREFIX.data-…``."""

    ARCHITECTURE = "architecture"
    """A model's configuration as JSON, without weights."""

    @property
    def is_model(self) -> bool:
        """Whether a whole model can be loaded from it."""
        return self in _MODELS

    @property
    def description(self) -> str:
        """The format's name in a sentence."""
        return _DESCRIPTIONS[self]


_MODELS = {Format.SAVED_MODEL, Format.KERAS, Format.KERAS_DIRECTORY, Format.H5}

_DESCRIPTIONS = {
    Format.SAVED_MODEL: "a SavedModel directory",
    Format.KERAS: "a .keras archive",
    Format.KERAS_DIRECTORY: "an unpacked .keras directory",
    Format.H5: "a whole Keras model in HDF5",
    Format.H5_WEIGHTS: "Keras weights in HDF5, without the architecture",
    Format.KERAS_WEIGHTS: "a Keras .weights.h5 file, without the architecture",
    Format.SHARDED_WEIGHTS: "sharded Keras weights, without the architecture",
    Format.CHECKPOINT: "a TensorFlow checkpoint, without the architecture",
    Format.ARCHITECTURE: "a Keras architecture in JSON, without weights",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Recognition:
    """What the bytes of an artifact turned out to be.

    Attributes:
        format: The format.
        generation: Which Keras wrote it: 2 (``tf_keras``, or Keras up to 2.15), 3,
            or ``None`` when the bytes do not tell or no Keras was involved.
        keras_version: The version of Keras that wrote it, where the bytes tell.
        has_keras_metadata: False for a SavedModel that holds a graph but no Keras
            model.
    """

    format: Format
    generation: int | None = None
    keras_version: str | None = None
    has_keras_metadata: bool = True

    @property
    def title(self) -> str:
        """What it is, in words that fit into a sentence."""
        if not self.has_keras_metadata:
            return f"{self.format.description} without Keras metadata"
        if self.keras_version:
            return f"{self.format.description}, written by Keras {self.keras_version}"
        return self.format.description
