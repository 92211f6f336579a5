"""Checked reading of JSON members; every refusal says where, as in ``files[2].size``."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NewType

from remote_models.errors import ManifestError

__all__ = [
    "RelativePath",
    "array_field",
    "malformed",
    "object_field",
    "parse_relative_path",
    "shorten",
    "shorten_text",
    "size_field",
    "text_field",
    "texts_field",
    "time_field",
    "unsafe_path",
]

RelativePath = NewType("RelativePath", str)
"""A path inside an artifact that :func:`parse_relative_path` let through."""

# C0, DEL and C1 steer terminals (CWE-150); UTF-8 cannot hold halves of surrogate pairs.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_DRIVE = re.compile(r"[A-Za-z]:")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")

_MAX_PATH_BYTES = 1024
"""The bytes of a key on S3 and on GCS."""

_SHOWN = 120
"""Characters of a bad value that a message repeats."""


def parse_relative_path(text: object, *, where: str) -> RelativePath:
    """Return ``text`` if it is a safe path inside an artifact.

    Safe is: parts joined by single ``/``, none of them empty, ``.`` or ``..``, no
    drive letter, no backslash, no control character, at most 1024 bytes. So no path
    leaves the artifact (CWE-22), and every file has one spelling.

    Raises:
        ManifestError: it is not; ``where`` names the field in the message.
    """
    path = text_field(text, where)
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise unsafe_path(where, "a relative path without empty, '.' or '..' parts", path)
    if _DRIVE.match(path):
        raise unsafe_path(where, "no drive letter", path)
    if "\\" in path or _UNPRINTABLE.search(path):
        raise unsafe_path(where, "no backslash, no control character", path)
    if len(path.encode()) > _MAX_PATH_BYTES:
        raise unsafe_path(where, f"at most {_MAX_PATH_BYTES} bytes", path)
    return RelativePath(path)


def unsafe_path(where: str, expected: str, found: str) -> ManifestError:
    """Return the error for a path that cannot be one of an artifact's."""
    return ManifestError("unsafe path", where=where, expected=expected, found=shorten(found))


def malformed(where: str, expected: str, found: object) -> ManifestError:
    """Return the error for a member of the wrong kind."""
    return ManifestError("malformed", where=where, expected=expected, found=shorten(found))


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
        name: text_field(text, f"{where}.{shorten_text(name)}")
        for name, text in object_field(value, where).items()
    }


def size_field(value: object, where: str) -> int:
    """Return ``value`` if it is a whole number of bytes or elements."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise malformed(where, "a whole number from 0 to 2^63 - 1", value)
    return value


def time_field(value: object, where: str) -> str:
    """Return ``value`` if it is a moment, ``YYYY-MM-DDThh:mm:ssZ``."""
    text = value if isinstance(value, str) and _TIME.fullmatch(value) else ""
    try:
        datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z")
    except ValueError as error:
        raise malformed(where, "YYYY-MM-DDThh:mm:ssZ", value) from error
    return text


def shorten(value: object) -> str:
    """Return a ``repr()`` that is short, whatever somebody wrote into the document."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 80
    return shorten_text(short.repr(value))


def shorten_text(text: str) -> str:
    """Return ``text``, cut to a length that a message can bear."""
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
