"""Recognise an artifact by its bytes; a name is only a name.

Before TensorFlow 2.12 ``.keras`` meant HDF5, an ``.h5`` file may hold weights
only, and a SavedModel need not hold a Keras model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import IO

from remote_models.errors import UnrecognizedFormatError, UnsafeFormatError
from remote_models.formats._format import Format, Recognition
from remote_models.formats._hdf5 import HDF5_MAGIC, recognise_hdf5
from remote_models.formats._json import recognise_json
from remote_models.formats._keras_archive import (
    CONFIG,
    METADATA,
    WEIGHTS,
    keras_metadata,
    recognise_zip,
)
from remote_models.formats._saved_model import (
    KERAS_2_METADATA,
    SAVED_METADATA,
    SAVED_MODEL,
    holds_keras_3,
)
from remote_models.formats._saved_objects import holds_keras_objects
from remote_models.manifest import DIRECTORY_MANIFEST, FILE_MANIFEST_SUFFIX

__all__ = ["recognise_directory", "recognise_file"]

_HEAD = 1024

_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")

_PICKLE_PROTOCOLS = range(2, 6)

_TABLE_MAGIC = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
"""Last bytes of a checkpoint's index (tensorflow/core/lib/io/table_options.h, format.h)."""

_OTHERS: tuple[tuple[int, bytes, str, str], ...] = (
    (4, b"TFL3", "a TensorFlow Lite model", "Run it with LiteRT"),
    (0, b"\x93NUMPY", "a NumPy .npy array", "Open it with numpy.load"),
    (0, b"\x1f\x8b", "a gzip file", "Unpack it first"),
    (0, b"BZh", "a bzip2 file", "Unpack it first"),
    (0, b"\xfd7zXZ\x00", "an xz file", "Unpack it first"),
    (257, b"ustar", "a tar archive", "Unpack it and push the directory that it holds"),
    (0, b"GGUF", "a GGUF model", "Run it with llama.cpp"),
    (8, b'{"', "a safetensors file", "Open it with the safetensors package"),
    (0, b"version https://git-lfs", "a Git LFS pointer", "Fetch the file itself: git lfs pull"),
)

_SHOWN = 5

_MARKUP = (b"<!doctype", b"<html", b"<?xml")


def recognise_file(file: IO[bytes], *, where: str) -> Recognition:
    """Say what a file is.

    Args:
        file: Seekable, at its start.
        where: Its name, for messages.

    Raises:
        UnrecognizedFormatError: it is no Keras model; the message says what it is.
        UnsafeFormatError: it is a pickle.
    """
    head = file.read(_HEAD)
    file.seek(0)
    if not head:
        raise UnrecognizedFormatError("an empty file", where=where, hint="Save or copy it again")
    if head.startswith(HDF5_MAGIC):
        return recognise_hdf5(file, where=where)
    if head.startswith(_ZIP_MAGIC):
        return recognise_zip(file, where=where)
    if head.lstrip()[:1] in (b"{", b"["):
        return recognise_json(file, where=where)
    if _is_pickle(head):
        raise UnsafeFormatError(
            "a pickle: it can run any code when loaded, so it is never opened",
            where=where,
            hint="Load it where you trust it and save the model as .keras",
        )
    if head.lstrip()[:16].lower().startswith(_MARKUP):
        raise UnrecognizedFormatError(
            "a web page or XML document, no Keras model",
            where=where,
            hint="Check the URL that it was downloaded from",
        )
    for offset, magic, what, advice in _OTHERS:
        if head[offset : offset + len(magic)] == magic:
            raise UnrecognizedFormatError(f"{what}, no Keras model", where=where, hint=advice)
    if _tail(file, len(_TABLE_MAGIC)) == _TABLE_MAGIC:
        raise UnrecognizedFormatError(
            "one file of a TensorFlow checkpoint",
            where=where,
            hint="Name the checkpoint's prefix: the part before '.index'",
        )
    raise UnrecognizedFormatError(
        "neither HDF5 nor a .keras archive nor JSON: no Keras model, or a damaged one",
        where=where,
        found=f"first bytes {head[:8].hex(' ')}",
    )


def recognise_directory(
    names: Collection[str], open_file: Callable[[str], IO[bytes]], *, where: str
) -> Recognition:
    """Say what a directory is.

    Args:
        names: The relative paths of its files.
        open_file: Opens one of them for reading.
        where: The directory's name, for messages.

    Raises:
        UnrecognizedFormatError: it is no model.
    """
    if "saved_model.pb" in names or "saved_model.pbtxt" in names:
        if holds_keras_3(names):
            data = b""
            if SAVED_METADATA in names:
                with open_file(SAVED_METADATA) as file:
                    data = file.read()
            return replace(keras_metadata(data, format=Format.SAVED_MODEL), generation=3)
        with_keras = KERAS_2_METADATA in names or _holds_keras_2(names, open_file, where)
        return Recognition(
            format=Format.SAVED_MODEL,
            generation=2 if with_keras else None,
            has_keras_metadata=with_keras,
        )
    if CONFIG in names and any(weights in names for weights in WEIGHTS):
        data = b""
        if METADATA in names:
            with open_file(METADATA) as file:
                data = file.read()
        return keras_metadata(data, format=Format.KERAS_DIRECTORY)
    if inside := _models_inside(names):
        raise UnrecognizedFormatError(
            "a directory with models in it, but no model itself",
            where=where,
            found=", ".join(inside[:_SHOWN]) + (", …" if len(inside) > _SHOWN else ""),
            hint=f"Name one of them, as in {where}/{inside[-1]}",
        )
    hint = "A SavedModel directory holds saved_model.pb"
    if any(name.endswith(".index") for name in names):
        hint = "For a TensorFlow checkpoint name its prefix: the part before '.index'"
    elif any(name.partition("/")[0].isdigit() for name in names):
        hint = "It holds numbered versions: name one of them"
    raise UnrecognizedFormatError(
        "a directory, but no model", where=where, found=sorted(names)[:5], hint=hint
    )


def _models_inside(names: Collection[str]) -> list[str]:
    """Return the paths of models that lie in a directory, by names alone, versions in order."""
    found = set()
    for name in names:
        folder, _, last = name.rpartition("/")
        if folder and last in (DIRECTORY_MANIFEST, SAVED_MODEL):
            found.add(folder)
        elif name.endswith(FILE_MANIFEST_SUFFIX):
            found.add(name.removesuffix(FILE_MANIFEST_SUFFIX))
    return sorted(found, key=_in_order)


def _in_order(path: str) -> list[tuple[int, str]]:
    """Sort numbers in paths by their values: the highest version comes last."""
    return [(len(part) if part.isdigit() else 0, part) for part in path.split("/")]


def _holds_keras_2(
    names: Collection[str], open_file: Callable[[str], IO[bytes]], where: str
) -> bool:
    """Whether the graph itself holds the configuration, as before TensorFlow 2.5."""
    if SAVED_MODEL not in names:
        return False
    with open_file(SAVED_MODEL) as file:
        return holds_keras_objects(file, where=f"{where}: {SAVED_MODEL}")


def _tail(file: IO[bytes], size: int) -> bytes:
    end = file.seek(0, os.SEEK_END)
    file.seek(max(end - size, 0))
    return file.read(size)


def _is_pickle(head: bytes) -> bool:
    """Pickles of protocol 2 and later begin with PROTO (pickletools.py, "PROTO")."""
    return len(head) > 1 and head[0] == 0x80 and head[1] in _PICKLE_PROTOCOLS
