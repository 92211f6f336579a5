"""Checked reading of JSON members; every refusal says where, as in ``files[2].size``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NewType

from remote_models.errors import ManifestError

__all__ = [
    "RelativePath",
    "array_field",
    "malformed",
    "object_field",
    "parse_relative_path",
    "size_field",
    "text_field",
    "texts_field",
]

RelativePath = NewType("RelativePath", str)
"""A path inside an artifact that :func:`parse_relative_path` let through."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_SHOWN = 80
"""Characters of a bad value that a message repeats."""


def parse_relative_path(text: object, *, where: str) -> RelativePath:
    """Return ``text`` if it is a safe path inside an artifact.

    Safe is: parts joined by single ``/``, none of them empty, ``.`` or ``..``, no
    backslash and no control character. So no path leaves the artifact (CWE-22)
    and every file has one spelling.

    Raises:
        ManifestError: it is not; ``where`` names the field in the message.
    """
    path = text_field(text, where)
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise ManifestError(
            "unsafe path",
            where=where,
            expected="a relative path without empty, '.' or '..' parts",
            found=_shorten(path),
        )
    if "\\" in path or _CONTROL.search(path):
        raise ManifestError(
            "unsafe path",
            where=where,
            expected="no backslash, no control character",
            found=_shorten(path),
        )
    return RelativePath(path)


def malformed(where: str, expected: str, found: object) -> ManifestError:
    """Return the error for a member of the wrong kind."""
    return ManifestError("malformed", where=where, expected=expected, found=_shorten(found))


def object_field(value: object, where: str) -> Mapping[str, Any]:
    """Return ``value`` if it is a JSON object."""
    if not isinstance(value, dict):
        raise malformed(where, "an object", value)
    return value


def array_field(value: object, where: str) -> Sequence[object]:
    """Return ``value`` if it is a JSON array."""
    if not isinstance(value, list):
        raise malformed(where, "an array", value)
    return value


def text_field(value: object, where: str) -> str:
    """Return ``value`` if it is text."""
    if not isinstance(value, str):
        raise malformed(where, "text", value)
    return value


def texts_field(value: object, where: str) -> Mapping[str, str]:
    """Return ``value`` if it is a JSON object whose members are text."""
    return {
        key: text_field(text, f"{where}.{key}") for key, text in object_field(value, where).items()
    }


def size_field(value: object, where: str) -> int:
    """Return ``value`` if it is a whole number of bytes or elements."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise malformed(where, "a whole number from 0 to 2^63 - 1", value)
    return value


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
