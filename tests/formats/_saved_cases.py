"""What both children share: models with distinct values, and their description.

``expected.json`` says of each file the SHA-256 of every variable's bytes by the name
that docs/names.md gives it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np


class Cases:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cases: dict[str, dict[str, Any]] = {}
        self._random = np.random.default_rng(0)
        self._count = 0

    def fill(self, variables: list[Any]) -> None:
        """Give every variable values that no other has."""
        for variable in variables:
            shape = variable.numpy().shape  # a variable of its own may say None
            size = int(np.prod(shape))
            self._count += 1
            values = self._random.random(shape) if size > 8 else None
            if values is None:
                values = np.arange(self._count * 100, self._count * 100 + size).reshape(shape)
            variable.assign(values.astype(variable.numpy().dtype))

    def add(self, name: str, file: str, variables: Mapping[str, Any], **details: Any) -> None:
        digests = {
            each: hashlib.sha256(np.ascontiguousarray(variable.numpy()).tobytes()).hexdigest()
            for each, variable in variables.items()
        }
        self.cases[name] = {"file": file, "variables": digests, **details}

    def write(self) -> None:
        (self.folder / "expected.json").write_text(json.dumps(self.cases))


def without_models(path: str, models: set[str]) -> str:
    """Leave out the names of the models that a variable was created in."""
    parts = path.split("/")
    while len(parts) > 2 and parts[0] in models:
        del parts[0]
    return "/".join(parts)


def attempt(build: Callable[[], Any]) -> Any:
    """Return what ``build`` returns, or ``None`` for what cannot be built so simply."""
    try:
        return build()
    except Exception:  # noqa: BLE001  # any class of Keras may raise anything
        return None
