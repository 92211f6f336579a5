"""Names of layers with a ``/`` in them, which Keras 3 does not allow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from remote_models.frameworks._keras2._decoding import mapping

__all__ = ["without_slashes"]


def without_slashes(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model whose layers have ``_`` in their names for ``/``, wherever they stand.

    Where that is another layer's name already, one more ``_`` follows.
    """
    names = set(_names(described))
    new: dict[str, str] = {}
    for name in sorted(each for each in names if "/" in each):
        changed = name.replace("/", "_")
        while changed in names:
            changed += "_"
        names.add(changed)
        new[name] = changed
    changed_model: dict[str, Any] = _changed(described, new) if new else dict(described)
    return changed_model


def _names(value: Any) -> Iterator[str]:
    """Yield the names of all layers and models."""
    if isinstance(value, Mapping):
        name = mapping(value.get("config")).get("name") if "class_name" in value else None
        yield from (each for each in (name, value.get("name")) if isinstance(each, str))
        for each in value.values():
            yield from _names(each)
    elif isinstance(value, list):
        for each in value:
            yield from _names(each)


def _changed(value: Any, new: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {
            new.get(key, key): new.get(each, each)
            if key == "name" and isinstance(each, str)
            else _changed(each, new)
            for key, each in value.items()
        }
    if isinstance(value, list):
        is_reference = len(value) > 2 and isinstance(value[0], str) and type(value[1]) is int
        start = [new.get(value[0], value[0])] if is_reference else []
        return start + [_changed(each, new) for each in value[len(start) :]]
    return value
