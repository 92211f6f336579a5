"""From a version of Keras to its generation."""

from __future__ import annotations

__all__ = ["generation_of"]


def generation_of(keras_version: str | None) -> int | None:
    """Return 2 for Keras 1 and 2 (``2.2.4-tf`` included), 3 for Keras 3, else ``None``."""
    major = (keras_version or "").partition(".")[0]
    if major in ("1", "2"):
        return 2
    return 3 if major == "3" else None
