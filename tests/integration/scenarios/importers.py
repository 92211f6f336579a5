"""Who imports what: catches an import by module of ours that must do without it."""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def watch_imports(forbidden: Sequence[str]) -> Iterator[None]:
    """Fail any import of a ``forbidden`` package by a module of remote_models.

    ``importlib.import_module`` is not seen here; remote_models uses it for its own
    modules only, which a test of the source holds it to.
    """
    original = builtins.__import__

    def watched(
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        importer = str((globals or {}).get("__name__", ""))
        if name.partition(".")[0] in forbidden and importer.partition(".")[0] == "remote_models":
            raise AssertionError(f"{importer} imports {name}")
        return original(name, globals, locals, fromlist or (), level)

    builtins.__import__ = watched
    try:
        yield
    finally:
        builtins.__import__ = original
