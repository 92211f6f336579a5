"""The classes and functions that are the caller's own."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

__all__ = ["GivenObjects"]


class GivenObjects(Container[str]):
    """The names under which a framework finds objects of the caller before its own.

    Args:
        registered: Returns what is registered, or in scope, under a name; else ``None``.
        custom_objects: What the caller passes.
    """

    def __init__(
        self, registered: Callable[[str], Any], custom_objects: Mapping[str, Any] | None
    ) -> None:
        self._registered = registered
        self._custom_objects = custom_objects or {}

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (
            name in self._custom_objects or self._registered(name) is not None
        )
