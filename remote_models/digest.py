"""SHA-256 digests, written ``sha256:<64 hexadecimal digits>``.

SHA-256 (FIPS 180-4) is what ``sha256sum`` prints, so that anybody can check a
manifest without this library.
"""

from __future__ import annotations

import hashlib
import re

from remote_models.errors import ArgumentError

__all__ = ["format_digest", "is_sha256", "parse_digest", "sha256_hex"]

_HEX = re.compile(r"[0-9a-f]{64}")


def sha256_hex(data: bytes | bytearray | memoryview) -> str:
    """Return the SHA-256 of ``data`` as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def is_sha256(text: object) -> bool:
    """Say whether ``text`` is 64 lower-case hexadecimal digits."""
    return isinstance(text, str) and _HEX.fullmatch(text) is not None


def format_digest(sha256: str) -> str:
    """Write hexadecimal digits as a digest; the inverse of :func:`parse_digest`."""
    return f"sha256:{sha256}"


def parse_digest(digest: str) -> str:
    """Return the hexadecimal digits of ``sha256:<hex>``.

    Raises:
        ArgumentError: ``digest`` has another form.
    """
    algorithm, _, digits = digest.partition(":")
    if algorithm != "sha256" or not is_sha256(digits):
        raise ArgumentError(
            "not a digest", expected="sha256: and 64 hexadecimal digits", found=repr(digest)
        )
    return digits
