"""What a model of TensorFlow Lite must not ask of its runtime.

Layout: a FlatBuffer (https://flatbuffers.dev/internals/) of the schema ``schema.fbs`` of
LiteRT. Only the tables that are looked at are read, each place held against the file's end.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from remote_models.errors import FormatError
from remote_models.formats.safety._findings import Finding

__all__ = ["check_tflite"]

_IDENTIFIER = b"TFL3"

# Fields of the table Model.
_OPERATOR_CODES, _BUFFER_GROUPS, _EXTERNAL_BUFFERS = 1, 8, 9

# Fields of the table OperatorCode.
_OLD_CODE, _CUSTOM_NAME, _CODE = 0, 1, 3

_CUSTOM = 32
"""``BuiltinOperator.CUSTOM``."""

_MAX_OPERATORS = 1 << 16
"""More than there are; each is named once."""


def check_tflite(data: bytes, *, where: str) -> list[Finding]:
    """Return the operations that LiteRT does not bring, and data that lies elsewhere.

    Operations of TensorFlow itself (*Select TF*, whose names begin with ``Flex``) are such:
    where TensorFlow is imported they could read and write files.

    Raises:
        FormatError: it is no model of TensorFlow Lite.
    """
    try:
        return list(_findings(_Tables(data)))
    except (struct.error, ValueError) as error:
        raise FormatError(
            "no model of TensorFlow Lite, or a damaged one", where=where,
            hint="Save the model again with exports=('tflite',)",
        ) from error  # fmt: skip


def _findings(tables: _Tables) -> Iterator[Finding]:
    if tables.data[4:8] != _IDENTIFIER:
        raise ValueError("another identifier")
    model = tables.follow(0)
    for code in tables.vector(model, _OPERATOR_CODES):
        # Either field holds it, the other one a smaller number.
        number = max(tables.number(code, _OLD_CODE, "<b"), tables.number(code, _CODE, "<i"))
        if number == _CUSTOM:
            name = tables.text(code, _CUSTOM_NAME)
            yield Finding(owner=f"operation {name!r}", problem="is none of TensorFlow Lite's own")
    for field in (_BUFFER_GROUPS, _EXTERNAL_BUFFERS):
        if tables.field(model, field):
            yield Finding(owner="the model", problem="keeps weights in other files")


class _Tables:
    """A FlatBuffer, read by places; one outside of it is an error of ``struct``."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def follow(self, place: int) -> int:
        """Return the place that an offset leads to."""
        return place + self._unpack("<I", place)

    def field(self, table: int, number: int) -> int:
        """Return where a field of a table lies, 0 if the table has none."""
        layout = table - self._unpack("<i", table)
        slot = 4 + 2 * number
        if slot + 2 > self._unpack("<H", layout):
            return 0
        offset = self._unpack("<H", layout + slot)
        return table + offset if offset else 0

    def vector(self, table: int, number: int) -> Iterator[int]:
        """Yield the tables of a vector."""
        place = self.field(table, number)
        if not place:
            return
        start = self.follow(place)
        count = self._unpack("<I", start)
        if count > _MAX_OPERATORS:
            raise ValueError("too many")
        for index in range(count):
            yield self.follow(start + 4 + 4 * index)

    def number(self, table: int, number: int, format: str) -> int:
        """Return a field that is a number, 0 if the table has none."""
        place = self.field(table, number)
        return self._unpack(format, place) if place else 0

    def text(self, table: int, number: int) -> str:
        """Return a field that is a text, empty if the table has none."""
        place = self.field(table, number)
        if not place:
            return ""
        start = self.follow(place)
        length = self._unpack("<I", start)
        return self.data[start + 4 : start + 4 + length].decode("utf-8", "replace")

    def _unpack(self, format: str, place: int) -> int:
        if place < 0:  # which struct would count from the end
            raise ValueError("before the start")
        value: int = struct.unpack_from(format, self.data, place)[0]
        return value
