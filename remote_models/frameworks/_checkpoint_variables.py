"""The variables of a Keras 3 model by the keys that Keras 2 gave them in a SavedModel.

Keras 2 counts those layers of a model that have weights, in the order of the configuration:
``layer_with_weights-1/kernel`` (``_trackable_children`` in tf_keras/src/engine/functional.py).
Below stand the attributes that lead to the variable.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import keras

from remote_models.frameworks._keras2 import is_operation, without_slashes

__all__ = ["checkpoint_variables"]

_KEY = re.compile(r"(.+)/([^/]+)/\.ATTRIBUTES/VARIABLE_VALUE")

_COUNTED = re.compile(r"layer_with_weights-(\d{1,9})")

_RENAMED = {"depthwise_kernel": "kernel"}
"""An attribute of Keras 2 to the variable of Keras 3, where they differ."""


def checkpoint_variables(
    model: Any, architecture: Mapping[str, Any], keys: Collection[str]
) -> dict[str, Any]:
    """Return the variable of each key that leads to just one.

    Args:
        model: The model that was translated from ``architecture``.
        architecture: What Keras 2 wrote.
        keys: Keys of stored tensors, of whatever format.
    """
    described = without_slashes(architecture)
    variables: dict[str, Any] = {}
    for key in keys:
        found = _KEY.fullmatch(key)
        layer = _layer_at(model, described, found[1].split("/")) if found else None
        if found and layer is not None:
            own = list(_variables(layer, found[2]))
            if len(own) == 1:
                variables[key] = own[0]
    return variables


def _layer_at(model: Any, described: Any, path: list[str]) -> Any | None:
    """Return the layer that a path leads to, none if it is not to one inside a model."""
    layer = model
    for part in path:
        if (counted := _COUNTED.fullmatch(part)) is not None:
            inside = list(_with_weights(layer, described))
            if int(counted[1]) >= len(inside):
                return None
            layer, described = inside[int(counted[1])]
        elif layer is model:
            return None
        else:  # only what is there: no property of somebody's class is run
            layer, described = vars(layer).get(part), None
        if not isinstance(layer, keras.layers.Layer):
            return None
    return layer


def _with_weights(model: Any, described: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the layers that Keras 2 counts, each with its part of the configuration."""
    config = described.get("config") if isinstance(described, Mapping) else None
    layers = config.get("layers") if isinstance(config, Mapping) else config
    if not isinstance(model, keras.Model) or not isinstance(layers, list):
        return
    by_name = {layer.name: layer for layer in model.layers}
    for each in layers:
        named = each.get("config") if isinstance(each, Mapping) else None
        name = named.get("name") if isinstance(named, Mapping) else None
        layer = by_name.get(name) if isinstance(name, str) else None
        if layer is None:
            if isinstance(each, Mapping) and is_operation(each):
                continue  # which has no weights, and is no layer in Keras 3
            return  # not the model that this describes: nobody knows how to count on
        if any(True for _ in _variables(layer)):
            yield layer, each


def _variables(layer: Any, name: str | None = None) -> Iterator[Any]:
    """Yield the variables of a layer that are not a random generator's state."""
    wanted = (name, _RENAMED.get(name or "", name))
    for variable in layer.variables:
        if not variable.path.endswith("seed_generator_state") and (
            name is None or variable.name in wanted
        ):
            yield variable
