"""Where the fields of a protocol buffer lie in a file, without reading what they hold.

Layout: https://protobuf.dev/programming-guides/encoding/. A graph in a ``saved_model.pb``
may have hundreds of megabytes, and what is wanted of it a few kilobytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from remote_models.errors import UnrecognizedFormatError
from remote_models.formats._varint import read_varint

__all__ = ["FieldRange", "find_field", "whole_file"]

_VARINT, _FIXED_64, _LENGTH_DELIMITED, _FIXED_32 = 0, 1, 2, 5
"""Wire types; 3 and 4, groups, are not used by anything that is read here."""

_SIZES = {_FIXED_64: 8, _FIXED_32: 4}

_LONGEST_HEAD = 20
"""Bytes of a tag and a length at most: two integers of 64 bits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldRange:
    """Where the content of a text, of bytes or of a message lies.

    Attributes:
        start: The first byte of the file.
        stop: The byte after the last.
    """

    start: int
    stop: int

    @property
    def nbytes(self) -> int:
        """How many bytes."""
        return self.stop - self.start

    def read(self, file: IO[bytes]) -> bytes:
        """Return the content."""
        file.seek(self.start)
        return file.read(self.nbytes)


def whole_file(file: IO[bytes]) -> FieldRange:
    """Return the range of a file that holds one message."""
    return FieldRange(start=0, stop=file.seek(0, os.SEEK_END))


def find_field(
    file: IO[bytes], message: FieldRange, *numbers: int, where: str
) -> FieldRange | None:
    """Return the first field of this number; with several numbers, inside one another.

    Raises:
        UnrecognizedFormatError: what is there is no protocol buffer.
    """
    found: FieldRange | None = message
    for number in numbers:
        if found is None:
            return None
        fields = _fields(file, found, where)
        found = next((each for each_number, each in fields if each_number == number), None)
    return found


def _fields(file: IO[bytes], message: FieldRange, where: str) -> Iterator[tuple[int, FieldRange]]:
    """Yield the fields of a message that have a length, with their numbers."""
    position = message.start
    while position < message.stop:
        file.seek(position)
        head = file.read(min(_LONGEST_HEAD, message.stop - position))
        tag, used = read_varint(head, 0, len(head), where=where)
        kind = tag & 7
        size = _SIZES.get(kind, 0)
        if kind in (_VARINT, _LENGTH_DELIMITED):
            number, used = read_varint(head, used, len(head), where=where)
            size = number if kind == _LENGTH_DELIMITED else 0
        elif kind not in _SIZES:
            raise _malformed(where, position)
        start, position = position + used, position + used + size
        if position > message.stop:
            raise _malformed(where, start)
        if kind == _LENGTH_DELIMITED:
            yield tag >> 3, FieldRange(start=start, stop=position)


def _malformed(where: str, position: int) -> UnrecognizedFormatError:
    return UnrecognizedFormatError(
        "a damaged protocol buffer", where=where, found=f"byte {position}"
    )
