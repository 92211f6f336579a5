"""The variables of a Keras 3 model by the keys that Keras 2 gave them in a ``.keras`` archive.

Keras 2 numbers a layer's variables, in the order of ``layers/my_layer/vars/0``, and calls the
layer after its class. Which one that was is in the configuration that it wrote; the
attributes inside a layer of somebody's own are in the keys.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import keras

from remote_models.formats.indexing import StoredLayer, stored_layers
from remote_models.frameworks._learnt_summary import learnt_summary

__all__ = ["numbered_variables"]

_NUMBERED = re.compile(r"(.*)/vars/(\d{1,9})")


def numbered_variables(
    model: Any, architecture: Mapping[str, Any], keys: Collection[str]
) -> dict[str, Any]:
    """Return the variable of each key whose layer is found and has as many variables.

    Args:
        model: The model, with layers of the names that ``architecture`` has.
        architecture: What Keras 2 wrote.
        keys: Keys of stored tensors, of whatever format.
    """
    known: dict[str, StoredLayer] = {}
    for stored in stored_layers(architecture):
        known.setdefault(stored.key, stored)
    groups: dict[str, list[str]] = {}
    for key in keys:
        if (found := _NUMBERED.fullmatch(key)) is not None:
            groups.setdefault(found[1], []).append(key)
    variables: dict[str, Any] = {}
    for group, members in groups.items():
        layer = _layer_at(model, group, known)
        own = [] if layer is None else list(_own_variables(layer))
        if len(own) == len(members):
            variables.update({f"{group}/vars/{i}": each for i, each in enumerate(own)})
    return variables


def _layer_at(model: Any, path: str, known: Mapping[str, StoredLayer]) -> Any | None:
    """Return the layer that a group of the archive belongs to."""
    layer = model
    parts = path.split("/")
    waiting: list[str] = []
    for end in range(1, len(parts) + 1):
        stored = known.get("/".join(part.lstrip("_") for part in parts[:end]))
        if stored is not None and stored.name and isinstance(layer, keras.Model):
            layer = _named(layer.layers, stored.name)
            waiting.clear()
        else:
            waiting.append(parts[end - 1])
    for attribute in waiting:
        layer = getattr(layer, attribute, None)
    return layer if isinstance(layer, keras.layers.Layer) else None


def _named(layers: Sequence[Any], name: str) -> Any | None:
    wanted = name.replace("/", "_")
    return next((layer for layer in layers if layer.name == wanted), None)


def _own_variables(layer: Any) -> Iterator[Any]:
    """Yield a layer's variables, first those to train, but none of the layers in it."""
    inside = {
        id(variable)
        for each in vars(layer).values()
        if isinstance(each, keras.layers.Layer)
        for variable in each.variables
    }
    yield from learnt_summary(layer)
    for variable in (*layer.trainable_variables, *layer.non_trainable_variables):
        if id(variable) not in inside and not variable.path.endswith("seed_generator_state"):
            yield variable
