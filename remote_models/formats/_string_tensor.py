"""String tensors in a TensorBundle.

Layout: tensorflow/core/util/tensor_bundle/tensor_bundle.cc ("WriteStringTensor"):
a varint per string with its length, the masked checksum of the lengths, the strings.
The checksums count each length as an integer of 4 bytes, or of 8 where 4 do not do,
not as the varint that is stored.
"""

from __future__ import annotations

from remote_models.errors import IntegrityError, UnrecognizedFormatError
from remote_models.formats._crc32c import crc32c, mask
from remote_models.formats._varint import read_varint

__all__ = ["LENGTHS_CHECKSUM", "decode_strings", "string_checksum"]

LENGTHS_CHECKSUM = 4
"""Bytes of the lengths' checksum."""


def decode_strings(data: bytes, count: int, *, where: str = "string tensor") -> list[bytes]:
    """Return the strings of a tensor from all of its bytes, the lengths' checksum checked.

    Args:
        data: The tensor's bytes.
        count: How many strings it holds.
        where: Its name, for messages.

    Raises:
        IntegrityError: the lengths' checksum differs.
        UnrecognizedFormatError: the lengths and the bytes do not agree.
    """
    lengths, position, _ = _read_lengths(data, count, where=where)
    if position + sum(lengths) != len(data):
        raise UnrecognizedFormatError(
            "a malformed string tensor",
            where=where,
            expected=f"{sum(lengths)} bytes of strings",
            found=f"{len(data) - position} bytes",
        )
    strings = []
    for length in lengths:
        strings.append(data[position : position + length])
        position += length
    return strings


def string_checksum(data: bytes, count: int, *, where: str = "string tensor") -> int:
    """Return the masked checksum that a TensorBundle keeps of a string tensor.

    Raises:
        IntegrityError: the lengths' checksum differs.
        UnrecognizedFormatError: there are fewer strings than ``count``.
    """
    _, position, crc = _read_lengths(data, count, where=where)
    stored = data[position - LENGTHS_CHECKSUM : position]
    return mask(crc32c(memoryview(data)[position:], crc32c(stored, crc)))


def _read_lengths(data: bytes, count: int, *, where: str) -> tuple[list[int], int, int]:
    """Return the lengths, where the strings begin, and the lengths' unmasked checksum."""
    if count + LENGTHS_CHECKSUM > len(data):
        raise UnrecognizedFormatError(
            "a string tensor is shorter than its shape says",
            where=where,
            expected=f"{count} strings",
            found=f"{len(data)} bytes",
        )
    lengths = []
    counted = bytearray()
    position, end = 0, len(data) - LENGTHS_CHECKSUM
    for _ in range(count):
        length, position = read_varint(data, position, end, where=where)
        lengths.append(length)
        counted += length.to_bytes(4 if length < 1 << 32 else 8, "little")
    crc = crc32c(counted)
    stored = int.from_bytes(data[position : position + LENGTHS_CHECKSUM], "little")
    if stored != mask(crc):
        raise IntegrityError(
            "the checksum of the strings' lengths differs",
            where=where,
            expected=f"{stored:08x}",
            found=f"{mask(crc):08x}",
        )
    return lengths, position + LENGTHS_CHECKSUM, crc
