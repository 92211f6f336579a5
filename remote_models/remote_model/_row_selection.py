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


_NO_ROWS = np.empty(0, np.int64)


@dataclass(frozen=True, kw_only=True, slots=True)
class RowSelection:
    """The rows along the first axis that an index needs, and what to do with them.

    Attributes:
        unique: The rows to read, sorted, each once; empty where all are needed.
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
    if not words:
        return RowSelection(unique=_NO_ROWS, index=(Ellipsis,), is_everything=True)
    first, rest = words[0], words[1:]
    for axis, word in enumerate(rest, 1):
        _check_later_word(axis, shape[axis], word)
    if isinstance(first, slice) and first == slice(None):
        return RowSelection(unique=_NO_ROWS, index=(first, *rest), is_everything=True)
    unique, position = _rows(shape[0], first)
    return RowSelection(unique=unique, index=(position, *rest), is_everything=False)


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


def _check_later_word(axis: int, length: int, word: Any) -> None:
    """Refuse, before anything is read, what cannot follow the first word of an index."""
    if isinstance(word, slice):
        return
    if not isinstance(word, int | np.integer) or isinstance(word, bool):
        raise IndexError(
            "only integers, slices and an ellipsis can follow the first index; "
            f"found {type(word).__name__}"
        )
    if not -length <= word < length:
        raise IndexError(f"index {word} is out of bounds: axis {axis} has {length}")


def _rows(length: int, word: Any) -> tuple[NDArray[np.int64], Any]:
    """Return the rows that the first word needs, and the word for the table of these."""
    if isinstance(word, slice):
        rows = np.arange(*word.indices(length), dtype=np.int64)
        forward = word.step is None or word.step > 0
        return (rows, slice(None)) if forward else (rows[::-1], slice(None, None, -1))
    wanted = _row_numbers(length, word)
    unique, inverse = np.unique(wanted.ravel(), return_inverse=True)
    return unique, inverse.reshape(wanted.shape) if wanted.ndim else 0


def _row_numbers(length: int, word: Any) -> NDArray[np.int64]:
    """Return the row numbers that an integer or an array means, none negative."""
    rows = np.asarray(word)
    if rows.dtype == bool:
        if rows.shape != (length,):
            raise IndexError(f"a boolean index must have shape ({length},), found {rows.shape}")
        return np.flatnonzero(rows)
    is_empty_list = isinstance(word, list) and not rows.size  # of no dtype that says anything
    if rows.dtype.kind not in "iu" and not is_empty_list:
        raise IndexError(f"unsupported index: {type(word).__name__}")
    if rows.size and (rows.min() < -length or rows.max() >= length):
        raise IndexError(f"row out of bounds: the first axis has {length}")
    rows = rows.astype(np.int64)  # a narrow dtype cannot hold the length that is added
    return np.where(rows < 0, rows + length, rows)
