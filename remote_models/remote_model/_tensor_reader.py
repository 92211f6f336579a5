"""Read tensors, or rows of them, as verified byte ranges."""

from __future__ import annotations

import importlib
import math
import mmap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from remote_models.errors import (
    FormatError,
    IntegrityError,
    MissingDependencyError,
    ModelNotFoundError,
    RemoteModelsError,
)
from remote_models.formats.indexing import check_piece, decode_strings
from remote_models.remote_model._arrival import Arrival, Part
from remote_models.remote_model._row_selection import RowSelection, select_rows
from remote_models.storage import ByteRange, Location, PinnedFile, Store, read_ranges
from remote_models.tensors import Piece, StoredTensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remote_models.remote_model._arrival import Bytes

__all__ = ["Companion", "Selection", "TensorReader"]

_ML_DTYPES = ("bfloat16", "float8_e4m3fn", "float8_e5m2")

_PACKED = ("int4", "uint4")


_SLICES = 4
"""Slices of a tensor in a request. Were they as large as requests, two tensors that are a
little larger would take four requests and not three."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A tensor and the index into it."""

    entry: StoredTensor
    index: Any = Ellipsis


class Companion(Protocol):
    """Whoever has more to read where tensors lie, so that one request brings both."""

    def take_along(self, pieces: Sequence[Piece]) -> Sequence[ByteRange]:
        """Return further ranges to read when these pieces are read."""

    def receive(self, where: ByteRange, data: memoryview) -> None:
        """Take the bytes of such a range, which may change afterwards."""

    def note(self, piece: Piece) -> None:
        """Learn that the bytes of a piece have been read and checked."""


@dataclass(kw_only=True)
class TensorReader:
    """Reads ranges of an artifact's files and checks them block by block.

    Attributes:
        owner: The opened artifact, by which a tensor is found again after pickling.
        where: The artifact's URL, for messages.
        store: Where the files are.
        files: Where each file lies.
        versions: The object versions that the manifest pins, by path.
        etags: What the store said of the files for which no manifest vouches, by path.
        block_size: Bytes per block of the digests.
        verify: Whether bytes that nothing vouches for are refused.
        companion: What is read along with tensors, and is told which have been.
    """

    owner: object
    where: str
    store: Store
    files: Mapping[str, Location]
    versions: Mapping[str, str]
    etags: Mapping[str, str]
    block_size: int
    verify: bool
    companion: Companion | None = None
    _maps: dict[str, memoryview | None] = field(default_factory=dict, repr=False)

    def numpy_dtype(self, entry: StoredTensor) -> np.dtype[Any]:
        """Return the dtype of what reading ``entry`` returns.

        Raises:
            MissingDependencyError: it needs ml_dtypes, which is not installed.
        """
        return np.dtype(object) if entry.dtype == "string" else _numpy_dtype(entry.dtype)

    def read(self, selection: Selection) -> Any:
        """Return what an index selects: an array, or an element where it selects one.

        Raises:
            IndexError: the index is out of bounds or not supported.
            IntegrityError: the bytes fail verification, or nothing vouches for them.
            StorageError: the store refused or failed.
        """
        entry = selection.entry
        rows = select_rows(entry.shape, selection.index)
        if entry.dtype == "string" or rows.is_everything or not _has_whole_rows(entry):
            whole = self._read_whole(entry)
            return whole if selection.index is Ellipsis else whole[selection.index]
        return self._read_rows(entry, rows)

    def read_many(self, entries: Sequence[StoredTensor]) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yield ``(index, array)`` for each entry, as each arrives."""
        parts: list[Part] = []
        owners: list[int] = []
        for index, entry in enumerate(entries):
            for piece in entry.pieces:
                parts.append(Part(entry=entry, piece=piece, start=0, stop=piece.nbytes))
                owners.append(index)
            if not entry.pieces:  # partitioned, and without an element
                yield index, self._assemble(entry, ())
        pending = {index: len(entry.pieces) for index, entry in enumerate(entries)}
        arrived: dict[int, list[tuple[Piece, Bytes]]] = {}
        for number, data in self.read_parts(parts):
            owner = owners[number]
            arrived.setdefault(owner, []).append((parts[number].piece, data))
            pending[owner] -= 1
            if not pending[owner]:
                yield owner, self._assemble(entries[owner], arrived.pop(owner))

    def check(self, entries: Sequence[StoredTensor]) -> None:
        """Read and check tensors, of whatever dtype, and hand out nothing.

        Raises:
            IntegrityError: the bytes fail verification, or nothing vouches for them.
            StorageError: the store refused or failed.
        """
        parts = [
            Part(entry=entry, piece=piece, start=0, stop=piece.nbytes)
            for entry in entries
            for piece in entry.pieces
        ]
        for _number, _data in self.read_parts(parts):
            pass

    def _read_whole(self, entry: StoredTensor) -> NDArray[Any]:
        ((_, array),) = self.read_many([entry])
        return array

    def _read_rows(self, entry: StoredTensor, rows: RowSelection) -> Any:
        """Read the rows in ``rows.unique`` and apply the index to them."""
        dtype = self.numpy_dtype(entry)
        table = np.zeros((len(rows.unique), *entry.shape[1:]), dtype)
        parts = [part for piece in entry.pieces for part in self._row_parts(entry, piece, rows)]
        for number, data in self.read_parts(parts):
            _fill(table, rows, parts[number], data)
        return rows.apply(table)

    def _row_parts(self, entry: StoredTensor, piece: Piece, rows: RowSelection) -> Iterator[Part]:
        """Yield the runs of adjacent blocks that hold the rows of a piece."""
        row_bytes = _row_bytes(piece)
        wanted = rows.between(piece.origin[0], piece.origin[0] + piece.shape[0]) - piece.origin[0]
        if not row_bytes or not wanted.size:
            return
        unit = self.block_size if piece.digests else row_bytes
        first, last = wanted * row_bytes // unit, (wanted * row_bytes + row_bytes - 1) // unit
        # A run ends where the next row begins beyond the block after the last one.
        ends = np.flatnonzero(first[1:] > last[:-1] + 1)
        for low, high in zip([0, *(ends + 1)], [*ends, len(wanted) - 1], strict=True):
            start, stop = int(first[low]) * unit, (int(last[high]) + 1) * unit
            yield Part(entry=entry, piece=piece, start=start, stop=min(stop, piece.nbytes))

    def read_parts(self, parts: Sequence[Part]) -> Iterator[tuple[int, Bytes]]:
        """Yield the number and the verified bytes of each part, as each arrives.

        Raises:
            IntegrityError: the bytes fail verification, or nothing vouches for them.
            StorageError: the store refused or failed.
        """
        self._refuse_unverifiable(parts)
        left = dict.fromkeys(range(len(parts)))
        failures: list[IntegrityError | ModelNotFoundError] = []
        # What was replaced since may still be there in the version that the manifest
        # pins. (Asked for second: it needs s3:GetObjectVersion.)
        for versions in ({}, self.versions) if self.versions else ({},):
            try:
                for number, arrival in self._fetch(parts, list(left), versions):
                    del left[number]
                    self._check_foreign(parts[number], arrival)
                    self._note(parts[number])
                    yield number, arrival.narrowed()
            except (IntegrityError, ModelNotFoundError) as error:
                failures.append(error)
            else:
                return
        # That no version of a changed file is kept says less than that it changed.
        raise next((e for e in failures if isinstance(e, IntegrityError)), None) or _missing(
            failures[-1], is_vouched_for=any(part.piece.digests for part in parts)
        )

    def _note(self, part: Part) -> None:
        if self.companion is not None and part.stop - part.start == part.piece.nbytes:
            self.companion.note(part.piece)

    def _fetch(
        self, parts: Sequence[Part], numbers: Sequence[int], versions: Mapping[str, str]
    ) -> Iterator[tuple[int, Arrival]]:
        """Yield some of the parts, each when all of its bytes are here and checked."""
        arrivals = {
            number: Arrival(parts[number], block_size=self.block_size, where=self.where)
            for number in numbers
        }
        ranges: list[ByteRange] = []
        owners: list[int] = []
        for number, arrival in arrivals.items():
            slices = arrival.slices(self.store.transfer.request_size // _SLICES)
            ranges += slices
            owners += [number] * len(slices)

        wanted = len(ranges)
        companion = self.companion
        if companion is not None:
            ranges += companion.take_along([parts[number].piece for number in numbers])

        def receive(position: int, data: memoryview) -> None:
            if position < wanted:
                arrivals[owners[position]].receive(ranges[position], data)
            elif companion is not None:
                companion.receive(ranges[position], data)

        files = {
            path: PinnedFile(
                location=self.files[path],
                version=versions.get(path),
                etag=self.etags.get(path),
                mapped=self._map_of(path),
            )
            for path in {each.file for each in ranges}
        }
        for position in read_ranges(self.store, files, ranges, receive):
            if position >= wanted:
                continue
            number = owners[position]
            arrivals[number].missing -= 1
            if not arrivals[number].missing:
                yield number, arrivals.pop(number)

    def _map_of(self, path: str) -> Callable[[int, int], memoryview] | None:
        """Return what reads a file out of memory, where the store can map it."""
        if path in self.etags:
            return None  # nothing would tell that somebody writes into the file
        if path not in self._maps:
            self._maps[path] = self.store.map(self.files[path])
        whole = self._maps[path]
        if whole is None:
            return None

        def read(start: int, stop: int) -> memoryview:
            size = _size_now(whole)
            if stop > size:
                raise IntegrityError(
                    "the file is shorter than its manifest says",
                    where=str(self.files[path]),
                    expected=f"bytes {start} to {stop}",
                    found=f"{size} bytes",
                )
            return whole[start:stop]

        return read

    def _refuse_unverifiable(self, parts: Sequence[Part]) -> None:
        bare = next((p for p in parts if p.piece.nbytes and not p.piece.digests), None)
        if bare is not None and self.verify:
            raise IntegrityError(
                "nothing vouches for these bytes",
                where=f"{self.where} ({bare.entry.label})",
                hint="Adopt the model to get a manifest, or open it with verify=False",
            )

    def _check_foreign(self, part: Part, arrival: Arrival) -> None:
        """Compare a whole piece with the checksum that its own format has for it, if any."""
        if part.piece.masked_crc32c is not None and arrival.wide.size == part.piece.nbytes:
            check_piece(part.entry, part.piece, bytes(arrival.buffer), where=self.where)

    def _assemble(self, entry: StoredTensor, pieces: Sequence[tuple[Piece, Bytes]]) -> NDArray[Any]:
        if entry.dtype == "string":
            return self._assemble_strings(entry, pieces)
        dtype = self.numpy_dtype(entry)
        if len(pieces) == 1 and pieces[0][0].shape == entry.shape:
            return pieces[0][1].view(dtype).reshape(entry.shape)
        whole = np.zeros(entry.shape, dtype)
        for piece, data in pieces:
            whole[_block(piece)] = data.view(dtype).reshape(piece.shape)
        return whole

    def _assemble_strings(
        self, entry: StoredTensor, pieces: Sequence[tuple[Piece, Bytes]]
    ) -> NDArray[Any]:
        whole = np.empty(entry.shape, object)
        for piece, data in pieces:
            strings = decode_strings(bytes(data), math.prod(piece.shape), where=self.where)
            block = np.empty(len(strings), object)
            block[:] = strings
            whole[_block(piece)] = block.reshape(piece.shape)
        return whole


def _block(piece: Piece) -> tuple[slice | EllipsisType, ...]:
    """Return where in the whole tensor a piece belongs."""
    slices = [
        slice(first, first + length)
        for first, length in zip(piece.origin, piece.shape, strict=True)
    ]
    # Without the ellipsis, a scalar object would become an array that holds the array.
    return (*slices, ...)


def _missing(
    failure: IntegrityError | ModelNotFoundError, *, is_vouched_for: bool
) -> RemoteModelsError:
    if not is_vouched_for:
        return failure
    return IntegrityError(
        "a file of the model is missing",
        where=failure.where,
        hint="Save the model again, or restore the file",
    )


def _size_now(mapped: memoryview) -> int:
    """Return the size of a mapped file: to read behind its end is fatal (SIGBUS, mmap(2))."""
    whole: Any = mapped.obj
    return min(len(mapped), whole.size()) if isinstance(whole, mmap.mmap) else len(mapped)


def _has_whole_rows(entry: StoredTensor) -> bool:
    """Whether every piece holds rows from end to end: it is partitioned by rows, if at all."""
    return all(piece.shape[1:] == entry.shape[1:] for piece in entry.pieces)


def _row_bytes(piece: Piece) -> int:
    return piece.nbytes // piece.shape[0] if piece.shape[0] else 0


def _fill(table: NDArray[Any], rows: RowSelection, part: Part, data: Bytes) -> None:
    """Copy the rows that lie in a part into their places in the table."""
    row_bytes = _row_bytes(part.piece)
    origin = part.piece.origin[0]
    begin, end = origin + -(-part.start // row_bytes), origin + part.stop // row_bytes
    for low, high in rows.runs(begin, end):
        offset = (int(rows.unique[low]) - origin) * row_bytes - part.start
        chunk = data[offset : offset + (high - low) * row_bytes]
        table[low:high] = chunk.view(table.dtype).reshape(table[low:high].shape)


def _numpy_dtype(name: str) -> np.dtype[Any]:
    if name in _PACKED:
        raise FormatError(
            f"{name} is stored two elements to a byte, which NumPy cannot hold",
            where="dtype",
            hint="Load the model with Keras",
        )
    if name not in _ML_DTYPES:
        return np.dtype(name).newbyteorder("<")
    try:
        ml_dtypes = importlib.import_module("ml_dtypes")
    except ImportError as error:
        raise MissingDependencyError(
            f"{name} needs ml_dtypes, which is not installed",
            hint="pip install 'remote_models[ml-dtypes]'",
        ) from error
    dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    return dtype
