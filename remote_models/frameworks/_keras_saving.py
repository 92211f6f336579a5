"""Files of Keras 3 models that are made while they are sent: no copy on disk or in memory.

With ``_keras_state``, the only place that touches what Keras keeps private to save:
``ObjectSharingScope`` of ``serialization_lib``, ``model_metadata``, ``get_json_type`` and
``keras_option_scope`` of its legacy format, and a model's lists of its own variables.
Tried with Keras 3.3 to 3.15.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import keras
import numpy as np
from keras.src.legacy.saving import json_utils, saving_options, saving_utils
from keras.src.saving import serialization_lib

from remote_models.formats.streaming import (
    CONFIG,
    METADATA,
    DelayedTensor,
    Hdf5Layout,
    KerasArchiveFile,
    LegacyWeights,
    StreamedFile,
    legacy_model_file,
)
from remote_models.frameworks._h5_optimizer import keeping_compile_config
from remote_models.frameworks._keras_state import (
    HeldValue,
    Keras3AssetFolder,
    StateGroup,
    record_state,
    variable_paths,
)

__all__ = ["model_documents", "stream_archive", "stream_groups", "stream_h5", "stream_weights"]


def model_documents(model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the configuration and the metadata that a ``.keras`` archive of a model holds."""
    with serialization_lib.ObjectSharingScope():
        config: dict[str, Any] = keras.saving.serialize_keras_object(model)
    metadata = {
        "keras_version": keras.__version__,
        "date_saved": datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),  # noqa: DTZ005 - as Keras
    }
    return config, metadata


def stream_weights(model: Any) -> tuple[StreamedFile, Mapping[str, str]]:
    """Return the file that ``model.save_weights("….weights.h5")`` writes.

    Returns:
        The file, and the path of each variable by its key in it.
    """
    groups = record_state(model)
    return stream_groups(groups), variable_paths(groups)


def stream_archive(model: Any) -> tuple[StreamedFile, Mapping[str, str]]:
    """Return the file that ``model.save("….keras")`` writes.

    Files of layers, such as vocabularies, are held in memory.

    Returns:
        The file, and the path of each variable by its key in the weights.
    """
    config, metadata = model_documents(model)
    documents = {METADATA: json.dumps(metadata).encode(), CONFIG: json.dumps(config).encode()}
    with Keras3AssetFolder() as assets:
        groups = record_state(model, assets)
        after = {**documents, **dict(assets.files())}
    return KerasArchiveFile(stream_groups(groups), after), variable_paths(groups)


def stream_h5(model: Any, *, include_optimizer: bool) -> StreamedFile:
    """Return the file that ``model.save("….h5")`` writes."""
    with (
        keeping_compile_config(model),
        saving_options.keras_option_scope(use_legacy_config=True),
    ):
        metadata = saving_utils.model_metadata(model, include_optimizer)
        attributes = {name: _to_attribute(value) for name, value in metadata.items()}
    own = {id(each) for each in model.weights}
    weights = LegacyWeights(
        layers=[
            (each.name, _by_path([*each.trainable_weights, *each.non_trainable_weights]))
            for each in model.layers
        ],
        own=_by_path([each for each in _own_variables(model) if id(each) in own]),
        versions={"backend": keras.backend.backend(), "keras_version": keras.__version__},
    )
    optimizer = getattr(model, "optimizer", None) if include_optimizer else None
    return legacy_model_file(attributes, weights, _by_path(getattr(optimizer, "variables", ())))


def stream_groups(groups: Sequence[StateGroup]) -> StreamedFile:
    """Return a weights file that holds some groups."""
    with Hdf5Layout() as layout:
        for group in groups:
            made = layout.root.create_group(group.path)
            for name, text in group.attributes.items():
                made.attrs[name] = text
            for key, value in group.values.items():
                tensor = _delayed(f"{group.path}/{key}", value)
                dataset = layout.add(made, key, tensor)
                if tensor.dtype.name == "bfloat16":  # which HDF5 does not know
                    dataset.attrs["dtype"] = "bfloat16"
    return layout.file()


def _by_path(variables: Sequence[Any]) -> list[DelayedTensor]:
    return [_delayed(variable.path, HeldValue.of(variable)) for variable in variables]


def _own_variables(model: Any) -> list[Any]:
    variables: list[Any] = model._trainable_variables + model._non_trainable_variables  # noqa: SLF001
    return variables


def _delayed(name: str, value: HeldValue | np.ndarray[Any, Any]) -> DelayedTensor:
    if isinstance(value, np.ndarray):
        return DelayedTensor(name=name, dtype=value.dtype, shape=value.shape, read=lambda: value)
    # Keras imports ml_dtypes, which adds bfloat16 and others to NumPy.
    dtype = np.dtype(value.dtype)
    return DelayedTensor(name=name, dtype=dtype, shape=value.shape, read=value.to_numpy)


def _to_attribute(value: Any) -> str | bytes:
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, default=json_utils.get_json_type).encode()
    return str(value)
