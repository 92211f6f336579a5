"""Legacy HDF5 files of Keras, laid out before a byte of a tensor exists.

Layout: legacy_h5_format.py (Keras 3.3 to 3.15), hdf5_format.py (tf_keras 2.16 to 2.21).
It is what Keras 2 has written since 2017, and both generations still write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from remote_models.formats._hdf5_layout import Hdf5Layout
from remote_models.formats._streamed_file import DelayedTensor, StreamedFile

if TYPE_CHECKING:
    import h5py

__all__ = ["LegacyWeights", "legacy_model_file", "legacy_weights_file"]

_MAX_ATTRIBUTE = 64_512
"""Bytes of one attribute. HDF5 takes 64 kB with all that describes it."""

_WEIGHT_NAMES = "weight_names"


@dataclass(frozen=True, kw_only=True, slots=True)
class LegacyWeights:
    """The weights of a model, each named as its dataset is to be.

    Attributes:
        layers: The name of each layer and its weights, in the model's order.
        own: Those of the model itself.
        versions: ``backend`` and ``keras_version``.
    """

    layers: Sequence[tuple[str, Sequence[DelayedTensor]]]
    own: Sequence[DelayedTensor]
    versions: Mapping[str, str]


def legacy_weights_file(weights: LegacyWeights) -> StreamedFile:
    """Return a file of weights alone."""
    with Hdf5Layout() as layout:
        _add_weights(layout, layout.root, weights)
    return layout.file()


def legacy_model_file(
    attributes: Mapping[str, str | bytes],
    weights: LegacyWeights,
    optimizer: Sequence[DelayedTensor],
) -> StreamedFile:
    """Return the file of a whole model.

    Args:
        attributes: Its configuration, by the names of the file's attributes.
        weights: Its weights.
        optimizer: The variables of its optimizer; without any the file has no group for them.
    """
    with Hdf5Layout() as layout:
        for name, value in attributes.items():
            layout.root.attrs[name] = value
        _add_weights(layout, layout.root.create_group("model_weights"), weights)
        if optimizer:
            _add_tensors(layout, layout.root.create_group("optimizer_weights"), optimizer)
    return layout.file()


def _add_weights(layout: Hdf5Layout, group: h5py.Group, weights: LegacyWeights) -> None:
    _add_names(group, "layer_names", [name for name, _ in weights.layers])
    for name, value in weights.versions.items():
        group.attrs[name] = value.encode()
    for name, tensors in sorted(weights.layers, key=lambda layer: layer[0]):
        _add_tensors(layout, group.create_group(name), tensors)
    _add_tensors(layout, group.create_group("top_level_model_weights"), weights.own)


def _add_tensors(layout: Hdf5Layout, group: h5py.Group, tensors: Sequence[DelayedTensor]) -> None:
    _add_names(group, _WEIGHT_NAMES, [tensor.name for tensor in tensors])
    for tensor in tensors:
        layout.add(group, tensor.name, tensor)


def _add_names(group: h5py.Group, attribute: str, names: Sequence[str]) -> None:
    texts = [name.encode() for name in names]
    parts = _split(np.asarray(texts))
    if len(parts) == 1:
        group.attrs[attribute] = texts  # of variable length, unlike the parts
        return
    for number, part in enumerate(parts):
        group.attrs[f"{attribute}{number}"] = part


def _split(names: np.ndarray[Any, Any]) -> Sequence[np.ndarray[Any, Any]]:
    """Split a list into the fewest parts of about one length that each fit an attribute."""
    for count in range(1, len(names)):
        parts = np.array_split(names, count)
        if all(part.nbytes <= _MAX_ATTRIBUTE for part in parts):
            return parts
    return np.array_split(names, max(len(names), 1))
