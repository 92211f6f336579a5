"""Arrays whose memory TensorFlow takes over instead of copying it.

A copy of a model that is being loaded costs a third of the time that its transfer
takes, and twice its memory for a moment. TensorFlow takes over memory through DLPack
(https://dmlc.github.io/dlpack/latest/); it has to be aligned to 64 bytes, or the first
operation that looks at it ends the process (EIGEN_MAX_ALIGN_BYTES, tensor.h: "Check
failed: IsAligned()"). Tried with TensorFlow 2.21.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LentArray"]

_ALIGNMENT = 64

_MIN_BYTES = 4096
"""Below, a copy costs less than DLPack does."""

_KINDS = "fiu"
"""Real numbers: what NumPy and TensorFlow both call by one name in DLPack."""


class LentArray(np.ndarray[Any, Any]):
    """An array that the first tensor made of it takes over, if its memory is fit for that.

    It is an ordinary array to everybody else. Every further tensor, and every tensor of
    a part of it, is a copy: no two variables may share memory. Who lends an array must
    not write to it any more.

    Attributes:
        may_be_taken: Whether the next tensor takes the memory over.
    """

    may_be_taken: bool

    @classmethod
    def of(cls, array: NDArray[Any]) -> LentArray:
        """Lend ``array``, which nobody else may use."""
        lent = array.view(cls)
        lent.may_be_taken = (
            array.nbytes >= _MIN_BYTES
            and array.dtype.kind in _KINDS
            and array.dtype.isnative
            and array.flags.c_contiguous
            and array.flags.writeable
            and array.ctypes.data % _ALIGNMENT == 0
        )
        return lent

    def __array_finalize__(self, origin: object) -> None:
        self.may_be_taken = False  # of views and results, too

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> Any:
        """Return a tensor; this is the protocol of ``tf.convert_to_tensor``."""
        tf = sys.modules["tensorflow"]  # which is who asks
        plain = self.view(np.ndarray)
        if not (self.may_be_taken and tf.executing_eagerly()):
            return tf.convert_to_tensor(plain, dtype=dtype, name=name)
        if dtype is not None and tf.as_dtype(dtype) != tf.as_dtype(plain.dtype):
            return tf.convert_to_tensor(plain, dtype=dtype, name=name)
        self.may_be_taken = False
        return tf.experimental.dlpack.from_dlpack(plain.__dlpack__())
