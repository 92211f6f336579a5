"""Load a Keras 3 model whose weights are read when a layer is first called.

The model is loaded as a streamed one is, by Keras' own ``load_own_variables``, only that
variables that have no value yet stand for the tensors. A layer that computes with its
values while it is loaded, as ``Normalization`` does, has them read then.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from remote_models.errors import ArgumentError
from remote_models.formats import Format
from remote_models.frameworks._framework import TensorStream
from remote_models.frameworks._keras_h5_streaming import build_and_load_h5
from remote_models.frameworks._keras_streaming import LoadingScope, build_and_load
from remote_models.frameworks._lazy_tensors import LazyTensor, Prefetcher, Read, TensorGroup
from remote_models.frameworks._lazy_variable import LazyVariable

__all__ = ["load_lazily"]


def load_lazily(
    architecture: Mapping[str, Any],
    tensors: TensorStream,
    format: Format,
    *,
    custom_objects: Mapping[str, Any] | None,
    compile: bool,
    safe_mode: bool,
    prefetch: int | bool,
) -> Any:
    """Return the model that ``architecture`` describes; its tensors are read later.

    Args:
        architecture: The configuration.
        tensors: The model's state.
        format: Whose layout the keys of the tensors have.
        custom_objects: As Keras takes them.
        compile: Whether to compile it as it was when saved.
        safe_mode: Whether Keras refuses to deserialise lambdas.
        prefetch: How many layers are read ahead in the background; ``True`` for all.

    Raises:
        ArgumentError: variables are to be spread over devices.
        UnmatchedTensorsError: it is not certain which tensor is whose.
        RemoteModelsError: a layer needed its values at once, and reading failed.
        ValueError, TypeError: as Keras raises them.
    """
    if tf.distribute.has_strategy():
        raise ArgumentError(
            "a lazy model's variables are on one device, and here is a tf.distribute strategy",
            where="lazy",
            hint="Pass lazy=False, or load outside of strategy.scope()",
        )
    load = build_and_load_h5 if format is Format.H5 else build_and_load
    model = load(
        architecture,
        _standing_for(tensors),
        custom_objects=custom_objects,
        compile=compile,
        safe_mode=safe_mode,
        scope=_LazyScope,
    )
    groups = _group_layers(model, tensors.read)
    _group_optimizer(model, tensors.read)
    if prefetch:
        ahead = None if prefetch is True else prefetch
        prefetcher = Prefetcher(groups, tensors.read, ahead)
        weakref.finalize(model, prefetcher.stop)
        if ahead is None:
            prefetcher.start_after(-1)
    return model


def _standing_for(tensors: TensorStream) -> TensorStream:
    """Return a stream that yields a variable without a value for each tensor."""

    def read(keys: Any) -> Iterator[tuple[str, Any]]:
        for key in keys:
            yield key, LazyVariable(key, tensors.specs[key], tensors.read)

    return TensorStream(specs=tensors.specs, read=read, failures=tensors.failures)


class _LazyScope(LoadingScope):
    """Inside, a variable is given the lazy one that is assigned to it as its own."""

    def add_update(self, update: tuple[Any, Any]) -> None:
        variable, value = update
        if not isinstance(value, LazyVariable) or value.waits_for is None:
            super().add_update(update)
        elif not _waits_for(variable, value.waits_for.key):  # the optimizer knows it by its value
            variable._initialize(value.claimed_by(variable))  # noqa: SLF001 - as LoadingScope


def _waits_for(variable: Any, key: str) -> bool:
    tensor = _tensor_of(variable)
    return tensor is not None and tensor.key == key


def _tensor_of(variable: Any) -> LazyTensor | None:
    """Return what a Keras variable waits for."""
    value = variable._value  # noqa: SLF001 - as LoadingScope
    return value.waits_for if isinstance(value, LazyVariable) else None


def _group_layers(model: Any, read: Read) -> list[TensorGroup]:
    """Let each layer's tensors be read together; return the groups in the layers' order."""
    seen: set[int] = set()
    parts = [*(layer.variables for layer in _layers(model)), model.variables]
    groups = [_group(_waiting(variables, seen), read) for variables in parts]
    return [group for group in groups if group.missing]


def _group_optimizer(model: Any, read: Read) -> None:
    """Let the optimizer's slots be read together, and apart from them its few numbers."""
    variables = getattr(getattr(model, "optimizer", None), "variables", ())
    seen: set[int] = set()
    _group(_waiting([each for each in variables if each.ndim == 0], seen), read)
    _group(_waiting(variables, seen), read)


def _layers(model: Any) -> Iterator[Any]:
    """Yield the layers of a model and of the models in it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer


def _waiting(variables: Sequence[Any], seen: set[int]) -> list[LazyTensor]:
    """Return what some variables wait for and is in no group yet."""
    found = []
    for variable in variables:
        tensor = _tensor_of(variable)
        if tensor is not None and id(tensor) not in seen:
            seen.add(id(tensor))
            found.append(tensor)
    return found


def _group(tensors: Sequence[LazyTensor], read: Read) -> TensorGroup:
    group = TensorGroup(tensors, read)
    for tensor in tensors:
        tensor.group = group
    return group
