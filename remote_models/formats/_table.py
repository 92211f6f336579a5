"""The sorted table that a TensorBundle's ``.index`` file is.

Layout: LevelDB's doc/table_format.md, which TensorFlow follows in
tensorflow/core/lib/io/ (format.h, block.cc, table_builder.cc): blocks of entries
whose keys share prefixes, each block with its checksum, then a block with one
handle per data block, then the footer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from remote_models.errors import IntegrityError, UnrecognizedFormatError
from remote_models.formats._crc32c import masked_crc32c
from remote_models.formats._varint import read_varint

__all__ = ["MAX_TABLE", "read_table"]

MAX_TABLE = 256 * 1024 * 1024
"""Bytes of a table at most; the index of 1,000 variables takes about 60,000."""

_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")

_FOOTER = 48

_TRAILER = 5  # the kind of compression, the checksum

_NO_COMPRESSION = 0

_WORD = 4  # bytes of a restart, of the number of restarts and of a checksum

_MAX_ENTRIES = 1024 * 1024

_MAX_KEY = 64 * 1024
"""Bytes of a key at most; keys are paths in an object graph."""

_KEY_EXPANSION = 16
"""How many times the table's size its keys may take: writers share prefixes among 16.

A bound is needed, for an entry of four bytes can declare a key of any length.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Block:
    """Where a block's contents lie; its trailer follows them."""

    start: int
    stop: int


def read_table(data: bytes, *, where: str) -> dict[bytes, bytes]:
    """Return a table's entries in the order of their keys, every block's checksum checked.

    Raises:
        UnrecognizedFormatError: it is no such table, or malformed, or compressed.
        IntegrityError: a block's checksum differs.
    """
    if len(data) > MAX_TABLE:
        raise UnrecognizedFormatError(
            "the index is too large",
            where=where,
            expected=f"{MAX_TABLE} bytes at most",
            found=f"{len(data)} bytes",
        )
    if len(data) < _FOOTER or not data.endswith(_MAGIC):
        raise UnrecognizedFormatError(
            "no index of a TensorFlow checkpoint, or one that was cut short",
            where=where,
            expected=f"{_MAGIC.hex(' ')} at its end",
            found=data[-len(_MAGIC) :].hex(" "),
        )
    footer = len(data) - _FOOTER
    metaindex, position = _handle(data, footer, len(data), footer=footer, where=where)
    index, _ = _handle(data, position, len(data), footer=footer, where=where)
    blocks = [
        _handle(handle, 0, len(handle), footer=footer, where=where)[0]
        for _, handle in _entries(data, index, where=where)
    ]
    _check_disjoint([*blocks, metaindex, index], where=where)
    _check_block(data, metaindex, where=where)
    return _in_order(data, blocks, where=where)


def _in_order(data: bytes, blocks: list[_Block], *, where: str) -> dict[bytes, bytes]:
    entries: dict[bytes, bytes] = {}
    last: bytes | None = None
    room = _KEY_EXPANSION * len(data)
    for block in blocks:
        for key, value in _entries(data, block, where=where):
            if last is not None and key <= last:
                raise _malformed("its keys are out of order", where=where, found=key)
            entries[key] = value
            last = key
            room -= len(key)
            if room < 0 or len(entries) > _MAX_ENTRIES:
                raise _malformed("too many entries", where=where, found=len(entries))
    return entries


def _handle(data: bytes, position: int, end: int, *, footer: int, where: str) -> tuple[_Block, int]:
    """Read a block handle; the block must end before the footer."""
    offset, position = read_varint(data, position, end, where=where)
    size, position = read_varint(data, position, end, where=where)
    if offset + size + _TRAILER > footer:
        raise _malformed(
            "a block lies outside the file", where=where, found=f"{size} bytes at {offset}"
        )
    return _Block(start=offset, stop=offset + size), position


def _check_disjoint(blocks: list[_Block], *, where: str) -> None:
    """Refuse overlapping blocks: many handles for one block would cost without end."""
    blocks = sorted(blocks, key=lambda block: block.start)
    for block, following in pairwise(blocks):
        if block.stop + _TRAILER > following.start:
            raise _malformed("blocks overlap", where=where, found=f"at byte {following.start}")


def _check_block(data: bytes, block: _Block, *, where: str) -> None:
    kind = block.stop + 1
    stored = int.from_bytes(data[kind : kind + _WORD], "little")
    computed = masked_crc32c(memoryview(data)[block.start : kind])
    if stored != computed:
        raise IntegrityError(
            f"the checksum of the block at byte {block.start} differs",
            where=where,
            expected=f"{stored:08x}",
            found=f"{computed:08x}",
        )
    if data[block.stop] != _NO_COMPRESSION:
        raise UnrecognizedFormatError(
            "a compressed index, which TensorFlow does not write",
            where=where,
            expected=f"compression {_NO_COMPRESSION}",
            found=data[block.stop],
            hint="Write it again with tf.train.Checkpoint",
        )


def _entries(data: bytes, block: _Block, *, where: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield the entries of a block whose checksum is right."""
    _check_block(data, block, where=where)
    position, end = block.start, _end_of_entries(data, block, where=where)
    key = b""
    while position < end:
        shared, position = read_varint(data, position, end, where=where)
        unshared, position = read_varint(data, position, end, where=where)
        size, position = read_varint(data, position, end, where=where)
        value = position + unshared
        if shared > len(key) or value + size > end or shared + unshared > _MAX_KEY:
            raise _malformed(
                "an entry does not fit its block", where=where, found=f"at byte {position}"
            )
        key = key[:shared] + data[position:value]
        position = value + size
        yield key, data[value:position]


def _end_of_entries(data: bytes, block: _Block, *, where: str) -> int:
    """Return where the restart points begin. They serve binary search only: skip them."""
    count_at = block.stop - _WORD
    if count_at >= block.start:
        restarts = int.from_bytes(data[count_at : block.stop], "little")
        if (end := count_at - restarts * _WORD) >= block.start:
            return end
    raise _malformed(
        "a block is shorter than its restart points", where=where, found=f"at byte {block.start}"
    )


def _malformed(message: str, *, where: str, found: object) -> UnrecognizedFormatError:
    return UnrecognizedFormatError(
        f"a malformed index of a TensorFlow checkpoint: {message}",
        where=where,
        found=found,
        hint="Save or copy it again",
    )
