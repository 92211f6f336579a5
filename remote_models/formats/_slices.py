"""Tensors that a TensorBundle stores in slices.

A partitioned variable, or one larger than a shard may be, has one entry that lists
its slices and one more for each slice, under a key that encodes the name and the
slice: tensorflow/core/util/saved_tensor_slice_util.cc ("EncodeTensorNameSlice") over
tensorflow/core/lib/strings/ordered_code.cc.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from remote_models.tensors import Extent, tiles

__all__ = ["SLICE_MARK", "Extent", "slice_key", "tiles"]

SLICE_MARK = b"\x00"
"""What every key of a slice begins with, and no variable's name."""

_ESCAPES = {b"\x00": b"\x00\xff", b"\xff": b"\xff\x00"}

_ESCAPED = re.compile(rb"[\x00\xff]")

_FULL = -1
"""The length that stands for all of a dimension in a key."""


def slice_key(name: bytes, extents: Iterable[Extent | None]) -> bytes:
    """Return the key of a slice.

    Args:
        name: The tensor's name.
        extents: Per dimension where the slice begins and its length, ``None`` for all.

    >>> slice_key(b"w", [(64, 2), None]).hex(" ")
    '00 77 00 01 01 02 c0 40 82 80 7f'
    """
    extents = list(extents)
    key = _number(0) + _text(name) + _number(len(extents))
    for extent in extents:
        start, length = extent if extent is not None else (0, _FULL)
        key += _signed(start) + _signed(length)
    return key


def _number(value: int) -> bytes:
    """``WriteNumIncreasing``: big-endian without leading zeros, after its length."""
    octets = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([len(octets)]) + octets


def _text(value: bytes) -> bytes:
    r"""``WriteString``: ``\0`` and ``\xff`` escaped, then a terminator."""
    return _ESCAPED.sub(lambda match: _ESCAPES[match[0]], value) + b"\x00\x01"


def _signed(value: int) -> bytes:
    """``WriteSignedNumIncreasing``: the leading bits count the bytes, then the value.

    In ``n`` bytes the ``n`` leading bits are flipped, which leaves ``7 n`` bits, the
    sign among them.
    """
    magnitude = ~value if value < 0 else value
    size = magnitude.bit_length() // 7 + 1
    header = ((1 << size) - 1) << (7 * size)
    return (header ^ (value & ((1 << 8 * size) - 1))).to_bytes(size, "big")
