"""Keys for signatures, from files or from memory."""

from __future__ import annotations

import os
import re
from pathlib import Path

from remote_models.errors import ArgumentError
from remote_models.signing import PrivateKey, PublicKey

__all__ = ["Key", "read_private_key", "read_public_key", "read_public_pem"]

Key = str | os.PathLike[str] | bytes
"""The path of a PEM file, or what such a file holds."""

_MAX_BYTES = 64 * 1024

_MARK = "-----BEGIN"

_LIKE_A_KEY = re.compile(r"[A-Za-z0-9+/=_\s-]{64,}")
"""What may be a key that has lost the lines around it, and must not be printed."""


def read_public_key(key: Key | None) -> PublicKey | None:
    """Return the key to verify with, if one was given.

    Raises:
        ArgumentError: it cannot be read, or is no public key that can be used.
        MissingDependencyError: the package cryptography is not installed.
    """
    if key is None:
        return None
    data, where = _read(key, "public_key")
    return PublicKey.from_pem(data, where=where)


def read_public_pem(key: Key | None) -> bytes | None:
    """Return the content of the key to verify with, which needs no file elsewhere.

    Raises:
        ArgumentError: as :func:`read_public_key`, like all errors.
    """
    if key is None:
        return None
    data, where = _read(key, "public_key")
    PublicKey.from_pem(data, where=where)
    return data


def read_private_key(key: Key, password: str | bytes | None) -> PrivateKey:
    """Return the key to sign with. No message repeats any of it, or of the password.

    Raises:
        ArgumentError: it cannot be read, or is no private key that can be used.
        MissingDependencyError: the package cryptography is not installed.
    """
    data, where = _read(key, "private_key")
    secret = password.encode() if isinstance(password, str) else password
    return PrivateKey.from_pem(data, secret, where=where)


def _read(key: object, name: str) -> tuple[bytes, str]:
    """Return the content of a PEM file, and what to call it."""
    if isinstance(key, bytes):
        return key, name
    path = os.fspath(key) if isinstance(key, str | os.PathLike) else key
    if not isinstance(path, str) or "\0" in path:
        raise ArgumentError(
            "not a key", where=name, expected="the path of a PEM file, or its content",
            found=type(key).__name__,
        )  # fmt: skip
    if _MARK in path:
        return path.encode(), name
    shown = None if _LIKE_A_KEY.fullmatch(path) else path
    try:
        with Path(path).open("rb") as file:
            data = file.read(_MAX_BYTES)
    except OSError as error:
        # Its text, and so that of the error which it caused, repeats what was given.
        raise ArgumentError(
            f"the key cannot be read: {error.strerror}", where=name, found=shown,
            hint="Pass the path of a PEM file, or its content",
        ) from None  # fmt: skip
    return data, shown or name
