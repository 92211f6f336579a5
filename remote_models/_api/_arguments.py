"""What the verbs take: types, and the format that a name or a word asks for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from remote_models.errors import ArgumentError
from remote_models.formats import Format
from remote_models.storage import Location, ProgressCallback

__all__ = ["URL", "Progress", "StorageOptions", "local_path", "model_format", "weights_format"]

URL = str | os.PathLike[str]
StorageOptions = Mapping[str, Any]
Progress = bool | ProgressCallback | None

_MODEL_FORMATS = {
    "tf": Format.SAVED_MODEL,
    "tensorflow": Format.SAVED_MODEL,
    "h5": Format.H5,
    "hdf5": Format.H5,
    "keras": Format.KERAS,
}

_WEIGHTS_FORMATS = {
    "tf": Format.CHECKPOINT,
    "tensorflow": Format.CHECKPOINT,
    "h5": Format.H5_WEIGHTS,
    "hdf5": Format.H5_WEIGHTS,
    "keras": Format.KERAS_WEIGHTS,
}

_HDF5_SUFFIXES = (".h5", ".hdf5")

_KNOWN_SUFFIXES = (".keras", *_HDF5_SUFFIXES)

_FOREIGN_SUFFIXES = {
    ".ckpt", ".csv", ".gz", ".npy", ".npz", ".onnx", ".pb", ".pkl", ".pt", ".pth",
    ".safetensors", ".tar", ".tflite", ".txt", ".zip",
}  # fmt: skip
"""Names that promise a file of another kind, where a directory would come."""


def local_path(path: str | os.PathLike[str], *, where: str, hint: str) -> Path:
    """Return a path on this machine, which may be given as ``file://``.

    Args:
        path: What the caller has given.
        where: As which argument.
        hint: What to do with a URL instead.

    Raises:
        ArgumentError: it leads elsewhere, or is no path.
    """
    location = Location.parse(path)
    if not location.is_local:
        raise ArgumentError(
            "this must be a path on this machine", where=where, found=str(location), hint=hint
        )
    return Path(location.path if "://" in os.fspath(path) else path)


def model_format(location: Location, save_format: str | None) -> Format:
    """Return the format to save a whole model in.

    Raises:
        ArgumentError: the word is unknown, or the name is one for weights or
            architectures, which hold no whole model.
    """
    if save_format is not None:
        return _by_word(_MODEL_FORMATS, save_format)
    name = location.name.lower()
    for suffix, verb in ((".weights.h5", "save_weights"), (".weights.json", "save_weights"),
                         (".json", "save_architecture")):  # fmt: skip
        if name.endswith(suffix):
            raise ArgumentError(
                f"the extension {suffix} is for less than a whole model",
                where=str(location),
                hint=f"Call {verb}(), or pass save_format= to save a whole model all the same",
            )
    if name.endswith(".keras"):
        return Format.KERAS
    if name.endswith(_HDF5_SUFFIXES):
        return Format.H5
    _refuse_mistaken_suffix(location)
    return Format.SAVED_MODEL


def weights_format(location: Location, save_format: str | None, *, sharded: bool) -> Format:
    """Return the format to save weights in.

    Raises:
        ArgumentError: the word is unknown, or the name does not fit sharded weights.
    """
    name = location.name.lower()
    if sharded:
        if not name.endswith(".weights.json"):
            raise ArgumentError(
                "sharded weights need a name that ends in .weights.json",
                where=str(location),
                hint="Change the name, or leave max_shard_size out",
            )
        return Format.SHARDED_WEIGHTS
    if save_format is not None:
        return _by_word(_WEIGHTS_FORMATS, save_format)
    if name.endswith(".weights.json"):
        raise ArgumentError(
            "sharded weights, which Keras 3 writes, need a size for the shards",
            where=str(location),
            hint="Pass max_shard_size= in GiB, or end the name in .weights.h5",
        )
    if name.endswith(".keras"):
        raise ArgumentError(
            "the extension .keras is for whole models",
            where=str(location),
            hint="Call save_model(), or end the name in .weights.h5",
        )
    if name.endswith(".weights.h5"):
        return Format.KERAS_WEIGHTS
    return Format.H5_WEIGHTS if name.endswith(_HDF5_SUFFIXES) else Format.CHECKPOINT


def _refuse_mistaken_suffix(location: Location) -> None:
    import difflib

    suffix = PurePosixPath(location.name.lower()).suffix
    near = difflib.get_close_matches(suffix, _KNOWN_SUFFIXES, n=1, cutoff=0.7)
    if near or suffix in _FOREIGN_SUFFIXES:
        raise ArgumentError(
            f"the extension {suffix} is none of a model's, and a SavedModel is a directory",
            where=str(location),
            expected=" or ".join(near or _KNOWN_SUFFIXES),
            hint="Change the name, or pass save_format='tf' if you mean it",
        )


def _by_word(formats: Mapping[str, Format], word: str) -> Format:
    try:
        return formats[word.lower()]
    except (KeyError, AttributeError) as error:
        raise ArgumentError(
            "unknown format",
            where="save_format",
            expected=", ".join(map(repr, formats)),
            found=repr(word),
        ) from error
