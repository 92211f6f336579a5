"""TensorBundles made by hand, from the written layouts, without TensorFlow.

A test says what is special about its checkpoint and gets the rest well-formed, with
right checksums: a reader must refuse what is wrong behind them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from remote_models.formats._crc32c import masked_crc32c

FLOAT = 1
STRING = 7
INT64 = 9

GRAPH = b"_CHECKPOINTABLE_OBJECT_GRAPH"
SHARD = "ckpt.data-00000-of-00001"

_MAGIC = bytes.fromhex("57fb808b247547db")
_ITEM = {FLOAT: 4, INT64: 8}


def varint(value: int) -> bytes:
    """A protocol buffer's variable-length integer; negative ones take ten bytes."""
    value &= (1 << 64) - 1
    octets = bytearray()
    while value >= 0x80:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*octets, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def fixed32(field: int, value: int) -> bytes:
    return varint(field << 3 | 5) + value.to_bytes(4, "little")


def message(field: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return varint(field << 3 | 2) + varint(len(content)) + content


def header(*, shards: int = 1, endianness: int = 0, min_consumer: int = 0) -> bytes:
    version = number(1, 1) + number(2, min_consumer)
    return number(1, shards) + number(2, endianness) + message(3, version)


def entry(
    *,
    dtype: int = FLOAT,
    shape: Sequence[int] = (),
    shard: int = 0,
    offset: int = 0,
    size: int | None = None,
    crc: int = 0,
    slices: Iterable[Sequence[tuple[int, int] | None]] = (),
) -> bytes:
    if size is None:
        size = math.prod(shape) * _ITEM[dtype]
    extents = [
        message(7, *(message(1, *_extent(extent)) for extent in extents)) for extents in slices
    ]
    return b"".join(
        [
            number(1, dtype),
            message(2, *(message(2, number(1, dimension)) for dimension in shape)),
            number(3, shard),
            number(4, offset),
            number(5, size),
            fixed32(6, crc),
            *extents,
        ]
    )


def _extent(extent: tuple[int, int] | None) -> list[bytes]:
    return [] if extent is None else [number(1, extent[0]), number(2, extent[1])]


def block_entry(shared: int, key: bytes, value: bytes) -> bytes:
    return varint(shared) + varint(len(key)) + varint(len(value)) + key + value


def block_contents(entries: Iterable[tuple[bytes, bytes]], *, restarts: int = 1) -> bytes:
    """A block in which every key shares what it can with the one before it."""
    contents = bytearray()
    last = b""
    for key, value in entries:
        shared = 0
        while shared < min(len(key), len(last)) and key[shared] == last[shared]:
            shared += 1
        contents += block_entry(shared, key[shared:], value)
        last = key
    return bytes(contents) + bytes(4 * restarts) + restarts.to_bytes(4, "little")


class Table:
    """A table that grows block by block."""

    def __init__(self) -> None:
        self.data = b""
        self.handles: list[tuple[bytes, bytes]] = []

    def add(self, contents: bytes, *, kind: int = 0) -> bytes:
        """Append a block and return its handle."""
        handle = varint(len(self.data)) + varint(len(contents))
        body = contents + bytes([kind])
        self.data += body + masked_crc32c(body).to_bytes(4, "little")
        return handle

    def finish(self, index: Iterable[tuple[bytes, bytes]]) -> bytes:
        metaindex = self.add(block_contents([]))
        handles = metaindex + self.add(block_contents(index))
        return self.data + handles.ljust(40, b"\0") + _MAGIC


def table(entries: Mapping[bytes, bytes], *, block: int = 1000) -> bytes:
    """A table with ``block`` entries in a block, sorted."""
    items = sorted(entries.items())
    made = Table()
    index = []
    for start in range(0, len(items), block):
        part = items[start : start + block]
        index.append((part[-1][0], made.add(block_contents(part))))
    return made.finish(index)


def string_tensor(strings: Sequence[bytes]) -> tuple[bytes, int]:
    """The bytes of a string tensor, and its checksum."""
    lengths = b"".join(len(string).to_bytes(4, "little") for string in strings)
    checksum = masked_crc32c(lengths).to_bytes(4, "little")
    stored = b"".join(varint(len(string)) for string in strings) + checksum + b"".join(strings)
    return stored, masked_crc32c(lengths + checksum + b"".join(strings))


class Files:
    """The files of an artifact, which count what is read of them."""

    def __init__(self, **contents: bytes) -> None:
        self.contents = contents
        self.reads: list[tuple[str, int, int]] = []

    @property
    def sizes(self) -> dict[str, int]:
        return {name: len(data) for name, data in self.contents.items()}

    def read(self, name: str, start: int, stop: int) -> bytes:
        self.reads.append((name, start, stop))
        return self.contents[name][start:stop]


def bundle(
    entries: Mapping[bytes, bytes], data: bytes = b"", *, head: bytes | None = None
) -> Files:
    """A checkpoint ``ckpt`` of one shard."""
    index = table({b"": header() if head is None else head, **entries})
    return Files(**{"ckpt.index": index, SHARD: data})


def with_graph(graph: bytes, entries: Mapping[bytes, bytes], data: bytes = b"") -> Files:
    """The same with an object graph, which lies behind ``data``."""
    stored, crc = string_tensor([graph])
    own = entry(dtype=STRING, offset=len(data), size=len(stored), crc=crc)
    return bundle({**entries, GRAPH: own}, data + stored)
