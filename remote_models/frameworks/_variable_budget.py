"""Refuse variables that a configuration asks for and its artifact does not hold.

A few bytes of configuration can ask for any number of them, and the frameworks run their
initialisers before they look at what is stored. Keras 3 makes them without a value in
``_keras_unfilled``; tf_keras always fills them, so here TensorFlow asks before it does
(``tf.variable_creator_scope``, a public function).
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from remote_models.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["VariableBudget", "stored_bytes"]

_GROWTH = 4
"""Times that the variables may take what is stored: an optimizer's slots, wider dtypes."""

_FREE = 64 * 1024 * 1024
"""Bytes that the variables of any model may take."""


def stored_bytes(path: Path) -> int:
    """Return the size of a file, or of all files in a directory."""
    if path.is_dir():
        return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
    return path.stat().st_size


class VariableBudget:
    """The bytes that the variables of a model may take.

    Used in a ``with`` block, in which TensorFlow makes no variable beyond them.

    Args:
        stored: The bytes of the artifact.
        where: Where it came from, for messages.

    Raises:
        FormatError: when the block ends, if there was one that it did not make.
    """

    def __init__(self, stored: int, *, where: str) -> None:
        self._most = _GROWTH * stored + _FREE
        self._left = self._most
        self._where = where
        self._refused: FormatError | None = None
        self._scope = ExitStack()

    def take(self, shape: tuple[int, ...], itemsize: int) -> None:
        """Count a variable.

        Raises:
            FormatError: it is too large.
        """
        self._left -= math.prod(shape) * itemsize
        if self._left < 0:
            self._refused = FormatError(
                "the configuration asks for variables that the artifact does not hold",
                where=self._where,
                expected=f"at most {self._most} bytes of variables",
                found=f"one of shape {list(shape)}",
                hint="If you trust whoever saved it, pass safe_mode=False",
            )
            raise self._refused

    def __enter__(self) -> Self:
        import tensorflow as tf

        # TensorFlow hands over all that it was given, whatever its version gives.
        creator = tf.variable_creator_scope(lambda make, **given: self._create(make, given))
        self._scope.enter_context(creator)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._scope.close()
        if self._refused is not None and error is not self._refused:
            raise self._refused  # which tf_keras has taken for a layer to be revived

    def _create(self, make: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        import tensorflow as tf

        shape = arguments.get("shape")
        if shape is None:
            value = arguments.get("initial_value")
            # Keras gives the initialiser its shape as the first argument of a partial.
            shape = getattr(value, "shape", None) or (*getattr(value, "args", ()), ())[0]
        dtype = tf.as_dtype(arguments.get("dtype") or "float32")
        self.take(tuple(int(each) for each in tf.TensorShape(shape).as_list()), dtype.size)
        return make(**arguments)
