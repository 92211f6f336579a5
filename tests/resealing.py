"""Manifests changed on purpose: with a checksum that is right again."""

from __future__ import annotations

from typing import Any

from remote_models._checksum import checksum_of
from remote_models._strict_json import canonical_json


def resealed(document: dict[str, Any]) -> bytes:
    """Return a stored manifest that was changed by somebody who knows how they are written."""
    return canonical_json({**document, "checksum": checksum_of(document)})
