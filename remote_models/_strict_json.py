"""JSON as manifests have it: read strictly, written in one form.

The rules are those of docs/manifest.md, "Canonical form". What is read comes from
a store and may have been made to harm: time, memory and messages stay in
proportion to its size.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from remote_models._fields import shorten, shorten_text
from remote_models.errors import ManifestError

__all__ = [
    "MAX_MANIFEST_BYTES",
    "MAX_NESTING",
    "NOT_CANONICAL",
    "canonical_json",
    "parse_json",
]

MAX_MANIFEST_BYTES = 64 * 1024 * 1024
"""A larger document is refused unread: 10,000 tensors of 1 GiB need about 8 MB, and parsing a
hostile one takes a quarter of a second for each MiB."""

MAX_NESTING = 200
"""Objects and arrays inside each other: fewer than Python's recursion stands anywhere."""

_MAX_DIGITS = 1000
"""Digits of a whole number: reading takes time that grows with their square (CWE-1333)."""


def parse_json(data: bytes) -> object:
    """Read a document that is UTF-8 and has one meaning for every reader.

    Raises:
        ManifestError: it is no JSON, too large, nested too deeply, or has a member
            twice or a number that other readers may read otherwise.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise ManifestError(
            "too large", expected=f"at most {MAX_MANIFEST_BYTES} bytes", found=len(data)
        )
    try:
        # Decoded here, since json.loads() would take UTF-16 and encoded surrogates too.
        value: object = json.loads(
            data.decode(),
            object_pairs_hook=_unique_members,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ManifestError(
            "not JSON", found=str(error), hint="The file is damaged, or belongs to something else"
        ) from error
    except RecursionError as error:
        raise _too_deep() from error
    _check_nesting(value)
    return value


def _check_nesting(value: object) -> None:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MAX_NESTING):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> ManifestError:
    return ManifestError("nested too deeply", expected=f"at most {MAX_NESTING} levels")


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        # Two readers that keep different duplicates would see different manifests.
        twice = next(name for name, count in Counter(n for n, _ in pairs).items() if count > 1)
        raise ManifestError("a member stands twice in one object", found=shorten(twice))
    return members


def _refuse_constant(name: str) -> object:
    raise ManifestError("not JSON", found=name)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ManifestError("a number too large", found=shorten_text(text))
    return number


def _whole(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ManifestError(
            "a number too large", expected=f"at most {_MAX_DIGITS} digits",
            found=shorten_text(text),
        )  # fmt: skip
    return int(text)


NOT_CANONICAL = (TypeError, ValueError, RecursionError)
"""What :func:`canonical_json` raises of values that JSON, or UTF-8, cannot hold."""


def canonical_json(document: Mapping[str, Any]) -> bytes:
    """Write a document in its one form; raises any of :data:`NOT_CANONICAL`."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()
