"""The tensors of a SavedModel of Keras 3, under the keys of a weights file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from remote_models.formats import shared_variables, state_key
from remote_models.frameworks._framework import TensorSpec, TensorStream
from remote_models.remote_model import RemoteModel
from remote_models.storage import Location, open_store

__all__ = ["state_in_folder", "state_stream"]


def state_stream(tensors: TensorStream, architecture: Mapping[str, Any]) -> TensorStream:
    """Return the model's state in a checkpoint's tensors, by the keys of a weights file.

    A variable that the model has in two places is stored in one, and offered in both.

    Args:
        tensors: The tensors by their keys in the checkpoint.
        architecture: The model's configuration, which knows those places.
    """
    stored = {key: each for each in tensors.keys if (key := state_key(each)) is not None}
    for key, other in shared_variables(architecture).items():
        if other in stored:
            stored.setdefault(key, stored[other])

    def read(wanted: Collection[str]) -> Iterator[tuple[str, Any]]:
        places: dict[str, list[str]] = {}
        for key in wanted:
            places.setdefault(stored[key], []).append(key)
        for found, array in tensors.read(list(places)):
            key, *others = places[found]
            for other in others:  # first, since the array itself may be taken over
                yield other, array.copy()
            yield key, array

    return TensorStream(
        specs={key: tensors.specs[found] for key, found in stored.items()},
        read=read,
        failures=tensors.failures,
    )


def state_in_folder(folder: Path, architecture: Mapping[str, Any]) -> TensorStream:
    """Return the state in a SavedModel on this machine, which was checked when it came.

    Raises:
        FormatError: the checkpoint is damaged.
    """
    location = Location.parse(folder)
    weights = RemoteModel.open(open_store(location), location, verify=False).weights
    names = {tensor.key: tensor.name for tensor in weights.values()}
    keys = {name: key for key, name in names.items()}

    def read(wanted: Collection[str]) -> Iterator[tuple[str, Any]]:
        for name, array in weights.stream([names[key] for key in wanted]):
            yield keys[name], array

    specs = {
        tensor.key: TensorSpec(shape=tensor.shape, dtype=tensor.dtype_name)
        for tensor in weights.values()
    }
    return state_stream(TensorStream(specs=specs, read=read), architecture)
