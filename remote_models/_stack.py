"""Where the library was called from."""

from __future__ import annotations

import contextlib
import inspect
import os
from pathlib import Path

__all__ = ["callers_level"]

_INSIDE = (str(Path(__file__).parent) + os.sep, contextlib.__file__)
"""Files whose frames lie between a caller and a warning."""


def callers_level() -> int:
    """Return the ``stacklevel`` with which ``warnings.warn`` names the library's caller.

    Python 3.12's ``skip_file_prefixes`` does the same.
    """
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_code.co_filename.startswith(_INSIDE):
        frame, level = frame.f_back, level + 1
    return level
