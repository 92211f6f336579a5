"""The text attributes of an HDF5 file, read without libhdf5.

Texts of variable length lie in global heap collections, and an attribute holds their
lengths and addresses. libhdf5 1.14 allocates and clears what an attribute claims, up
to 4 GiB for each of thousands of texts, before it looks whether they exist (CWE-789).
So the few bytes that say where a text is are parsed here, and lengths are compared
with what is there. HDF5 File Format Specification 3.0: II.A superblock, III.E global
heap, IV.A object headers, IV.A.2.m attribute message.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from remote_models.errors import FormatError

__all__ = ["Texts", "heap_objects"]

_ATTRIBUTE = 0x000C
_CONTINUATION = 0x0010

_SHARED = 0x02
"""Flag of a message that is stored elsewhere."""

_FIXED_STRING, _VARIABLE = 3, 9
"""Classes of datatypes; of variable length are lists too, and texts have type 1."""

_HEAP = struct.Struct("<4sB3xQ")
_OBJECT = struct.Struct("<H6xQ")
_REFERENCE = struct.Struct("<IQI")
"""A text of variable length: its length, the address of its collection, its index."""

_MAX_OBJECTS = 1 << 16
"""Objects in one collection: an index has 16 bits."""

_MAX_BLOCKS = 256
"""Blocks of one object header."""

_MAX_BYTES = 512 * 1024 * 1024
"""Bytes of headers and heaps that are read from one file: many may name one block."""


class _MalformedError(Exception):
    """What is there is not what the specification says, or too much of it."""


@dataclass(frozen=True, slots=True)
class _Attribute:
    """An attribute of texts: how many, and the bytes of the message that hold them."""

    count: int
    is_scalar: bool
    fixed_size: int | None
    data: bytes
    offset: int


class Texts:
    """The text attributes of an open HDF5 file.

    An attribute that does not follow the specification counts as absent.

    Args:
        file: The file.
        base: What the file's addresses count from: the size of its user block.
        where: Its name, for messages.
    """

    def __init__(self, file: IO[bytes], *, base: int, where: str) -> None:
        self._file = file
        self._base = base
        self._where = where
        self._read_bytes = 0
        self._heaps: dict[int, Mapping[int, tuple[int, int]]] = {}
        self._is_supported = self._has_wide_addresses()

    def one(self, address: int, name: str, *, limit: int) -> str | None:
        """Return a single text.

        Args:
            address: The address of the object's header.
            name: The attribute's name.
            limit: How many bytes it may have; a longer one counts as absent.
        """
        found = self.locate(address, name, limit=limit)
        if found is None:
            return None
        offset, nbytes = found
        return self._read(offset, nbytes).decode("utf-8", "replace").rstrip("\0")

    def many(self, address: int, name: str, *, limit: int) -> Sequence[str] | None:
        """Return a list of texts, all of which together have at most ``limit`` bytes."""
        try:
            attribute = self._find(address, name)
            if attribute is None:
                return None
            places = list(self._places(attribute, limit))
            return [
                self._read(offset, nbytes).decode("utf-8", "replace").rstrip("\0")
                for offset, nbytes in places
            ]
        except (_MalformedError, struct.error):
            return None

    def locate(self, address: int, name: str, *, limit: int) -> tuple[int, int] | None:
        """Return where in the file a single text begins, and how many bytes it has."""
        try:
            attribute = self._find(address, name)
            if attribute is None or not attribute.is_scalar:
                return None
            ((offset, nbytes),) = self._places(attribute, limit)
        except (_MalformedError, struct.error):
            return None
        return offset, nbytes

    def _find(self, address: int, name: str) -> _Attribute | None:
        if not self._is_supported:
            return None
        wanted = name.encode()
        for offset, body in self._messages(address):
            attribute = _parse_attribute(body, wanted, offset)
            if attribute is not None:
                return attribute
        return None

    def _places(self, attribute: _Attribute, limit: int) -> Iterator[tuple[int, int]]:
        """Yield where each text begins, and how many bytes it has."""
        size = attribute.fixed_size
        if attribute.count * (_REFERENCE.size if size is None else size) > len(attribute.data):
            raise _MalformedError
        total = 0
        for number in range(attribute.count):
            place = (
                self._in_heap(attribute.data, number)
                if size is None
                else (attribute.offset + number * size, size)
            )
            total += place[1]
            if total > limit:
                raise _MalformedError
            yield place

    def _in_heap(self, data: bytes, number: int) -> tuple[int, int]:
        length, address, index = _REFERENCE.unpack_from(data, number * _REFERENCE.size)
        if not length:
            return self._base, 0
        if address not in self._heaps:
            self._heaps[address] = self._heap(self._base + address)
        offset, size = self._heaps[address].get(index, (0, 0))
        if size != length:
            raise _MalformedError
        return self._base + address + _HEAP.size + offset, length

    def _heap(self, address: int) -> Mapping[int, tuple[int, int]]:
        signature, version, size = _HEAP.unpack(self._read(address, _HEAP.size))
        if signature != b"GCOL" or version != 1 or size < _HEAP.size:
            raise _MalformedError
        objects = heap_objects(self._read(address + _HEAP.size, size - _HEAP.size))
        if objects is None:
            raise _MalformedError
        return objects

    def _messages(self, address: int) -> Iterator[tuple[int, bytes]]:
        """Yield the offset and the bytes of every attribute message of an object."""
        start = self._base + address
        head = self._read(start, 16)
        if head.startswith(b"OHDR"):
            tracked, blocks = self._second_version(start, head)
        else:
            tracked, blocks = None, [(start + 16, struct.unpack_from("<I", head, 8)[0])]
            if head[0] != 1:
                raise _MalformedError
        for number, (offset, length) in enumerate(blocks):
            if number >= _MAX_BLOCKS:
                raise _MalformedError
            block = self._read(offset, length)
            for kind, position, body in _split(block, tracked):
                if kind == _ATTRIBUTE:
                    yield offset + position, body
                elif kind == _CONTINUATION:
                    place, size = struct.unpack_from("<QQ", body)
                    # The second version has a signature before and a checksum behind.
                    around = 0 if tracked is None else 4
                    blocks.append((self._base + place + around, max(0, size - 2 * around)))

    def _second_version(self, start: int, head: bytes) -> tuple[bool, list[tuple[int, int]]]:
        flags = head[5]
        width = 1 << (flags & 3)
        position = start + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        length = int.from_bytes(self._read(position, width), "little")
        return bool(flags & 0x04), [(position + width, length)]

    def _has_wide_addresses(self) -> bool:
        """Whether addresses and lengths have eight bytes, as h5py writes them."""
        self._file.seek(self._base)
        head = self._file.read(16)
        if len(head) < 16:
            return False
        return head[13:15] == b"\x08\x08" if head[8] < 2 else head[9:11] == b"\x08\x08"

    def _read(self, offset: int, nbytes: int) -> bytes:
        self._read_bytes += nbytes
        if nbytes > _MAX_BYTES:
            raise _MalformedError
        if self._read_bytes > _MAX_BYTES:
            raise FormatError(
                "too many bytes of attributes",
                where=self._where,
                expected=f"at most {_MAX_BYTES}",
            )
        if offset >= 1 << 63:
            raise _MalformedError
        self._file.seek(offset)
        data = self._file.read(nbytes)
        if len(data) != nbytes:
            raise _MalformedError
        return data


def heap_objects(heap: bytes) -> Mapping[int, tuple[int, int]] | None:
    """Return where each object of a collection begins, and its size, by its index.

    Args:
        heap: The collection without its header.

    Returns:
        The objects, or ``None`` if going from one to the next leads nowhere.
    """
    objects: dict[int, tuple[int, int]] = {}
    position = 0
    for _ in range(_MAX_OBJECTS + 1):
        if position + _OBJECT.size > len(heap):
            return objects if position <= len(heap) else None
        index, size = _OBJECT.unpack_from(heap, position)
        # Index 0 is free space, whose size includes its header.
        step = _OBJECT.size + (size + 7) // 8 * 8 if index else size
        if step < _OBJECT.size:
            return None
        if index:
            objects[index] = (position + _OBJECT.size, size)
        position += step
    return None


def _split(block: bytes, tracked: bool | None) -> Iterator[tuple[int, int, bytes]]:
    """Yield type, position and body of every message of a block that is stored there.

    Args:
        block: The bytes of the block.
        tracked: Whether messages have a number, in the second version of object
            headers; ``None`` for the first.
    """
    form = struct.Struct("<HHB3x" if tracked is None else "<BHBxx" if tracked else "<BHB")
    position = 0
    while position + form.size <= len(block):
        kind, size, flags = form.unpack_from(block, position)
        position += form.size
        if position + size > len(block):
            raise _MalformedError
        if not flags & _SHARED:
            yield kind, position, block[position : position + size]
        position += size


def _parse_attribute(body: bytes, wanted: bytes, offset: int) -> _Attribute | None:
    """Return an attribute message's texts, if it has this name and holds texts."""
    version, flags, name, kind, space = struct.unpack_from("<BBHHH", body)
    if version not in (1, 2, 3) or (version > 1 and flags):
        return None  # a datatype that is stored elsewhere is none of Keras'
    ends = [8 + (version == 3)]
    for size in (name, kind, space):
        ends.append(ends[-1] + (-(-size // 8) * 8 if version == 1 else size))
    if body[ends[0] : ends[0] + name].rstrip(b"\0") != wanted:
        return None
    count = _count(body[ends[2] : ends[3]])
    is_text, fixed_size = _text_type(body[ends[1] : ends[2]])
    if count is None or not is_text:
        return None
    return _Attribute(
        count=math.prod(count),
        is_scalar=not count,
        fixed_size=fixed_size,
        data=body[ends[3] :],
        offset=offset + ends[3],
    )


def _count(space: bytes) -> tuple[int, ...] | None:
    """Return the dimensions of a dataspace, or ``None`` if it holds nothing."""
    version, rank, _, null = struct.unpack_from("<BBBB", space)
    if version == 2 and null == 2:
        return None
    return struct.unpack_from(f"<{rank}Q", space, 4 if version == 2 else 8) if rank else ()


def _text_type(kind: bytes) -> tuple[bool, int | None]:
    """Return whether a datatype is text, and its size if that is fixed."""
    first, second, size = struct.unpack_from("<BB2xI", kind)
    if first & 0x0F == _FIXED_STRING:
        return True, size
    return first & 0x0F == _VARIABLE and second & 0x0F == 1, None
