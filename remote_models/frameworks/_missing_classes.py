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
    given = {*keras.saving.get_custom_objects(), *(custom_objects or {})}
    missing = []
    for described in _objects({**architecture, "compile_config": None}):
        name, registered = described["class_name"], described["registered_name"]
        if name == "function":
            name = described.get("config")
        if (
            isinstance(name, str)
            and not _is_of_keras(described.get("module"), registered, name)
            and given.isdisjoint({name, registered, f"Custom>{name}"})
        ):
            missing.append(name.rpartition(">")[2])
    return list(dict.fromkeys(missing))


def _is_of_keras(module: object, registered: object, name: str) -> bool:
    root = module.partition(".")[0] if isinstance(module, str) else ""
    return root in ("keras", "builtins") and ">" not in f"{registered}{name}"


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
