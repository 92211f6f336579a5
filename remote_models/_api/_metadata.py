"""The user's own metadata, as JSON can hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remote_models.errors import ArgumentError

__all__ = ["plain_metadata"]

_MAX_DEPTH = 100
"""Objects and arrays inside each other; a manifest may have some more around them."""


def plain_metadata(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return metadata with NumPy's scalars, such as losses are, as Python's.

    What else JSON cannot hold is found when the manifest is written.

    Raises:
        ArgumentError: it is no mapping, a key is no text, or it is nested too deeply.
    """
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise ArgumentError(
            "not a mapping", where="metadata", expected="a dictionary, as in {'step': 100}",
            found=type(metadata).__name__,
        )  # fmt: skip
    return {
        key: _plain(each, f"metadata[{key!r}]", 1) for key, each in _items(metadata, "metadata")
    }


def _plain(value: Any, where: str, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise ArgumentError(
            "nested too deeply", where="metadata", expected=f"at most {_MAX_DEPTH} levels"
        )
    if isinstance(value, Mapping):
        return {
            key: _plain(each, f"{where}[{key!r}]", depth + 1) for key, each in _items(value, where)
        }
    if isinstance(value, (list, tuple)):
        return [_plain(each, f"{where}[{at}]", depth + 1) for at, each in enumerate(value)]
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        return value.item()
    return value


def _items(mapping: Mapping[Any, Any], where: str) -> list[tuple[str, Any]]:
    for key in mapping:
        if not isinstance(key, str):
            # JSON would make text of numbers: what is read would not be what was saved.
            raise ArgumentError(
                "a key that is no text", where=where, found=repr(key)[:100],
                hint=f"Write it as {str(key)[:50]!r}",
            )  # fmt: skip
    return list(mapping.items())
