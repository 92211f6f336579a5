"""What a manifest says of itself, so that damage to it is noticed by all who read it.

The rules are those of docs/manifest.md, "The checksum". It guards against damage and not
against people: who can write a manifest can write its checksum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remote_models._fields import malformed, shorten
from remote_models._strict_json import canonical_json
from remote_models.digest import is_sha256, sha256_hex
from remote_models.errors import ManifestError

__all__ = ["DAMAGED", "check_checksum", "checksum_of"]

DAMAGED = "The manifest is damaged, or was edited by hand: restore it, or save the model again"
"""What to do about a manifest that contradicts itself."""

_MEMBER = "checksum"

_LEFT_OUT = {_MEMBER, "pending"}


def checksum_of(document: Mapping[str, Any]) -> str:
    """Return the checksum that belongs into a document; raises as ``canonical_json`` does."""
    counted = {name: value for name, value in document.items() if name not in _LEFT_OUT}
    return sha256_hex(canonical_json(counted))


def check_checksum(document: Mapping[str, Any], *, required: bool) -> None:
    """Compare a document with the checksum in it.

    Args:
        document: The document of one artifact.
        required: Whether a document without one is refused.

    Raises:
        ManifestError: it is another, malformed, or absent and required.
    """
    if _MEMBER not in document and not required:
        return
    said = document.get(_MEMBER)
    if not is_sha256(said):
        raise malformed(_MEMBER, "64 lower-case hexadecimal digits", said)
    found = checksum_of(document)
    if said != found:
        raise ManifestError(
            "the manifest is not what was written", where=_MEMBER, expected=shorten(said),
            found=shorten(found), hint=DAMAGED,
        )  # fmt: skip
