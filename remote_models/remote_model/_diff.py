"""Compare two artifacts tensor by tensor, by their digests where that is enough."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from remote_models.remote_model._arrival import Part
from remote_models.remote_model._gap import Gap
from remote_models.remote_model._model_diff import Change, ModelDiff, TensorDiff, TensorForm
from remote_models.remote_model._tensor_reader import Selection, TensorReader
from remote_models.remote_model._weights import stored_tensors
from remote_models.tensors import DIGEST_SIZE, DTYPE_BITS, Piece, StoredTensor

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from remote_models.remote_model._arrival import Bytes
    from remote_models.remote_model._model import RemoteModel

__all__ = ["diff_weights"]

_BATCH = 32 * 1024 * 1024
"""Bytes of each model that are held at once."""

_SPAN = 8 * 1024 * 1024
"""Bytes of a piece that are compared at once."""

_BYTE = 8
"""Bits."""

_WIDEST = 16
"""Bytes of an element at most."""

_Range = tuple[int, int]


@dataclass(kw_only=True)
class _Pair:
    """A tensor that both models have, and what is known of its values so far."""

    name: str
    first: StoredTensor
    second: StoredTensor
    is_same: bool = True
    gap: Gap | None = None

    @property
    def is_alike(self) -> bool:
        """Whether the dtypes and shapes are the same, so that the bytes may be."""
        return (self.first.dtype, self.first.shape) == (self.second.dtype, self.second.shape)

    @property
    def is_measurable(self) -> bool:
        """Whether the difference of two elements is a number."""
        dtypes = (self.first.dtype, self.second.dtype)
        return self.first.shape == self.second.shape and all(map(_is_number, dtypes))

    def finished(self) -> TensorDiff:
        is_same = self.is_same and self.is_alike
        gap = self.gap or (Gap() if self.is_measurable else None)
        return TensorDiff(
            name=self.name,
            change=Change.SAME if is_same else Change.CHANGED,
            before=_form(self.first),
            after=_form(self.second),
            different=gap.different if gap else None,
            not_finite=gap.not_finite if gap else None,
            max_abs=gap.max_abs if gap else None,
            l2=gap.l2 if gap else None,
            relative_l2=0.0 if is_same and gap else gap.relative_l2 if gap else None,
        )


@dataclass(frozen=True, slots=True)
class _Span:
    """A part of a tensor in both models: the same elements."""

    pair: _Pair
    first: Part
    second: Part


@dataclass(kw_only=True)
class _Comparison:
    """Compares the tensors of two models, each by its own reader."""

    first: TensorReader
    second: TensorReader
    bytes_read: int = 0

    def run(self, pairs: Iterable[_Pair]) -> None:
        """Find out of each pair whether it is the same, and how far apart it is."""
        spans = (span for pair in pairs for span in self._spans(pair))
        with ThreadPoolExecutor(2, thread_name_prefix="remote_models") as pool:
            for batch in _batches(spans):
                self._compare(batch, pool)

    def _spans(self, pair: _Pair) -> Iterator[_Span]:
        """Yield what has to be read of a pair; what digests or forms tell is told at once."""
        if not (pair.is_alike or pair.is_measurable):
            pair.is_same = False
            return
        if _places(pair.first) != _places(pair.second):
            self._compare_whole(pair)
            return
        for one, other in zip(_ordered(pair.first), _ordered(pair.second), strict=True):
            for start, stop in self._ranges(pair, one, other):
                yield _Span(
                    pair,
                    _part(pair.first, one, start, stop),
                    _part(pair.second, other, start, stop),
                )

    def _ranges(self, pair: _Pair, one: Piece, other: Piece) -> Iterator[_Range]:
        """Yield the elements, as a range, that have to be compared of a piece."""
        block = max(self.first.block_size, self.second.block_size)
        if not pair.is_alike:
            most = max(_SPAN // _WIDEST, block)
            yield from _cut(0, one.nbytes * _BYTE // DTYPE_BITS[pair.first.dtype], most)
            return
        changed = self._changed(one, other)
        if changed is not None and changed and not pair.is_measurable:
            pair.is_same = False
            return
        whole = [(0, one.nbytes)] if one.nbytes == other.nbytes else []
        pair.is_same &= one.nbytes == other.nbytes
        bits = DTYPE_BITS.get(pair.first.dtype, _BYTE) if pair.is_measurable else _BYTE
        for start, stop in whole if changed is None else changed:
            for at, end in _cut(start, stop, max(_SPAN // block, 1) * block):
                yield at * _BYTE // bits, end * _BYTE // bits

    def _changed(self, one: Piece, other: Piece) -> Sequence[_Range] | None:
        """Return the bytes of the blocks whose digests differ; ``None`` if that is not known."""
        if not (one.digests and other.digests) or one.nbytes != other.nbytes:
            return None
        size = self.first.block_size
        if size != self.second.block_size:
            if one.nbytes > min(size, self.second.block_size):
                return None
            size = one.nbytes  # each has one block, of the whole
        numbers = [
            at // DIGEST_SIZE
            for at in range(0, len(one.digests), DIGEST_SIZE)
            if one.digests[at : at + DIGEST_SIZE] != other.digests[at : at + DIGEST_SIZE]
        ]
        return [(low * size, min((high + 1) * size, one.nbytes)) for low, high in _runs(numbers)]

    def _compare(self, spans: Sequence[_Span], pool: ThreadPoolExecutor) -> None:
        firsts = pool.submit(_read, self.first, [span.first for span in spans])
        seconds = pool.submit(_read, self.second, [span.second for span in spans])
        for span, one, other in zip(spans, firsts.result(), seconds.result(), strict=True):
            self._note(span.pair, one, other)
        self.bytes_read += sum(
            part.widened(reader.block_size if part.piece.digests else 1).size
            for span in spans
            for part, reader in ((span.first, self.first), (span.second, self.second))
        )

    def _note(self, pair: _Pair, one: Bytes, other: Bytes) -> None:
        pair.is_same &= pair.is_alike and bool(np.array_equal(one, other))
        if pair.is_measurable:
            self._measure(
                pair,
                one.view(self.first.numpy_dtype(pair.first)),
                other.view(self.second.numpy_dtype(pair.second)),
            )

    def _measure(self, pair: _Pair, one: NDArray[Any], other: NDArray[Any]) -> None:
        if pair.gap is None:
            pair.gap = Gap()
        pair.gap.add(one, other)

    def _compare_whole(self, pair: _Pair) -> None:
        """Compare tensors that are cut into pieces in different ways."""
        one = self.first.read(Selection(pair.first)).ravel()
        other = self.second.read(Selection(pair.second)).ravel()
        self.bytes_read += pair.first.nbytes + pair.second.nbytes
        if pair.is_measurable:
            pair.is_same = one.tobytes() == other.tobytes()
            self._measure(pair, one, other)
        else:
            pair.is_same = one.tolist() == other.tolist()


def diff_weights(first: RemoteModel, second: RemoteModel) -> ModelDiff:
    """Compare the tensors of two opened models by name.

    Blocks of which both manifests have the same digest are not read. All that is read
    is checked as ever.

    Raises:
        IntegrityError: bytes are not those that a manifest vouches for.
        FormatError: without a manifest, and the files are damaged or no model's.
        MissingDependencyError: a dtype needs ml_dtypes, which is not installed.
        StorageError: a store refused or failed.
    """
    befores, reader = stored_tensors(first.weights)
    afters, other_reader = stored_tensors(second.weights)
    pairs = {
        name: _Pair(name=name, first=entry, second=afters[name])
        for name, entry in befores.items()
        if name in afters
    }
    comparison = _Comparison(first=reader, second=other_reader)
    comparison.run(pairs.values())
    tensors = [
        pairs[name].finished() if name in pairs else _lonely(name, befores, afters)
        for name in {**befores, **afters}
    ]
    return ModelDiff(
        first=str(first.location),
        second=str(second.location),
        tensors=tensors,
        bytes_read=comparison.bytes_read,
    )


def _lonely(
    name: str, befores: Mapping[str, StoredTensor], afters: Mapping[str, StoredTensor]
) -> TensorDiff:
    if name in befores:
        return TensorDiff(name=name, change=Change.REMOVED, before=_form(befores[name]), after=None)
    return TensorDiff(name=name, change=Change.ADDED, before=None, after=_form(afters[name]))


def _form(entry: StoredTensor) -> TensorForm:
    return TensorForm(role=entry.role, dtype=entry.dtype, shape=entry.shape)


def _is_number(dtype: str) -> bool:
    """Whether elements of a dtype are numbers, and whole bytes."""
    return DTYPE_BITS.get(dtype, 0) >= _BYTE


def _places(entry: StoredTensor) -> Sequence[tuple[tuple[int, ...], tuple[int, ...]]]:
    return [(piece.origin, piece.shape) for piece in _ordered(entry)]


def _ordered(entry: StoredTensor) -> Sequence[Piece]:
    return sorted(entry.pieces, key=lambda piece: piece.origin)


def _part(entry: StoredTensor, piece: Piece, start: int, stop: int) -> Part:
    bits = DTYPE_BITS[entry.dtype] if _is_number(entry.dtype) else _BYTE
    return Part(entry=entry, piece=piece, start=start * bits // _BYTE, stop=stop * bits // _BYTE)


def _cut(start: int, stop: int, most: int) -> Iterator[_Range]:
    for at in range(start, stop, most):
        yield at, min(at + most, stop)


def _runs(numbers: Sequence[int]) -> Iterator[_Range]:
    """Yield the first and the last of each run of adjacent numbers."""
    for _, group in groupby(enumerate(numbers), key=lambda each: each[1] - each[0]):
        run = [number for _, number in group]
        yield run[0], run[-1]


def _batches(spans: Iterable[_Span]) -> Iterator[list[_Span]]:
    batch: list[_Span] = []
    size = 0
    for span in spans:
        batch.append(span)
        size += max(part.stop - part.start for part in (span.first, span.second))
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _read(reader: TensorReader, parts: Sequence[Part]) -> list[Bytes]:
    found = dict(reader.read_parts(parts))
    return [found[number] for number in range(len(parts))]
