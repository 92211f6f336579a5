"""Refuse variables that a configuration asks for and its artifact does not hold.

A few bytes of configuration can ask for any number of them, and the frameworks run their
initialisers before they look at what is stored.
"""

from __future__ import annotations

import math
from pathlib import Path

from remote_models.errors import FormatError

__all__ = ["VariableBudget", "stored_bytes"]

_GROWTH = 4
"""Times that the variables may take what is stored: an optimizer's slots, wider dtypes."""

_FREE = 64 * 1024 * 1024
"""Bytes that the variables of any model may take."""


def stored_bytes(path: Path) -> int:
    """Return the size of a file, or of all files in a directory."""
    if path.is_dir():
        return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
    return path.stat().st_size


class VariableBudget:
    """The bytes that the variables of a model may take.

    Args:
        stored: The bytes of the artifact.
        where: Where it came from, for messages.

    Attributes:
        refused: The error for the variable that was too large, if there was one.
    """

    def __init__(self, stored: int, *, where: str) -> None:
        self._most = _GROWTH * stored + _FREE
        self._left = self._most
        self._where = where
        self.refused: FormatError | None = None

    def take(self, shape: tuple[int, ...], itemsize: int) -> None:
        """Count a variable.

        Raises:
            FormatError: it is too large.
        """
        self._left -= math.prod(shape) * itemsize
        if self._left < 0:
            self.refused = FormatError(
                "the configuration asks for variables that the artifact does not hold",
                where=self._where,
                expected=f"at most {self._most} bytes of variables",
                found=f"one of shape {list(shape)}",
                hint="If you trust whoever saved it, pass safe_mode=False",
            )
            raise self.refused
