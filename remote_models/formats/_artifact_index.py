"""The index of a whole artifact, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import IO, Any

from remote_models.errors import IncompleteModelError
from remote_models.formats._architecture import architecture_of_json
from remote_models.formats._format import Format, Recognition
from remote_models.formats._hdf5_index import Index, index_hdf5
from remote_models.formats._hdf5_walk import Skipped
from remote_models.formats._keras_archive import CONFIG
from remote_models.formats._keras_index import CompressedWeightsError, index_keras_archive
from remote_models.formats._keras_metadata import layer_names, with_layer_names
from remote_models.formats._names import OptimizerNames, unique_names, variable_name
from remote_models.formats._saved_model import (
    KERAS_2_METADATA,
    SAVED_CONFIG,
    SAVED_MODEL,
    state_key,
)
from remote_models.formats._saved_objects import layer_names_of_objects
from remote_models.formats._saved_state import name_state
from remote_models.formats._sharded_index import index_sharded
from remote_models.formats._tensor_bundle import index_checkpoint
from remote_models.tensors import Role, StoredTensor

__all__ = ["index_artifact", "with_variable_names", "without_model_name"]

_WEIGHTS = "model.weights.h5"

_VARIABLES = "variables/variables"
"""The prefix of the checkpoint inside a SavedModel."""

_NOTHING = Index(tensors=(), skipped=())


def index_artifact(
    what: Recognition,
    sizes: Mapping[str, int],
    open_file: Callable[[str], IO[bytes]],
    *,
    name: str,
    where: str,
    architecture: Mapping[str, Any] | None = None,
) -> Index:
    """Return every tensor of an artifact; only structure is read, no tensor.

    Args:
        what: What the artifact is.
        sizes: The size of each of its files, by relative path.
        open_file: Opens one of them for reading.
        name: The path of the file that the artifact is named after; for a checkpoint
            its prefix.
        where: Its URL, for messages.
        architecture: The model's configuration, for files of weights, which hold none.

    Returns:
        The tensors, each with a name of its own, and what cannot be read by ranges.

    Raises:
        FormatError: a file is damaged.
        IntegrityError: a checksum inside a file differs.
    """
    if what.format in (Format.SAVED_MODEL, Format.CHECKPOINT):
        prefix = name if what.format is Format.CHECKPOINT else _VARIABLES
        index = _index_checkpoint(prefix, sizes, open_file, where)
        if what.format is Format.SAVED_MODEL and what.has_keras_metadata:
            return _named_by_keras(index, sizes, open_file, where)
        return index
    if what.format is Format.KERAS_DIRECTORY:
        index = _index_directory(sizes, open_file, where)
    elif what.format is Format.ARCHITECTURE:
        index = _NOTHING
    elif what.format is Format.SHARDED_WEIGHTS:
        with open_file(name) as file:
            index = index_sharded(
                file,
                lambda shard: (open_file(shard), sizes[shard]),
                where=where,
                architecture=architecture,
            )
    elif what.format is Format.KERAS:
        with open_file(name) as file:
            index = _index_archive(file, name, sizes[name], where)
    else:
        with open_file(name) as file:
            index = index_hdf5(file, name, sizes[name], where=where, architecture=architecture)
    return index if architecture is None else without_model_name(index, _root_name(architecture))


def _index_archive(file: IO[bytes], name: str, size: int, where: str) -> Index:
    try:
        return index_keras_archive(file, name, size, where=where)
    except CompressedWeightsError as error:  # a stranger's: it loads, but only as a whole
        return Index(tensors=(), skipped=(Skipped(key=_WEIGHTS, reason=error.message),))


def _index_checkpoint(
    prefix: str,
    sizes: Mapping[str, int],
    open_file: Callable[[str], IO[bytes]],
    where: str,
) -> Index:
    def read(path: str, start: int, stop: int) -> bytes:
        with open_file(path) as file:
            file.seek(start)
            return file.read(stop - start)

    if prefix == _VARIABLES and f"{prefix}.index" not in sizes:
        if any(path.startswith(f"{prefix}.data-") for path in sizes):
            raise IncompleteModelError(
                "the index of the SavedModel's variables is missing",
                where=f"{where}: {prefix}.index",
                hint="Save or copy the model again",
            )
        return _NOTHING  # a SavedModel without a variable
    return Index(tensors=index_checkpoint(prefix, sizes, read, where=where), skipped=())


def _named_by_keras(
    index: Index, names: Collection[str], open_file: Callable[[str], IO[bytes]], where: str
) -> Index:
    """Name the tensors of a SavedModel of Keras by what Keras knows of the model."""
    if KERAS_2_METADATA in names:
        with open_file(KERAS_2_METADATA) as file:
            layers = layer_names(file.read(), where=where)
    elif SAVED_CONFIG in names:
        with open_file(SAVED_CONFIG) as file:
            architecture = architecture_of_json(file, where=f"{where}: {SAVED_CONFIG}")
        index = without_model_name(index, _root_name(architecture))
        return replace(index, tensors=name_state(index.tensors, architecture))
    elif SAVED_MODEL in names:
        with open_file(SAVED_MODEL) as file:
            layers = layer_names_of_objects(file, where=f"{where}: {SAVED_MODEL}")
    else:
        return index
    return replace(index, tensors=unique_names(with_layer_names(index.tensors, layers)))


def _root_name(architecture: Mapping[str, Any] | None) -> str:
    config = architecture.get("config") if architecture else None
    name = config.get("name") if isinstance(config, Mapping) else None
    return name if isinstance(name, str) else ""


def with_variable_names(index: Index, raw_names: Mapping[str, str], root: str) -> Index:
    """Give the tensors of a weights file the names that a live model has for them.

    Args:
        index: The index of a file whose keys are those of ``raw_names``, or of a
            SavedModel whose state has these keys.
        raw_names: The framework's name of each variable by its key.
        root: The model's own name, which some versions of Keras put before every
            variable of it and others do not.
    """
    weights = [raw for key, raw in raw_names.items() if not key.startswith("optimizer/")]
    optimizer_name = OptimizerNames([variable_name(raw) for raw in weights])
    named = []
    for tensor in index.tensors:
        key = state_key(tensor.key) or tensor.key
        raw = raw_names.get(key)
        if raw is None:
            named.append(tensor)
        elif key.startswith("optimizer/"):
            named.append(replace(tensor, name=optimizer_name(raw), role=Role.OPTIMIZER))
        else:
            named.append(replace(tensor, name=variable_name(raw), role=_role(tensor)))
    return without_model_name(replace(index, tensors=named), root)


def without_model_name(index: Index, root: str) -> Index:
    """Return the same index, its names without the model's own name in front."""
    return replace(index, tensors=unique_names(without_root(index.tensors, root)))


def without_root(tensors: Sequence[StoredTensor], root: str) -> Sequence[StoredTensor]:
    """Take the model's own name off the front of every name, if every weight has it there.

    A layer may be called as the model is: where nothing but variables would be left,
    it was the layer's name.
    """
    front = f"{root}/"
    weights = [each.name for each in tensors if each.role is Role.WEIGHT and each.name]
    shortened = [name.removeprefix(front) for name in weights if name.startswith(front)]
    if len(shortened) < len(weights) or not any("/" in name for name in shortened):
        return tensors

    def shorten(name: str | None) -> str | None:
        if name is None:
            return None
        slot, found, weight = name.partition(f"/{front}")
        if found and name.startswith("optimizer/") and slot.count("/") == 1:
            return f"{slot}/{weight}"
        return name.removeprefix(front)

    return [replace(tensor, name=shorten(tensor.name)) for tensor in tensors]


def _role(tensor: StoredTensor) -> Role:
    return Role.WEIGHT if tensor.role is Role.OTHER else tensor.role


def _index_directory(
    sizes: Mapping[str, int], open_file: Callable[[str], IO[bytes]], where: str
) -> Index:
    if _WEIGHTS not in sizes:
        return _NOTHING
    architecture: Mapping[str, Any] | None = None
    if CONFIG in sizes:
        with open_file(CONFIG) as file:
            architecture = architecture_of_json(file, where=f"{where}: {CONFIG}")
    with open_file(_WEIGHTS) as file:
        return index_hdf5(file, _WEIGHTS, sizes[_WEIGHTS], where=where, architecture=architecture)
