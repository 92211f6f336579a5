"""Where a stored tensor's bytes lie, and the digests that vouch for them.

A format's index and a manifest consist of the same values. The JSON form is
specified in docs/manifest.md, "Tensors".
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any

from remote_models._fields import (
    array_field,
    malformed,
    object_field,
    parse_relative_path,
    size_field,
    text_field,
)
from remote_models.errors import ManifestError

__all__ = [
    "DIGEST_SIZE",
    "DTYPE_BITS",
    "MIN_BLOCK_SIZE",
    "Extent",
    "Piece",
    "Role",
    "StoredTensor",
    "block_count",
    "choose_block_size",
    "tiles",
]

DIGEST_SIZE = 32
"""Bytes of one block's SHA-256."""

MIN_BLOCK_SIZE = 64 * 1024
"""Bytes of a block at least: of smaller ones the digests would outweigh the data."""

_MAX_BLOCKS = 1024

_MAX_DIMENSIONS = 32

_POINTER_BITS = 64
"""What an element of an array of objects takes."""

DTYPE_BITS = {
    "bool": 8,
    "int4": 4,
    "uint4": 4,
    "int8": 8,
    "uint8": 8,
    "int16": 16,
    "uint16": 16,
    "int32": 32,
    "uint32": 32,
    "int64": 64,
    "uint64": 64,
    "float8_e4m3fn": 8,
    "float8_e5m2": 8,
    "float16": 16,
    "bfloat16": 16,
    "float32": 32,
    "float64": 64,
    "complex64": 64,
    "complex128": 128,
}
"""Bits that one element takes in storage, for every dtype but ``string``."""


Extent = tuple[int, int]
"""Where a slice begins in one dimension, and its length there."""


class Role(StrEnum):
    """What a tensor is for. The values stand in manifests."""

    WEIGHT = "weight"
    OPTIMIZER = "optimizer"
    METRIC = "metric"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """One contiguous range of a file that holds a tensor, or a block of one.

    Attributes:
        file: The file, relative to the artifact.
        offset: The first byte.
        nbytes: How many bytes.
        origin: Where in the tensor the block begins, one index per dimension;
            all zero for a tensor in one piece.
        shape: The block's shape; the tensor's own for a tensor in one piece.
        digests: The SHA-256 of each of its blocks, one after the other; empty while
            nothing vouches for the bytes.
        masked_crc32c: The checksum that a TensorBundle keeps of the range
            (tsl/lib/hash/crc32c.h, "Mask"), else ``None``. Not part of a manifest.
    """

    file: str
    offset: int
    nbytes: int
    origin: tuple[int, ...]
    shape: tuple[int, ...]
    digests: bytes = b""
    masked_crc32c: int | None = None

    @property
    def stop(self) -> int:
        """The first byte behind the range."""
        return self.offset + self.nbytes

    def to_json(self) -> dict[str, Any]:
        """Return the members that say where the range is and what vouches for it."""
        return {
            "file": self.file,
            "offset": self.offset,
            "nbytes": self.nbytes,
            "blocks": base64.b64encode(self.digests).decode(),
        }

    @classmethod
    def from_json(
        cls, fields: Mapping[str, Any], *, where: str, block_size: int,
        origin: tuple[int, ...], shape: tuple[int, ...],
    ) -> Piece:  # fmt: skip
        """Read the members that :meth:`to_json` writes."""
        nbytes = size_field(fields.get("nbytes"), f"{where}.nbytes")
        return cls(
            file=parse_relative_path(fields.get("file"), where=f"{where}.file"),
            offset=size_field(fields.get("offset"), f"{where}.offset"),
            nbytes=nbytes,
            origin=origin,
            shape=shape,
            digests=_digests(fields.get("blocks"), f"{where}.blocks", nbytes, block_size),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredTensor:
    """A tensor as an index or a manifest describes it.

    Elements are little-endian, in C order, without padding.

    Attributes:
        key: Its name inside the file: an HDF5 path, a checkpoint key.
        dtype: The logical dtype: a key of :data:`DTYPE_BITS`, or ``string``.
        shape: The shape of the whole tensor.
        pieces: Where its bytes lie: one piece, except for a partitioned tensor.
        name: The framework's name for it, as in ``conv1/kernel`` (docs/names.md);
            ``None`` where only the key is known.
        role: What it is for.
    """

    key: str
    dtype: str
    shape: tuple[int, ...]
    pieces: Sequence[Piece]
    name: str | None = None
    role: Role = Role.OTHER

    @property
    def size(self) -> int:
        """The number of elements; a scalar has one."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of all pieces together."""
        return sum(piece.nbytes for piece in self.pieces)

    @property
    def label(self) -> str:
        """The name, or the key where there is none."""
        return self.key if self.name is None else self.name

    def to_json(self) -> dict[str, Any]:
        """Return the element of ``tensors`` that describes this tensor."""
        entry: dict[str, Any] = {
            "name": self.label,
            "role": self.role.value,
            "dtype": self.dtype,
            "shape": list(self.shape),
        }
        if self.key != self.label:
            entry["key"] = self.key
        if len(self.pieces) == 1 and self.pieces[0].shape == self.shape:
            return entry | self.pieces[0].to_json()
        entry["slices"] = [
            {"origin": list(piece.origin), "shape": list(piece.shape), **piece.to_json()}
            for piece in self.pieces
        ]
        return entry

    @classmethod
    def from_json(cls, value: object, *, where: str, block_size: int) -> StoredTensor:
        """Read an element of ``tensors``; the inverse of :meth:`to_json`.

        Raises:
            ManifestError: a member is absent or malformed, or the shape, the dtype and
                the ranges contradict each other.
        """
        fields = object_field(value, where)
        name = text_field(fields.get("name"), f"{where}.name")
        dtype = text_field(fields.get("dtype"), f"{where}.dtype")
        if dtype != "string" and dtype not in DTYPE_BITS:
            raise malformed(f"{where}.dtype", "a known dtype", dtype)
        shape = _shape(fields.get("shape"), f"{where}.shape")
        role = fields.get("role")
        if role not in [each.value for each in Role]:
            raise malformed(f"{where}.role", "weight, optimizer, metric or other", role)
        tensor = cls(
            key=text_field(fields.get("key", name), f"{where}.key"),
            dtype=dtype,
            shape=shape,
            pieces=_pieces(fields, where, shape, block_size),
            name=name,
            role=Role(role),
        )
        _check_sizes(tensor, where)
        return tensor


def choose_block_size(nbytes: int) -> int:
    """Return the size of the blocks that vouch for ``nbytes`` of tensors.

    The smallest power of two, at least 64 KiB, that makes about a thousand blocks: a
    row of a large embedding costs a thousandth of the model, and a manifest stays
    below 100 kB.
    """
    size = MIN_BLOCK_SIZE
    while size * _MAX_BLOCKS < nbytes:
        size *= 2
    return size


def block_count(nbytes: int, block_size: int) -> int:
    """Return how many blocks a range has."""
    return -(-nbytes // block_size)


def tiles(slices: Iterable[tuple[Extent, ...]], shape: Sequence[int]) -> bool:
    """Whether slices cover a shape without gaps and overlaps.

    Only tilings that come about by cutting the first dimension, then each part along
    the second, and so on, are known for such: TensorFlow makes no others, and
    they can be told apart in ``n log n`` steps, however hostile the list.

    >>> tiles([((0, 2), (0, 3)), ((2, 1), (0, 3))], (3, 3))
    True
    >>> tiles([((0, 2), (0, 3)), ((1, 2), (0, 3))], (3, 3))
    False
    """
    parts = [sorted(slices)]
    for axis, dimension in enumerate(shape):
        cut = []
        for part in parts:
            position = 0
            for (start, length), group in groupby(part, key=lambda block: block[axis]):
                if start != position:
                    return False
                position += length
                cut.append(list(group))
            if position != dimension:
                return False
        parts = cut
    return all(len(part) == 1 for part in parts)


def _pieces(
    fields: Mapping[str, Any], where: str, shape: tuple[int, ...], block_size: int
) -> Sequence[Piece]:
    if "slices" not in fields:
        zero = (0,) * len(shape)
        return (
            Piece.from_json(fields, where=where, block_size=block_size, origin=zero, shape=shape),
        )
    pieces = []
    for index, entry in enumerate(array_field(fields["slices"], f"{where}.slices")):
        inside = f"{where}.slices[{index}]"
        members = object_field(entry, inside)
        origin = _shape(members.get("origin"), f"{inside}.origin")
        extent = _shape(members.get("shape"), f"{inside}.shape")
        fits = len(origin) == len(extent) == len(shape) and all(
            first + length <= whole
            for first, length, whole in zip(origin, extent, shape, strict=True)
        )
        if not fits:
            raise malformed(inside, f"a block of a tensor of shape {list(shape)}", members)
        pieces.append(
            Piece.from_json(
                members, where=inside, block_size=block_size, origin=origin, shape=extent
            )
        )
    return tuple(pieces)


def _check_sizes(tensor: StoredTensor, where: str) -> None:
    """Hold every range against its shape, and the blocks against the whole."""
    blocks = [tuple(zip(piece.origin, piece.shape, strict=True)) for piece in tensor.pieces]
    if not tiles(blocks, tensor.shape):
        raise malformed(f"{where}.slices", f"blocks that make up {list(tensor.shape)}", "others")
    bits = DTYPE_BITS.get(tensor.dtype, _POINTER_BITS)
    # NumPy counts the bytes as if an empty dimension had one element.
    if math.prod(each or 1 for each in tensor.shape) * bits >= 8 << 63:
        raise malformed(f"{where}.shape", "a shape that an array can have", list(tensor.shape))
    for piece in tensor.pieces:
        _check_size(tensor.dtype, piece, f"{where}.nbytes")


def _check_size(dtype: str, piece: Piece, where: str) -> None:
    elements = math.prod(piece.shape)
    if dtype == "string":  # a string takes a byte at least, which says how long it is
        least, most = elements, 1 << 63
    else:
        least = most = -(-elements * DTYPE_BITS[dtype] // 8)
    if not least <= piece.nbytes <= most:
        raise ManifestError(
            "the shape and the range contradict each other",
            where=where,
            expected=f"{least} bytes for {list(piece.shape)} of {dtype}",
            found=piece.nbytes,
        )


def _shape(value: object, where: str) -> tuple[int, ...]:
    dimensions = array_field(value, where)
    if len(dimensions) > _MAX_DIMENSIONS:
        raise malformed(where, f"at most {_MAX_DIMENSIONS} dimensions", value)
    return tuple(
        size_field(dimension, f"{where}[{index}]") for index, dimension in enumerate(dimensions)
    )


def _digests(value: object, where: str, nbytes: int, block_size: int) -> bytes:
    text = text_field(value, where)
    expected = block_count(nbytes, block_size) * DIGEST_SIZE
    try:
        digests = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise malformed(where, "Base64", text) from error
    if len(digests) != expected:
        raise malformed(where, f"{expected} bytes in Base64", f"{len(digests)} bytes")
    return digests
