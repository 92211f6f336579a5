"""Artifacts made by hand: raw tensors under a manifest, and Keras' layout written with h5py.

Whatever lies in a store is put there and looked at behind the store's back.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fsspec
import h5py
import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from remote_models.formats._crc32c import masked_crc32c
from remote_models.manifest import FileEntry, Layout, Manifest, RelativePath, StoredManifest
from remote_models.remote_model import ArtifactFolder, RemoteModel
from remote_models.storage import Location, ObjectInfo, open_store
from remote_models.tensors import Piece, Role, StoredTensor

__all__ = [
    "SAMPLES",
    "Cut",
    "block_digests",
    "delete",
    "encode",
    "flip",
    "get",
    "manifest_of",
    "opened",
    "put",
    "same",
    "store_tensors",
    "write_legacy",
    "write_weights",
]

SAMPLES = Path(__file__).parents[1] / "formats/samples"
"""Small files that the frameworks themselves wrote."""

Array = NDArray[Any]

Cut = tuple[tuple[int, ...], ...]
"""Per axis, the lengths into which a partitioned tensor is cut; empty for no partition."""

_ML_DTYPES = {
    np.dtype(getattr(ml_dtypes, name)): name
    for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2")
}


def put(location: Location, data: bytes) -> None:
    filesystem, key = _key(location)
    if location.is_local:
        os.makedirs(os.path.dirname(key), exist_ok=True)
        # As a saver does: what is mapped into memory must not change.
        Path(f"{key}.new").write_bytes(data)
        os.replace(f"{key}.new", key)
        return
    filesystem.pipe_file(key, data)


def get(location: Location) -> bytes:
    filesystem, key = _key(location)
    data: bytes = filesystem.cat_file(key)
    return data


def delete(location: Location) -> None:
    filesystem, key = _key(location)
    filesystem.rm_file(key)


def flip(location: Location, position: int) -> None:
    """Change one bit of a stored byte."""
    data = bytearray(get(location))
    data[position] ^= 1
    put(location, bytes(data))


def _key(location: Location) -> tuple[Any, str]:
    filesystem = fsspec.filesystem(location.protocol, **location.storage_options)
    if location.protocol == "memory":
        return filesystem, f"/{location.path}"
    return filesystem, filesystem._strip_protocol(location.url)


def same(found: Any, expected: Any) -> bool:
    """Whether two arrays or elements are equal bit by bit, dtype and shape included."""
    if isinstance(expected, bytes):
        return type(found) is bytes and found == expected
    found, expected = np.asarray(found), np.asarray(expected)
    if found.dtype != expected.dtype or found.shape != expected.shape:
        return False
    if expected.dtype == object:
        return bool(found.tolist() == expected.tolist())
    return bool(found.tobytes() == expected.tobytes())


def encode(array: Array) -> bytes:
    """The bytes of a tensor; of strings as a TensorBundle has them."""
    if array.dtype != object:
        return array.tobytes()
    strings = [bytes(each) for each in array.ravel()]
    lengths = b"".join(len(each).to_bytes(4, "little") for each in strings)
    stored = b"".join(_varint(len(each)) for each in strings)
    return stored + masked_crc32c(lengths).to_bytes(4, "little") + b"".join(strings)


def _varint(value: int) -> bytes:
    octets = bytearray()
    while value >= 0x80:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*octets, value])


def block_digests(data: bytes, block_size: int) -> bytes:
    """The specification in one line: docs/manifest.md, "Tensors"."""
    return b"".join(
        hashlib.sha256(data[at : at + block_size]).digest()
        for at in range(0, len(data), block_size)
    )


@dataclass
class _Writer:
    """A file that grows piece by piece, with bytes of nobody's in between."""

    path: str
    gap: int
    block_size: int
    data: bytearray

    def add(self, origin: tuple[int, ...], block: Array) -> Piece:
        self.data += b"\xee" * self.gap
        content = encode(block)
        piece = Piece(
            file=self.path,
            offset=len(self.data),
            nbytes=len(content),
            origin=origin,
            shape=block.shape,
            digests=block_digests(content, self.block_size),
        )
        self.data += content
        return piece


def _blocks(array: Array, cut: Cut) -> Iterator[tuple[tuple[int, ...], Array]]:
    if not cut:
        yield (0,) * array.ndim, array
        return
    assert [sum(lengths) for lengths in cut] == list(array.shape)
    for number in np.ndindex(*(len(lengths) for lengths in cut)):
        origin = tuple(sum(cut[axis][:at]) for axis, at in enumerate(number))
        extent = tuple(cut[axis][at] for axis, at in enumerate(number))
        yield origin, array[tuple(slice(o, o + e) for o, e in zip(origin, extent, strict=True))]


def dtype_name(array: Array) -> str:
    return "string" if array.dtype == object else _ML_DTYPES.get(array.dtype, array.dtype.name)


def store_tensors(
    base: Location,
    arrays: Mapping[str, Array],
    *,
    block_size: int = 64 * 1024,
    gap: int = 3,
    cuts: Mapping[str, Cut] | None = None,
    files: int = 1,
) -> Manifest:
    """Put tensors into files of the directory ``base`` and return the manifest of them."""
    writers = [
        _Writer(path=f"data-{number}", gap=gap, block_size=block_size, data=bytearray())
        for number in range(files)
    ]
    tensors = []
    for index, (name, array) in enumerate(arrays.items()):
        pieces = [
            writers[(index + number) % files].add(origin, block)
            for number, (origin, block) in enumerate(_blocks(array, (cuts or {}).get(name, ())))
        ]
        tensors.append(
            StoredTensor(
                key=f"key of {name}",
                name=name,
                dtype=dtype_name(array),
                shape=array.shape,
                pieces=tuple(pieces),
                role=Role.WEIGHT,
            )
        )
    for writer in writers:
        put(base.join(writer.path), bytes(writer.data))
    return manifest_of(
        {writer.path: bytes(writer.data) for writer in writers}, tensors, block_size=block_size
    )


def manifest_of(
    files: Mapping[str, bytes], tensors: Sequence[StoredTensor], *, block_size: int
) -> Manifest:
    return Manifest(
        format="tf_checkpoint",
        layout=Layout.DIRECTORY,
        created="2026-01-01T00:00:00Z",
        producer={},
        files=tuple(
            FileEntry(
                path=RelativePath(path),
                size=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
                rest_sha256=_rest_sha256(path, data, tensors),
            )
            for path, data in sorted(files.items())
        ),
        tensors=tuple(tensors),
        block_size=block_size if tensors else 0,
    )


def _rest_sha256(path: str, data: bytes, tensors: Sequence[StoredTensor]) -> str:
    rest = bytearray(b"\x01" * len(data))
    for piece in (piece for tensor in tensors for piece in tensor.pieces if piece.file == path):
        rest[piece.offset : piece.stop] = bytes(piece.nbytes)
    outside = bytes(byte for byte, is_outside in zip(data, rest, strict=True) if is_outside)
    return hashlib.sha256(outside).hexdigest()


def opened(base: Location, manifest: Manifest, *, verify: bool = True) -> RemoteModel:
    """Open a directory by a manifest that does not lie in it.

    The manifest is not parsed, so that blocks may be of any size.
    """
    folder = ArtifactFolder(store=open_store(base), location=base, layout=Layout.DIRECTORY)
    return RemoteModel(
        folder,
        stored=StoredManifest(current=manifest),
        infos={entry.path: ObjectInfo(size=entry.size) for entry in manifest.files},
        verify=verify,
    )


def without_digests(manifest: Manifest) -> Manifest:
    """The same manifest, with nothing that vouches for the tensors."""
    return replace(
        manifest,
        tensors=tuple(
            replace(tensor, pieces=tuple(replace(piece, digests=b"") for piece in tensor.pieces))
            for tensor in manifest.tensors
        ),
    )


def write_weights(path: Path, layers: Mapping[str, Iterable[Array]]) -> None:
    """Write a ``.weights.h5`` as Keras 3 does (H5IOStore in keras/src/saving/saving_lib.py)."""
    with h5py.File(path, "w") as root:
        for layer, arrays in layers.items():
            group = root.create_group(f"layers/{layer}/vars")
            group.attrs["name"] = layer
            for number, array in enumerate(arrays):
                group.create_dataset(str(number), data=array)


def write_legacy(path: Path, layers: Mapping[str, Mapping[str, Array]]) -> None:
    """Write weights as Keras 2 does (tf_keras/src/saving/legacy/hdf5_format.py)."""
    with h5py.File(path, "w") as root:
        root.attrs["layer_names"] = [layer.encode() for layer in layers]
        root.attrs["backend"] = b"tensorflow"
        root.attrs["keras_version"] = b"2.15.0"
        for layer, arrays in layers.items():
            group = root.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{name}:0".encode() for name in arrays]
            for name, array in arrays.items():
                group.create_dataset(f"{layer}/{name}:0", data=array)


def elements(manifest: Manifest) -> int:
    return sum(math.prod(tensor.shape) for tensor in manifest.tensors)
