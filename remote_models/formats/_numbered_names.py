"""Names and roles of the tensors in ``.weights.h5`` files and ``.keras`` archives.

Such a file keeps a layer's variables under numbers, and the layer under a name made
from its class: ``layers/conv2d_1/vars/0`` (keras/src/saving/saving_lib.py, Keras 3.15).
Newer versions keep the layer's own name in an attribute. The rest has to be known:
from the configuration, or, where there is none, from the class that the group's or the
layer's name gives away and the number of variables, if that leaves one possibility.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from remote_models.formats._architecture import StoredLayer, optimizer_of, stored_layers
from remote_models.formats._layer_variables import (
    LayerVariable,
    class_of_name,
    guess_variables,
    sub_layer_class,
)
from remote_models.formats._optimizer_variables import (
    Weight,
    inner_optimizer_of,
    optimizer_variables,
)
from remote_models.tensors import Role, StoredTensor

__all__ = ["name_numbered_tensors"]

_OPTIMIZER = "optimizer"
_INNER_OPTIMIZER = "optimizer/inner_optimizer"
"""Where Keras 2 keeps what its loss scale optimizer wraps."""

_METRICS = ("metrics", "compile_metrics")
_MODELS = ("Functional", "Sequential")


def name_numbered_tensors(
    tensors: Sequence[StoredTensor],
    labels: Mapping[str, str],
    architecture: Mapping[str, Any] | None,
) -> list[StoredTensor]:
    """Give tensors their names and roles, numbers in order.

    Args:
        tensors: What the file holds.
        labels: The layers' own names where the file has them, by their group's path.
        architecture: The model's configuration, if known.
    """
    names = _Names(labels, architecture)
    groups = _by_layer(sorted(tensors, key=lambda each: _natural(each.key)))
    named: list[StoredTensor] = []
    optimizers: list[tuple[str, list[StoredTensor]]] = []
    for layer, members in groups.items():
        role = _role(layer)
        if layer is None or role is Role.METRIC:
            named += [replace(each, role=role) for each in members]
        elif role is Role.OPTIMIZER:
            optimizers.append((layer, members))
        else:
            named += names.of_layer(layer, members)
    for layer, members in sorted(optimizers, key=lambda each: len(each[0])):  # the outer first
        named += names.of_optimizer(layer, members)
    return named


class _Names:
    """The names of one file's variables."""

    def __init__(self, labels: Mapping[str, str], architecture: Mapping[str, Any] | None) -> None:
        self._labels = {_canonical(path): label for path, label in labels.items()}
        self._layers: dict[str, StoredLayer] = {}
        for layer in stored_layers(architecture) if architecture else ():
            self._layers.setdefault(layer.key, layer)
        self._optimizer = optimizer_of(architecture) if architecture else None
        self._weights: dict[str, list[Weight]] = {}
        self._all_known = True
        self._outer_has_names = False

    def of_layer(self, path: str, members: Sequence[StoredTensor]) -> list[StoredTensor]:
        """Name the variables of one layer; those that are not known stay without one."""
        key = _canonical(path)
        scope = self._scope(key)
        variables = self._variables(key, members)
        self._all_known &= key in self._layers and variables is not None and scope is not None
        if scope is None or variables is None:
            return [replace(each, role=Role.WEIGHT) for each in members]
        named = []
        for tensor, variable in zip(members, variables, strict=True):
            name = None if variable.name is None else f"{scope}/{variable.name}"
            named.append(replace(tensor, name=name, role=Role.WEIGHT))
            if name is None:
                self._all_known = False
            elif variable.trainable:
                self._weights.setdefault(key, []).append(Weight(name, tensor.shape))
        return named

    def of_optimizer(self, path: str, members: Sequence[StoredTensor]) -> list[StoredTensor]:
        """Name an optimizer's variables, slots only if every variable of the model is known."""
        names: Sequence[str | None] = [None] * len(members)
        optimizer = self._optimizer
        if path == _INNER_OPTIMIZER and optimizer is not None:
            # Keras 3 stores the same with the outer one, where they have their names.
            optimizer = None if self._outer_has_names else inner_optimizer_of(*optimizer)
        if path in (_OPTIMIZER, _INNER_OPTIMIZER) and optimizer is not None:
            class_name, config = optimizer
            weights = self._trainable() if self._all_known else []
            names = optimizer_variables(
                class_name, config, weights, [each.shape for each in members]
            )
            self._outer_has_names |= any(names)
        return [
            replace(tensor, name=name, role=Role.OPTIMIZER)
            for tensor, name in zip(members, names, strict=True)
        ]

    def _trainable(self) -> list[Weight]:
        return [
            weight
            for layer in self._layers.values()
            if layer.trainable
            for weight in self._weights.get(layer.key, ())
        ]

    def _scope(self, key: str) -> str | None:
        """Return the part of its variables' names that comes from the layers around them."""
        parts: list[str] = []
        for path in _paths(key):
            layer = self._layers.get(path)
            if layer is None and path not in self._labels:
                if path.endswith("/layers") and not self._is_model(path.rpartition("/")[0]):
                    return None  # a model, perhaps, whose name may be in the variable's
                continue  # a list of layers
            if self._is_model(path):
                parts.clear()
                continue
            name = self._labels.get(path, layer.name if layer else None)
            if name is None:
                return None
            if name:
                parts.append(name)
        return "/".join(parts) or None

    def _is_model(self, path: str) -> bool:
        layer = self._layers.get(path)
        if layer is not None:
            return layer.is_model
        return self._is_in_container(path) and self._class(path) in _MODELS

    def _variables(
        self, key: str, members: Sequence[StoredTensor]
    ) -> Sequence[LayerVariable] | None:
        if [each.key.rpartition("/")[2] for each in members] != _numbers(len(members)):
            return None  # the layer saves its variables in its own way
        layer = self._layers.get(key)
        if layer is None:
            return _guess(self._class(key), members)
        variables = layer.variables
        return variables if variables is not None and len(variables) == len(members) else None

    def _class(self, path: str) -> str | None:
        """Return the class of a layer that is in no configuration."""
        layer = self._layers.get(path)
        if layer is not None:
            return None if layer.is_custom else layer.class_name
        if path not in self._labels:
            return None
        outer, _, last = path.rpartition("/")
        if self._is_in_container(path):
            return class_of_name(last)
        inside = sub_layer_class(self._class(outer) or "", last) if outer else None
        return inside or class_of_name(self._labels[path])

    def _is_in_container(self, path: str) -> bool:
        """Whether Keras made the group's name from the class: it is in a list of layers."""
        outer = path.rpartition("/")[0]
        return bool(outer) and outer not in self._labels and outer not in self._layers


def _guess(
    class_name: str | None, members: Sequence[StoredTensor]
) -> Sequence[LayerVariable] | None:
    variables = guess_variables(class_name or "", len(members))
    if variables is None:
        return None
    for tensor, variable in zip(members, variables, strict=True):
        # Somebody else's class of the same name, or a quantised layer.
        if (variable.name or "").endswith("kernel") and len(tensor.shape) < 2:
            return None
        if "int" in tensor.dtype and variable.name != "count":
            return None
    return variables


def _numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def _by_layer(tensors: Sequence[StoredTensor]) -> dict[str | None, list[StoredTensor]]:
    """Group tensors by the path of the layer; ``None`` for those that are in no ``vars``."""
    groups: dict[str | None, list[StoredTensor]] = {}
    for tensor in tensors:
        group = tensor.key.rpartition("/")[0]
        layer = group.removesuffix("vars").removesuffix("/")
        is_layer = group == "vars" or group.endswith("/vars")
        groups.setdefault(layer if is_layer else None, []).append(tensor)
    return groups


def _role(layer: str | None) -> Role:
    if layer is None:
        return Role.OTHER
    first = layer.partition("/")[0].lstrip("_")
    if first == _OPTIMIZER:
        return Role.OPTIMIZER
    return Role.METRIC if first in _METRICS else Role.WEIGHT


def _canonical(path: str) -> str:
    """Leave out what differs between versions: underscores in front, Keras 2.13's layers."""
    parts = [each.lstrip("_") for each in path.split("/")]
    return "/".join("layers" if each == "layer_checkpoint_dependencies" else each for each in parts)


def _paths(key: str) -> list[str]:
    """Return the path of every group from the outermost to ``key`` itself."""
    parts = key.split("/")
    return ["/".join(parts[: i + 1]) for i in range(len(parts))] if key else []


def _natural(key: str) -> list[tuple[str, int]]:
    """Sort ``vars/10`` behind ``vars/2``, and ``dense_10`` behind ``dense_2``."""
    return [_split_number(part) for part in key.split("/")]


def _split_number(part: str) -> tuple[str, int]:
    stem, _, number = part.rpartition("_")
    return (stem, int(number)) if re.fullmatch("[0-9]{1,9}", number) else (part, -1)
