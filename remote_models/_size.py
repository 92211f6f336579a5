"""Sizes in bytes, as people write them."""

from __future__ import annotations

import re

from remote_models.errors import ArgumentError

__all__ = ["parse_size"]

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)


def parse_size(text: str, where: str) -> int:
    """Return the bytes that a text such as ``10GB``, ``1.5 GiB`` or ``4096`` means.

    Args:
        text: A number, and a unit of powers of 1000 (``kB``) or of 1024 (``KiB``).
        where: What holds the text, for the error.

    Raises:
        ArgumentError: it means nothing.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None or (match[3] and not match[2]):
        raise ArgumentError(
            "not a size", where=where, expected="as in 10GB or 512MiB", found=repr(text)
        )
    base = 1024 if match[3] else 1000
    factor = base ** ("", "k", "m", "g", "t").index(match[2].lower())
    return int(match[1]) * factor if match[1].isdigit() else int(float(match[1]) * factor)
