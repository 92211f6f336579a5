"""Where a stored tensor's bytes lie: what every format's index consists of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = ["DTYPE_BITS", "Piece", "Role", "StoredTensor"]

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


class Role(Enum):
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
        masked_crc32c: The checksum that a TensorBundle keeps of the range
            (tsl/lib/hash/crc32c.h, "Mask"), else ``None``.
    """

    file: str
    offset: int
    nbytes: int
    origin: tuple[int, ...]
    shape: tuple[int, ...]
    masked_crc32c: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredTensor:
    """A tensor as a format's index describes it.

    Elements are little-endian, in C order, without padding.

    Attributes:
        key: Its name inside the file: an HDF5 path, a checkpoint key.
        dtype: The logical dtype: a key of :data:`DTYPE_BITS`, or ``string``.
        shape: The shape of the whole tensor.
        pieces: Where its bytes lie: one piece, except for a partitioned tensor.
        name: The framework's name for it where the file tells, as in
            ``conv1/kernel``; ``None`` where only the key is known.
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
