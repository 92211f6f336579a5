"""Values that Keras 2 writes as JSON objects of its own: tuples, shapes, bytes.

Layout: ``get_json_type`` in tf_keras/src/saving/legacy/saved_model/json_utils.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["decoded", "mapping", "text"]


def decoded(value: Any) -> Any:
    """Return a value with lists for tuples and shapes, the rest as Keras 3 writes it.

    >>> decoded({"class_name": "__tuple__", "items": [1, None]})
    [1, None]
    """
    if isinstance(value, list | tuple):
        return [decoded(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    kind = value.get("class_name")
    if kind in ("__tuple__", "TensorShape") and "items" in value:
        return decoded(value["items"])
    if kind == "__ellipsis__":
        return {"class_name": "__ellipsis__", "config": {}}
    if kind == "__bytes__" and "value" in value:
        return {"class_name": "__bytes__", "config": {"value": value["value"]}}
    return {key: decoded(each) for key, each in value.items()}


def mapping(value: object) -> Mapping[str, Any]:
    """Return ``value`` if it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def text(value: object) -> str:
    """Return ``value`` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""
