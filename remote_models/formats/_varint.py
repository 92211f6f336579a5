"""Variable-length integers as LevelDB and protocol buffers write them."""

from __future__ import annotations

from remote_models.errors import UnrecognizedFormatError

__all__ = ["read_varint"]

_BITS = 64


def read_varint(data: bytes, position: int, end: int, *, where: str) -> tuple[int, int]:
    """Return the integer at ``position`` and the position after it.

    Raises:
        UnrecognizedFormatError: it does not end before ``end``, or needs over 64 bits.
    """
    value = 0
    for shift in range(0, _BITS, 7):
        if position >= end:
            break
        octet = data[position]
        position += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80 and value < 1 << _BITS:
            return value, position
    raise UnrecognizedFormatError(
        "a number does not end where it should", where=where, found=f"byte {position}"
    )
