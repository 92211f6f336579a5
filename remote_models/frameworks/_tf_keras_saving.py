"""Files of tf_keras models that are made while they are sent: no copy on disk or in memory.

The only place that touches what tf_keras keeps private to save: ``_save_state``,
``ObjectSharingScope`` and ``_SAVING_V3_ENABLED`` of ``saving_lib``, ``_legacy_weights``,
``model_metadata``, ``try_build_compiled_arguments`` and ``get_json_type`` of its legacy
formats, and a model's lists of its own variables. Tried with tf_keras 2.16 to 2.21;
tests/streaming compares the files with those that tf_keras writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import MappingProxyType
from typing import Any

import numpy as np
import tf_keras
from tf_keras.src.saving import saving_lib
from tf_keras.src.saving.legacy import hdf5_format, saving_utils
from tf_keras.src.saving.legacy.saved_model import json_utils

from remote_models.formats.streaming import (
    CONFIG,
    METADATA,
    DelayedTensor,
    Hdf5Layout,
    KerasArchiveFile,
    LegacyWeights,
    StreamedFile,
    legacy_model_file,
    legacy_weights_file,
)
from remote_models.frameworks._asset_folder import AssetFolder

__all__ = ["stream_archive", "stream_h5", "stream_h5_weights", "stream_weights"]


def stream_weights(
    model: Any, others: Mapping[str, Sequence[Any]] = MappingProxyType({})
) -> StreamedFile:
    """Return the file that ``model.save_weights("….weights.h5")`` writes.

    Args:
        model: A model that is built.
        others: Variables that go into groups of their own, beside what tf_keras writes.
    """
    return _lay_out(model, None, others)


def stream_archive(model: Any) -> StreamedFile:
    """Return the file that ``model.save("….keras")`` writes.

    Files of layers, such as vocabularies, are held in memory.
    """
    with _format_of_version_3():
        with saving_lib.ObjectSharingScope():
            config = tf_keras.saving.serialize_keras_object(model)
        metadata = {
            "keras_version": tf_keras.__version__,
            "date_saved": datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),  # noqa: DTZ005 - as Keras
        }
        with AssetFolder() as assets:
            weights = _lay_out(model, assets)
            files = dict(assets.files())
    documents = {METADATA: json.dumps(metadata).encode(), CONFIG: json.dumps(config).encode()}
    return KerasArchiveFile(weights, {**documents, **files})


def stream_h5(model: Any, *, include_optimizer: bool) -> StreamedFile:
    """Return the file that ``model.save("….h5")`` writes."""
    # Else metrics have other names before the first step of training than after it.
    saving_utils.try_build_compiled_arguments(model)
    model.use_legacy_config = True
    try:
        metadata = saving_utils.model_metadata(model, include_optimizer)
        attributes = {name: _to_attribute(value) for name, value in metadata.items()}
    finally:
        del model.use_legacy_config
    optimizer = model.optimizer if include_optimizer else None
    return legacy_model_file(attributes, _legacy_weights(model), _by_name(_state_of(optimizer)))


def stream_h5_weights(model: Any) -> StreamedFile:
    """Return the file that ``model.save_weights("….h5")`` writes."""
    return legacy_weights_file(_legacy_weights(model))


def _legacy_weights(model: Any) -> LegacyWeights:
    return LegacyWeights(
        layers=[
            (layer.name, _by_name(hdf5_format._legacy_weights(layer)))  # noqa: SLF001
            for layer in model.layers
        ],
        own=_by_name(model._trainable_weights + model._non_trainable_weights),  # noqa: SLF001
        versions={"backend": tf_keras.backend.backend(), "keras_version": tf_keras.__version__},
    )


def _state_of(optimizer: Any | None) -> Sequence[Any]:
    if isinstance(optimizer, tf_keras.optimizers.Optimizer):
        variables: Sequence[Any] = optimizer.variables
        return variables
    return getattr(optimizer, "weights", ())


def _by_name(variables: Iterable[Any]) -> list[DelayedTensor]:
    return [
        _delayed(each.name, each, np.dtype(each.dtype.as_numpy_dtype), tuple(each.shape))
        for each in variables
    ]


def _delayed(
    name: str, variable: Any, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> DelayedTensor:
    return DelayedTensor(
        name=name,
        dtype=dtype,
        shape=shape,
        # Not a copy: TensorFlow makes one before it writes to what somebody looks at.
        read=lambda: np.asarray(variable.read_value()),
    )


def _to_attribute(value: Any) -> str | bytes:
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(value, default=json_utils.get_json_type).encode()
    return str(value)


@contextmanager
def _format_of_version_3() -> Iterator[None]:
    """Let layers know which format they are asked for, as tf_keras does."""
    enabled = saving_lib._SAVING_V3_ENABLED  # noqa: SLF001 - see the module
    before = getattr(enabled, "value", False)
    enabled.value = True
    try:
        yield
    finally:
        enabled.value = before


def _lay_out(
    model: Any,
    assets: AssetFolder | None,
    others: Mapping[str, Sequence[Any]] = MappingProxyType({}),
) -> StreamedFile:
    visits = _Visits()
    with Hdf5Layout() as layout:
        store = _LayoutStore(model, layout, visits)
        saving_lib._save_state(model, store, assets, "", visits)  # noqa: SLF001 - see the module
        for path, variables in others.items():
            group = layout.root.create_group(path)
            for number, tensor in enumerate(_by_name(variables)):
                layout.add(group, str(number), tensor)
    return layout.file()


class _Visits(set[int]):
    """The objects that tf_keras has saved, and the one that it has come to now."""

    now = 0

    def __contains__(self, item: object) -> bool:
        if isinstance(item, int):
            self.now = item
        return super().__contains__(item)


class _LayoutStore:
    """What tf_keras takes for its ``H5IOStore``: a group for every object that it visits."""

    def __init__(self, model: Any, layout: Hdf5Layout, visits: _Visits) -> None:
        self._layout = layout
        self._visits = visits
        self._variables = {id(each): _stored_by(each) for each in _owners(model)}

    def make(self, path: str) -> Any:
        group = self._layout.root.create_group(f"{path}/vars" if path else "vars")
        variables = self._variables.get(self._visits.now)
        return group if variables is None else _DelayedGroup(self._layout, group, variables)


class _DelayedGroup:
    """Takes the copies that a layer or an optimizer hands over for the variables themselves."""

    def __init__(self, layout: Hdf5Layout, group: Any, variables: Mapping[str, Any]) -> None:
        self._layout = layout
        self._group = group
        self._variables = variables

    def __setitem__(self, key: str, value: Any) -> None:
        value = np.asarray(value)
        tensor = _delayed(
            f"{self._group.name}/{key}", self._variables[key], value.dtype, value.shape
        )
        self._layout.add(self._group, key, tensor)


def _owners(model: Any) -> Iterator[Any]:
    yield model
    yield from model.submodules
    optimizer = getattr(model, "optimizer", None)
    while optimizer is not None:
        yield optimizer
        optimizer = getattr(optimizer, "inner_optimizer", None)


def _stored_by(owner: Any) -> Mapping[str, Any] | None:
    """Return the variables that an object stores by key, or ``None`` if it has its own way."""
    save = getattr(type(owner), "save_own_variables", None)
    if save is tf_keras.layers.Layer.save_own_variables:
        variables = owner._trainable_weights + owner._non_trainable_weights  # noqa: SLF001
    elif save is tf_keras.optimizers.Optimizer.save_own_variables:
        variables = owner.variables
    else:
        return None
    return {str(index): variable for index, variable in enumerate(variables)}
