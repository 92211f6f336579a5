"""TensorFlow checkpoints, without TensorFlow.

Layout: tensorflow/core/util/tensor_bundle/tensor_bundle.h and
tensorflow/core/protobuf/tensor_bundle.proto. ``PREFIX.index`` is a sorted table:
the empty key holds the header, every other key is a tensor's name and holds its
dtype, shape, shard, byte range and checksum. The shards,
``PREFIX.data-00000-of-00001`` and so on, are the tensors' bytes without padding.

Nothing is read but the index and, for the names, the object graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any, TypeAlias

from remote_models.errors import (
    IncompleteModelError,
    IntegrityError,
    UnrecognizedFormatError,
)
from remote_models.formats._crc32c import masked_crc32c
from remote_models.formats._object_graph import OBJECT_GRAPH, describe
from remote_models.formats._protos import parse_message
from remote_models.formats._slices import SLICE_MARK, Extent, slice_key, tiles
from remote_models.formats._string_tensor import (
    LENGTHS_CHECKSUM,
    decode_strings,
    string_checksum,
)
from remote_models.formats._table import MAX_TABLE, read_table
from remote_models.tensors import DTYPE_BITS, Piece, StoredTensor

__all__ = ["check_piece", "index_checkpoint"]

Read: TypeAlias = Callable[[str, int, int], bytes]
"""Reads ``[start, stop)`` of a file of the artifact."""

_HEADER = b""

_VERSION = 1  # kTensorBundleVersion

_LITTLE_ENDIAN = 0

_STRING = "string"

_DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: _STRING,
    8: "complex64",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    22: "uint32",
    23: "uint64",
    24: "float8_e5m2",
    25: "float8_e4m3fn",
}
"""Values of ``DataType`` (tensorflow/core/framework/types.proto) whose bytes are plain.

Its int4 and uint4 are not: TensorFlow stores one in a byte, unlike Keras.
"""

_VARIANT = 21

_MAX_RANK = 32  # of an array in NumPy 1

_MAX_ELEMENTS = 1 << 59  # of 16 bytes: what 63 bits can count

_MAX_OBJECT_GRAPH = 32 * 1024 * 1024
"""Bytes of an object graph at most; ResNet50's with its optimizer takes 150,000."""


def index_checkpoint(
    prefix: str, sizes: Mapping[str, int], read: Read, *, where: str
) -> list[StoredTensor]:
    """Return every tensor of a checkpoint, in the order of their keys.

    Only the index and the object graph are read. Every piece lies inside its shard
    and overlaps no other. Left out are the second copies that Keras 3's
    ``export()`` writes, and objects that TensorFlow serialises as variants, such as
    a dataset's iterator: they are no tensors.

    Args:
        prefix: The checkpoint's name relative to the artifact, as in
            ``variables/variables``.
        sizes: The sizes of the artifact's files.
        read: Reads ``[start, stop)`` of one of them.
        where: The artifact's name, for messages.

    Raises:
        UnrecognizedFormatError: it is no checkpoint, malformed, or of a kind that
            cannot be read: big-endian, or with numbers whose layout is not plain.
        IncompleteModelError: the index or a shard is missing, or is too short.
        IntegrityError: a checksum differs.
    """
    name = f"{prefix}.index"
    if name not in sizes:
        raise IncompleteModelError("the checkpoint's index is missing", where=f"{where}: {name}")
    if sizes[name] > MAX_TABLE:
        raise UnrecognizedFormatError(
            "the index is too large",
            where=f"{where}: {name}",
            expected=f"{MAX_TABLE} bytes at most",
            found=f"{sizes[name]} bytes",
        )
    data = _read_range(read, name, 0, sizes[name], where=where)
    table = read_table(data, where=f"{where}: {name}")
    bundle = _Bundle(prefix, sizes, table, where=where)
    tensors = bundle.tensors()
    _check_disjoint(tensors, where=where)
    return describe(tensors, _object_graph(tensors, read, where=where), where=where)


def check_piece(tensor: StoredTensor, piece: Piece, data: bytes, *, where: str) -> None:
    """Check the bytes of one piece against the checksum that the checkpoint keeps.

    A string tensor's checksum is not the checksum of its bytes: this knows how.

    Raises:
        IntegrityError: they differ.
        UnrecognizedFormatError: they are no string tensor although they should be.
    """
    where = f"{where}: {tensor.key}"
    if tensor.dtype == _STRING:
        computed = string_checksum(data, math.prod(piece.shape), where=where)
    else:
        computed = masked_crc32c(data)
    if computed != piece.masked_crc32c:
        raise IntegrityError(
            "the tensor's checksum differs",
            where=where,
            expected=f"{piece.masked_crc32c or 0:08x}",
            found=f"{computed:08x}",
        )


class _Bundle:
    """The entries of one checkpoint's index."""

    def __init__(
        self, prefix: str, sizes: Mapping[str, int], table: Mapping[bytes, bytes], *, where: str
    ) -> None:
        self._prefix = prefix
        self._sizes = sizes
        self._where = where
        if _HEADER not in table:
            raise self._malformed("it has no header", _HEADER)
        self._shards = self._shard_count(table[_HEADER])
        self._entries = {key: value for key, value in table.items() if key != _HEADER}

    def tensors(self) -> list[StoredTensor]:
        """Return all tensors, each with all of its slices."""
        stray = {key for key in self._entries if key.startswith(SLICE_MARK)}
        tensors = []
        for key in self._entries:
            if key.startswith(SLICE_MARK):
                continue
            entry = self._entry(key)
            if entry.dtype == _VARIANT:
                continue
            dtype, shape = self._dtype(entry, key), self._shape(entry, key)
            if entry.slices:
                slices = self._slices(entry, shape, key)
                stray.difference_update(slices)
                pieces = [
                    self._slice(name, extents, dtype, key) for name, extents in slices.items()
                ]
            else:
                pieces = [self._piece(entry, dtype, (0,) * len(shape), shape, key)]
            tensors.append(
                StoredTensor(key=_text(key), dtype=dtype, shape=shape, pieces=tuple(pieces))
            )
        if stray:
            raise self._malformed("slices of no tensor", min(stray))
        return tensors

    def _shard_count(self, data: bytes) -> int:
        header = parse_message("BundleHeaderProto", data, where=self._at(_HEADER))
        if header.endianness != _LITTLE_ENDIAN:
            raise UnrecognizedFormatError(
                "a checkpoint written on a big-endian machine",
                where=self._at(_HEADER),
                hint="Load and save it again on a little-endian one",
            )
        version = header.version
        if version.min_consumer > _VERSION or _VERSION in version.bad_consumers:
            raise UnrecognizedFormatError(
                "a checkpoint of a later version than remote_models knows",
                where=self._at(_HEADER),
                expected=f"version {_VERSION}",
                found=version.min_consumer,
            )
        if header.num_shards < 1:
            raise self._malformed("it has no shards", _HEADER)
        return int(header.num_shards)

    def _slices(
        self, entry: Any, shape: tuple[int, ...], key: bytes
    ) -> dict[bytes, tuple[Extent, ...]]:
        """Return the slices by their keys; together they are the tensor."""
        slices = {}
        for proto in entry.slices:
            extents = [
                (extent.start, extent.length) if extent.HasField("length") else None
                for extent in proto.extent
            ]
            if len(extents) != len(shape):
                raise self._malformed("a slice of another rank", key)
            slices[slice_key(key, extents)] = tuple(
                (0, dimension) if extent is None else extent
                for extent, dimension in zip(extents, shape, strict=True)
            )
        if len(slices) != len(entry.slices) or not tiles(slices.values(), shape):
            raise self._malformed("its slices do not make up the tensor", key)
        return slices

    def _slice(self, name: bytes, extents: tuple[Extent, ...], dtype: str, key: bytes) -> Piece:
        if name not in self._entries:
            raise self._malformed("a slice is missing", key)
        entry = self._entry(name)
        shape = tuple(length for _, length in extents)
        if entry.slices or self._dtype(entry, key) != dtype or self._shape(entry, key) != shape:
            raise self._malformed("a slice does not fit its tensor", key)
        return self._piece(entry, dtype, tuple(start for start, _ in extents), shape, key)

    def _piece(
        self, entry: Any, dtype: str, origin: tuple[int, ...], shape: tuple[int, ...], key: bytes
    ) -> Piece:
        size = math.prod(shape)
        if dtype == _STRING:
            fits = entry.size >= size + LENGTHS_CHECKSUM  # no string takes less than a byte
        else:
            fits = entry.size == size * DTYPE_BITS[dtype] // 8
        if not fits or entry.offset < 0:
            raise self._malformed(
                f"{entry.size} bytes at {entry.offset} for {dtype}{list(shape)}", key
            )
        if not 0 <= entry.shard_id < self._shards:
            raise self._malformed(f"shard {entry.shard_id} of {self._shards}", key)
        file = f"{self._prefix}.data-{entry.shard_id:05d}-of-{self._shards:05d}"
        if file not in self._sizes:
            raise IncompleteModelError(
                "a shard of the checkpoint is missing", where=f"{self._where}: {file}"
            )
        if entry.offset + entry.size > self._sizes[file]:
            raise IncompleteModelError(
                "a shard of the checkpoint is too short",
                where=f"{self._where}: {file}",
                expected=f"{_shown(key)} at bytes {entry.offset} to {entry.offset + entry.size}",
                found=f"{self._sizes[file]} bytes",
            )
        return Piece(
            file=file,
            offset=entry.offset,
            nbytes=entry.size,
            origin=origin,
            shape=shape,
            masked_crc32c=entry.crc32c,
        )

    def _entry(self, key: bytes) -> Any:
        return parse_message("BundleEntryProto", self._entries[key], where=self._at(key))

    def _dtype(self, entry: Any, key: bytes) -> str:
        if entry.dtype not in _DTYPES:
            raise UnrecognizedFormatError(
                "a tensor of a dtype that cannot be read without TensorFlow",
                where=self._at(key),
                found=f"DataType {entry.dtype}",
                hint="Cast the variable and save again",
            )
        return _DTYPES[entry.dtype]

    def _shape(self, entry: Any, key: bytes) -> tuple[int, ...]:
        dimensions = entry.shape.dim
        if len(dimensions) > _MAX_RANK or entry.shape.unknown_rank:
            raise self._malformed(f"{len(dimensions)} dimensions", key)
        shape = tuple(dimension.size for dimension in dimensions)
        if min(shape, default=0) < 0 or math.prod(filter(None, shape)) >= _MAX_ELEMENTS:
            raise self._malformed(f"shape {list(shape)}", key)
        return shape

    def _at(self, key: bytes) -> str:
        return f"{self._where}: {self._prefix}.index: {_shown(key) or 'header'}"

    def _malformed(self, found: str, key: bytes) -> UnrecognizedFormatError:
        return UnrecognizedFormatError(
            "a malformed index of a TensorFlow checkpoint",
            where=self._at(key),
            found=found,
            hint="Save or copy it again",
        )


def _check_disjoint(tensors: Iterable[StoredTensor], *, where: str) -> None:
    """Refuse overlapping tensors: a small file could claim any amount of memory."""
    pieces = sorted(
        (piece.file, piece.offset, piece.nbytes)
        for tensor in tensors
        for piece in tensor.pieces
        if piece.nbytes
    )
    for (file, offset, nbytes), (next_file, next_offset, _) in pairwise(pieces):
        if file == next_file and offset + nbytes > next_offset:
            raise UnrecognizedFormatError(
                "a malformed index of a TensorFlow checkpoint: tensors overlap",
                where=f"{where}: {file}",
                found=f"at byte {next_offset}",
            )


def _object_graph(tensors: Iterable[StoredTensor], read: Read, *, where: str) -> bytes | None:
    """Return the serialised object graph, checked; checkpoints of TensorFlow 1 have none."""
    tensor = next((tensor for tensor in tensors if tensor.key == OBJECT_GRAPH), None)
    if tensor is None:
        return None
    piece = tensor.pieces[0]
    if tensor.dtype != _STRING or tensor.shape != () or piece.nbytes > _MAX_OBJECT_GRAPH:
        raise UnrecognizedFormatError(
            "a malformed object graph",
            where=f"{where}: {OBJECT_GRAPH}",
            expected=f"one string of {_MAX_OBJECT_GRAPH} bytes at most",
            found=f"{tensor.dtype}{list(tensor.shape)}, {piece.nbytes} bytes",
        )
    data = _read_range(read, piece.file, piece.offset, piece.nbytes, where=where)
    check_piece(tensor, piece, data, where=where)
    return decode_strings(data, 1, where=f"{where}: {OBJECT_GRAPH}")[0]


def _read_range(read: Read, file: str, offset: int, nbytes: int, *, where: str) -> bytes:
    data = read(file, offset, offset + nbytes)
    if len(data) != nbytes:
        raise IncompleteModelError(
            "a file of the checkpoint is too short",
            where=f"{where}: {file}",
            expected=f"{nbytes} bytes at {offset}",
            found=f"{len(data)} bytes",
        )
    return data


def _shown(key: bytes) -> str:
    """Return a key for a message: a stranger's may hold what steers a terminal (CWE-150)."""
    text = _text(key)
    return text if text.isprintable() else ascii(text)


def _text(key: bytes) -> str:
    """Keys need not be UTF-8: bytes that are not survive as surrogates."""
    return key.decode("utf-8", "surrogateescape")
