"""Which rows of a tensor an index needs: pure arithmetic, no bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RowSelection", "select_rows"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RowSelection:
    """The rows along the first axis that an index needs, and what to do with them.

    Attributes:
        unique: The rows to read, sorted, each once.
        index: The index to apply to the table of these rows.
        is_everything: Whether the index needs every row.
    """

    unique: NDArray[np.int64]
    index: tuple[Any, ...]
    is_everything: bool

    def between(self, first: int, stop: int) -> NDArray[np.int64]:
        """Return the rows from ``first`` to ``stop`` (not included)."""
        low, high = np.searchsorted(self.unique, (first, stop))
        return self.unique[low:high]

    def runs(self, first: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield ``(low, high)`` where ``unique[low:high]`` are adjacent rows.

        Only rows from ``first`` to ``stop`` (not included) count.
        """
        low = int(np.searchsorted(self.unique, first))
        rows = self.between(first, stop)
        breaks = np.flatnonzero(np.diff(rows) != 1) + 1
        edges = [0, *breaks.tolist(), len(rows)]
        for begin, finish in pairwise(edges):
            if begin < finish:
                yield low + begin, low + finish

    def apply(self, table: NDArray[Any]) -> Any:
        """Apply the index to the table of the rows that were read."""
        return table[self.index]


def select_rows(shape: tuple[int, ...], index: Any) -> RowSelection:
    """Work out the rows that ``index`` needs of a tensor of ``shape``.

    Supported are integers, slices and an ellipsis anywhere, and along the first axis
    an array of integers or of booleans as well.

    Raises:
        IndexError: the index is out of bounds, has too many parts, or is of another kind.
    """
    words = _expand(shape, index)
    everything = np.arange(shape[0] if shape else 1)
    if not words:
        return RowSelection(unique=everything, index=(Ellipsis,), is_everything=True)
    first, rest = words[0], words[1:]
    for word in rest:
        if not isinstance(word, slice | int | np.integer):
            raise IndexError(
                "only integers, slices and an ellipsis can follow the first index; "
                f"found {type(word).__name__}"
            )
    if isinstance(first, slice) and first == slice(None):
        return RowSelection(unique=everything, index=(first, *rest), is_everything=True)
    wanted = _rows(shape[0], first)
    unique, inverse = np.unique(wanted, return_inverse=True)
    position = int(inverse[0]) if np.ndim(wanted) == 0 else inverse.reshape(np.shape(wanted))
    return RowSelection(
        unique=unique.astype(np.int64), index=(position, *rest), is_everything=False
    )


def _expand(shape: tuple[int, ...], index: Any) -> tuple[Any, ...]:
    """Write an index without an ellipsis."""
    words = index if isinstance(index, tuple) else (index,)
    dots = [position for position, word in enumerate(words) if word is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis")
    if len(words) - len(dots) > len(shape):
        raise IndexError(f"too many indices for a tensor of {len(shape)} dimensions")
    if dots:
        fill = (slice(None),) * (len(shape) - len(words) + 1)
        words = (*words[: dots[0]], *fill, *words[dots[0] + 1 :])
    return words


def _rows(length: int, word: Any) -> Any:
    """Return the row numbers that one index word means, none negative."""
    if isinstance(word, slice):
        return np.arange(length)[word]
    rows = np.asarray(word)
    if rows.dtype == bool:
        if rows.shape != (length,):
            raise IndexError(f"a boolean index must have shape ({length},), found {rows.shape}")
        return np.flatnonzero(rows)
    if rows.size == 0:
        return rows.astype(np.int64)
    if rows.dtype.kind not in "iu":
        raise IndexError(f"unsupported index: {type(word).__name__}")
    if rows.min() < -length or rows.max() >= length:
        raise IndexError(f"row out of bounds: the first axis has {length}")
    return np.where(rows < 0, rows + length, rows)
