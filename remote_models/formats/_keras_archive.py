"""``.keras`` archives: a zip of ``metadata.json``, ``config.json`` and weights.

Layout: keras/src/saving/saving_lib.py (Keras 3.15).
"""

from __future__ import annotations

import json
import lzma
import struct
import zipfile
import zlib
from typing import IO

from remote_models.errors import (
    RemoteModelsError,
    UnrecognizedFormatError,
    UnsafeFormatError,
)
from remote_models.formats._format import Format, Recognition
from remote_models.formats._generation import generation_of

__all__ = ["CONFIG", "METADATA", "WEIGHTS", "ZIP_DAMAGE", "keras_metadata", "recognise_zip"]

CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = ("model.weights.h5", "model.weights.npz")

ZIP_DAMAGE = (
    zipfile.BadZipFile, RuntimeError, EOFError, ValueError, OSError, OverflowError, struct.error,
    zlib.error, lzma.LZMAError,
)  # fmt: skip
"""What ``zipfile`` raises on the way through a damaged file; found by changing good ones."""

_MAX_METADATA = 1024 * 1024
"""Bytes of ``metadata.json`` read at most; Keras writes about 70."""


def recognise_zip(file: IO[bytes], *, where: str) -> Recognition:
    """Say whether a zip file is a ``.keras`` archive, by its members.

    Raises:
        UnrecognizedFormatError: it is damaged, or some other zip file.
        UnsafeFormatError: it is a PyTorch checkpoint, which is a pickle inside.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            names = set(archive.namelist())
            if CONFIG in names and any(weights in names for weights in WEIGHTS):
                return keras_metadata(_metadata(archive), format=Format.KERAS)
    except RemoteModelsError:
        raise
    except ZIP_DAMAGE as error:
        raise UnrecognizedFormatError(
            "a damaged zip file", where=where, found=str(error), hint="Save or copy it again"
        ) from error
    if any(name.endswith(".pkl") for name in names):
        raise UnsafeFormatError(
            "a PyTorch checkpoint: it holds a pickle, which can run any code when loaded",
            where=where,
            hint="Load it with torch.load(weights_only=True) and convert it",
        )
    if names and all(name.endswith(".npy") for name in names):
        raise UnrecognizedFormatError(
            "a NumPy .npz archive, no Keras model", where=where, hint="Open it with numpy.load"
        )
    raise UnrecognizedFormatError(
        "a zip file, but not a .keras archive",
        where=where,
        expected=f"members {CONFIG} and {WEIGHTS[0]}",
        found=sorted(names)[:5],
    )


def keras_metadata(data: bytes, *, format: Format) -> Recognition:
    """Read ``metadata.json``; without a version in it the generation stays unknown."""
    try:
        members = json.loads(data) if data else {}
    except (ValueError, RecursionError):
        members = {}
    version = members.get("keras_version") if isinstance(members, dict) else None
    version = version if isinstance(version, str) else None
    return Recognition(format=format, generation=generation_of(version), keras_version=version)


def _metadata(archive: zipfile.ZipFile) -> bytes:
    if METADATA not in archive.namelist():
        return b""
    with archive.open(METADATA) as member:
        return member.read(_MAX_METADATA)
