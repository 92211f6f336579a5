"""CRC32C, and the masked form in which LevelDB's and TensorFlow's files store it.

Polynomial and test vectors: RFC 3720, appendix B.4. Mask: tsl/lib/hash/crc32c.h
("Mask"), the same as LevelDB's util/crc32c.h. ``google_crc32c`` computes it where
it is installed (gcsfs brings it); otherwise NumPy does, at some hundred MB/s.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import TypeAlias, cast

import numpy as np
import numpy.typing as npt

__all__ = ["Buffer", "crc32c", "mask", "masked_crc32c"]

Buffer: TypeAlias = bytes | bytearray | memoryview
"""Contiguous bytes."""

_Words: TypeAlias = npt.NDArray[np.uint32]

_POLYNOMIAL = 0x82F63B78  # reflected

_MASK_DELTA = 0xA282EAD8

_ONES = 0xFFFFFFFF

_MIN_VECTOR = 2048
"""Bytes below which a plain loop is faster than setting up vectors."""

_MAX_LANES = 4096


def masked_crc32c(data: Buffer) -> int:
    """Return the checksum of ``data`` as TensorFlow stores it.

    >>> hex(masked_crc32c(b"123456789"))
    '0xc78ab0e5'
    """
    return mask(crc32c(data))


def mask(crc: int) -> int:
    """Mask a checksum, so that checksums of data that holds checksums stay good."""
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & _ONES


def crc32c(data: Buffer, crc: int = 0) -> int:
    """Return the CRC32C of ``data``, or of what ``crc`` is the checksum of and ``data``.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    >>> hex(crc32c(b"6789", crc32c(b"12345")))
    '0xe3069283'
    """
    extend = _accelerator()
    if extend is not None:
        return extend(crc, np.frombuffer(data, np.uint8)) if len(data) else crc
    return crc32c_in_python(data, crc)


def crc32c_in_python(data: Buffer, crc: int = 0) -> int:
    """Compute :func:`crc32c` without ``google_crc32c``."""
    octets = np.frombuffer(data, np.uint8)
    register = crc ^ _ONES
    while octets.size >= _MIN_VECTOR:
        lanes = _lanes(octets.size)
        length = octets.size // lanes // 4 * 4  # of a lane, in whole words
        head, octets = octets[: lanes * length], octets[lanes * length :]
        register = _in_lanes(head.reshape(lanes, length), register)
    table = _byte_table().tolist()
    for octet in octets.tolist():
        register = table[(register ^ octet) & 0xFF] ^ (register >> 8)
    return register ^ _ONES


@cache
def _accelerator() -> Callable[[int, npt.NDArray[np.uint8]], int] | None:
    try:
        from google_crc32c import extend  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        return None
    return cast(Callable[[int, npt.NDArray[np.uint8]], int], extend)


def _lanes(size: int) -> int:
    """Return how many parts to work on at once: a power of two near the root of ``size``."""
    return int(min(1 << (size.bit_length() // 2), _MAX_LANES))


def _in_lanes(rows: npt.NDArray[np.uint8], register: int) -> int:
    """Run over all rows at once, a word of each per step, then join their registers."""
    low, high = _word_tables()
    words = np.ascontiguousarray(rows.view("<u4").T)
    registers = np.zeros(len(rows), np.uint32)
    registers[0] = register
    for column in words:
        registers ^= column
        registers = low[registers & 0xFFFF] ^ high[registers >> 16]
    length = rows.shape[1]
    while registers.size > 1:
        registers = _apply(_zeros(length), registers[0::2]) ^ registers[1::2]
        length *= 2
    return int(registers[0])


@cache
def _byte_table() -> _Words:
    """Return what a byte that leaves the register adds to the rest of it."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> np.uint32(1)) ^ (table & np.uint32(1)) * np.uint32(_POLYNOMIAL)
    return table


@cache
def _word_tables() -> tuple[_Words, _Words]:
    """Return the same for the two halves of a word that leaves the register."""
    halves = np.arange(1 << 16, dtype=np.uint32)
    return _four_zeros(halves), _four_zeros(halves << np.uint32(16))


def _four_zeros(registers: _Words) -> _Words:
    table = _byte_table()
    for _ in range(4):
        registers = table[registers & 0xFF] ^ (registers >> 8)
    return registers


@lru_cache(maxsize=256)
def _zeros(length: int) -> _Words:
    """Return the operator for ``length`` zero bytes: what each bit of a register becomes.

    The register is linear in its bits, so operators compose like matrices over GF(2).
    """
    if length == 4:
        return _four_zeros(np.uint32(1) << np.arange(32, dtype=np.uint32))
    half = _zeros(length // 8 * 4)
    whole = _apply(half, half)
    return whole if length % 8 == 0 else _apply(_zeros(4), whole)


def _apply(operator: _Words, registers: _Words) -> _Words:
    bits = (registers[:, np.newaxis] >> np.arange(32, dtype=np.uint32)) & np.uint32(1)
    applied: _Words = np.bitwise_xor.reduce(bits * operator, axis=1)
    return applied
