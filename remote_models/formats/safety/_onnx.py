"""What an ONNX model must not ask of its runtime.

Layout: the message ``ModelProto`` of ``onnx.proto``. It is walked without decoding numbers,
and whatever is not walked into is skipped as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from remote_models.errors import FormatError, UnrecognizedFormatError
from remote_models.formats._varint import read_varint
from remote_models.formats.safety._findings import Finding

__all__ = ["check_onnx"]

_OTHER_FORMAT = b"ORTM"
"""ONNX Runtime also takes models in a format of its own, which this is the mark of."""

_DOMAINS = {b"", b"ai.onnx", b"ai.onnx.ml"}
"""Whose operations ONNX specifies."""

_MAX_DEPTH = 100
"""Graphs inside graphs; protocol buffers themselves end there."""

_VARINT, _FIXED_64, _LENGTH_DELIMITED, _FIXED_32 = 0, 1, 2, 5

_MESSAGES: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""The fields of each message that are walked into, and what they are."""

_GRAPH, _NODE_OPERATION, _NODE_DOMAIN = 7, 4, 7
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14


def check_onnx(data: bytes, *, where: str) -> list[Finding]:
    """Return tensors whose data lies in other files, and operations that ONNX does not specify.

    Raises:
        FormatError: it is no ONNX model.
    """
    walk = _Walk(data, where)
    if data[4:8] == _OTHER_FORMAT or _GRAPH not in {each[0] for each in walk.fields(0, len(data))}:
        raise FormatError(
            "no ONNX model, or a damaged one", where=where,
            hint="Save the model again with exports=('onnx',)",
        )  # fmt: skip
    return list(walk.message("model", 0, len(data), 0))


class _Walk:
    """A pass through a message; ``where`` is for messages."""

    def __init__(self, data: bytes, where: str) -> None:
        self._data = data
        self._where = where

    def message(self, kind: str, start: int, stop: int, depth: int) -> Iterator[Finding]:
        """Yield what is wrong in a message of a kind, and in those inside it."""
        if depth > _MAX_DEPTH:
            raise self._damaged("graphs inside graphs, too deep")
        inside = _MESSAGES[kind]
        operation, domain = b"", b""
        for number, first, last in self.fields(start, stop):
            if kind == "tensor" and number in (_EXTERNAL_DATA, _DATA_LOCATION):
                if number == _EXTERNAL_DATA or self._data[first:last] != b"\0":
                    yield Finding(owner="a tensor", problem="has its data in another file")
            elif kind == "node" and number == _NODE_OPERATION:
                operation = self._data[first:last]
            elif kind == "node" and number == _NODE_DOMAIN:
                domain = self._data[first:last]
            elif number in inside:
                yield from self.message(inside[number], first, last, depth + 1)
        if domain not in _DOMAINS:
            name = f"{domain.decode('utf-8', 'replace')}.{operation.decode('utf-8', 'replace')}"
            yield Finding(owner=f"operation {name!r}", problem="is none that ONNX specifies")

    def fields(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Yield each field's number, and where its content begins and ends."""
        position = start
        while position < stop:
            tag, position = read_varint(self._data, position, stop, where=self._where)
            kind = tag & 7
            if kind == _LENGTH_DELIMITED:
                length, first = read_varint(self._data, position, stop, where=self._where)
                position = first + length
            elif kind == _VARINT:
                first = position
                _, position = read_varint(self._data, position, stop, where=self._where)
            elif kind in (_FIXED_32, _FIXED_64):
                first, position = position, position + (4 if kind == _FIXED_32 else 8)
            else:
                raise self._damaged(f"wire type {kind}")
            if position > stop:
                raise self._damaged("a field that does not end where it should")
            yield tag >> 3, first, position

    def _damaged(self, found: str) -> UnrecognizedFormatError:
        return UnrecognizedFormatError("no ONNX model, or a damaged one", where=self._where,
                                       found=found)  # fmt: skip
