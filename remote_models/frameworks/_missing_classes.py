"""The classes that a model's configuration names and this process does not know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras

__all__ = ["missing_classes"]


def missing_classes(
    architecture: Mapping[str, Any], custom_objects: Mapping[str, Any] | None
) -> list[str]:
    """Return the names of a Keras 3 model's own classes and functions that nobody gives.

    Args:
        architecture: The model's configuration. What it was compiled with does not count.
        custom_objects: What the caller gives.
    """
    custom_objects = dict(custom_objects or {})
    missing = [
        name
        for described in _objects({**architecture, "compile_config": None})
        if (name := _name_if_missing(described, custom_objects)) is not None
    ]
    return list(dict.fromkeys(missing))


def _name_if_missing(described: Mapping[str, Any], custom_objects: Mapping[str, Any]) -> str | None:
    name, registered = described["class_name"], described["registered_name"]
    if name == "function":  # those of Keras have no mark: only Keras can tell
        function = described.get("config")
        is_missing = isinstance(function, str) and _is_unknown(described, custom_objects)
        return function if is_missing else None
    module = described.get("module")
    root = module.partition(".")[0] if isinstance(module, str) else ""
    if root == "keras" and ">" not in str(registered):
        return None
    given = keras.saving.get_custom_objects().keys() | custom_objects.keys()
    known = not given.isdisjoint({name, registered, f"Custom>{name}"})
    return None if known else name.rpartition(">")[2]


def _is_unknown(function: Mapping[str, Any], custom_objects: Mapping[str, Any]) -> bool:
    name, module = function["config"], function.get("module")
    if name in custom_objects or keras.saving.get_registered_object(name) is not None:
        return False
    if not isinstance(module, str) or module.partition(".")[0] not in ("builtins", "keras"):
        return True
    try:
        keras.saving.deserialize_keras_object(function, custom_objects=custom_objects)
    except (TypeError, ValueError):
        return True
    return False


def _objects(value: object) -> Iterator[Mapping[str, Any]]:
    """Yield every description of a class or function in a configuration."""
    waiting: list[Any] = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            if isinstance(each.get("class_name"), str) and "registered_name" in each:
                yield each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
