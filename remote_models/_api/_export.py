"""Weights to a local file in a format that other tools read: safetensors or npz."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from remote_models._api._arguments import local_path
from remote_models._api._local_copy import require_folder_around, temporary_directory
from remote_models.errors import ArgumentError, FormatError
from remote_models.formats.indexing import OBJECT_GRAPH
from remote_models.tensors import DTYPE_BITS

if TYPE_CHECKING:
    from remote_models.remote_model import RemoteTensor, TensorSelector, Weights

__all__ = ["export_weights"]

_SAFETENSORS_DTYPES = {
    "bool": "BOOL",
    "int8": "I8",
    "uint8": "U8",
    "int16": "I16",
    "uint16": "U16",
    "int32": "I32",
    "uint32": "U32",
    "int64": "I64",
    "uint64": "U64",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
    "complex64": "C64",
}
"""Names of dtypes in the header of a safetensors file (its README, "Format")."""

_NPY_DTYPES = set(DTYPE_BITS) - {"int4", "uint4", "bfloat16", "float8_e4m3fn", "float8_e5m2"}


def export_weights(
    weights: Weights, path: str | os.PathLike[str], selector: TensorSelector = None
) -> list[str]:
    """Read tensors and write them to a local file, which appears when it is whole.

    Memory holds what is under way, not the whole.

    Args:
        weights: As in ``open_model(url).weights``.
        path: The file, by whose extension ``.safetensors`` or ``.npz`` the format is chosen.
        selector: Which tensors, as in :meth:`Weights.select`; by default all but the
            object graph that a checkpoint holds.

    Returns:
        The names that were written.

    Raises:
        ArgumentError: the extension is another one.
        FormatError: a tensor's dtype does not exist in the format.
        BucketNotFoundError: the folder for the file does not exist.
        IntegrityError: the bytes are not those that the manifest vouches for.
        StorageError: the store refused or failed.
    """
    target = local_path(path, where="path", hint="Write it here first, then upload it")
    writers = {".safetensors": _write_safetensors, ".npz": _write_npz}
    if target.suffix not in writers:
        raise ArgumentError(
            "unknown format", where=str(target), expected=" or ".join(writers), found=target.suffix
        )
    chosen = weights.select(selector)
    if selector is None:
        # A checkpoint describes itself in a tensor of text, which is no weight.
        chosen = [tensor for tensor in chosen if tensor.key != OBJECT_GRAPH]
    with _appearing_whole(target) as file:
        writers[target.suffix](file, chosen, weights)
    return [tensor.name for tensor in chosen]


def _write_safetensors(file: IO[bytes], chosen: Sequence[RemoteTensor], weights: Weights) -> None:
    _refuse(chosen, set(_SAFETENSORS_DTYPES), "safetensors", "Leave it out")
    header: dict[str, Any] = {}
    stop = 0
    for tensor in chosen:
        start, stop = stop, stop + tensor.nbytes
        header[tensor.name] = {
            "dtype": _SAFETENSORS_DTYPES[tensor.dtype_name],
            "shape": list(tensor.shape),
            "data_offsets": [start, stop],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data begins at a multiple of 8
    file.write(len(text).to_bytes(8, "little") + text)
    base = 8 + len(text)
    for name, array in weights.stream([tensor.name for tensor in chosen]):
        file.seek(base + header[name]["data_offsets"][0])
        file.write(_raw(array))


def _write_npz(file: IO[bytes], chosen: Sequence[RemoteTensor], weights: Weights) -> None:
    _refuse(chosen, _NPY_DTYPES, "npz", "Write a .safetensors file, or leave it out")
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in weights.stream([tensor.name for tensor in chosen]):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _raw(array: np.ndarray[Any, Any]) -> memoryview:
    """Return the bytes of an array, of a dtype that memoryview does not know as well."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _refuse(chosen: Sequence[RemoteTensor], known: set[str], format: str, hint: str) -> None:
    for tensor in chosen:
        if tensor.dtype_name not in known:
            raise FormatError(
                f"{format} has no dtype for {tensor.dtype_name}", where=tensor.name, hint=hint
            )


@contextmanager
def _appearing_whole(target: Path) -> Iterator[IO[bytes]]:
    require_folder_around(target)
    with temporary_directory(target.absolute().parent) as folder:
        with (folder / "weights").open("wb") as file:
            yield file
        (folder / "weights").replace(target)
