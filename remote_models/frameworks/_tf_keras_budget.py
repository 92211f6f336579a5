"""Ask a budget before TensorFlow makes a variable, as it does for each one of tf_keras.

Public functions only. Tried with TensorFlow 2.21.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from remote_models.frameworks._variable_budget import VariableBudget

__all__ = ["within_budget"]


@contextmanager
def within_budget(budget: VariableBudget) -> Iterator[None]:
    """Let TensorFlow make no variable beyond the budget in a block.

    Raises:
        FormatError: when the block ends, if there was one that it did not make.
    """

    def create(make: Callable[..., Any], given: Mapping[str, Any]) -> Any:
        dtype = tf.as_dtype(given.get("dtype") or "float32")
        budget.take(_shape(given), dtype.size)
        return make(**given)

    # TensorFlow hands over all that it was given, whatever its version gives.
    with tf.variable_creator_scope(lambda make, **given: create(make, given)):
        try:
            yield
        finally:
            if budget.refused is not None:  # tf_keras may take it for a layer to be revived
                raise budget.refused


def _shape(given: Mapping[str, Any]) -> tuple[int, ...]:
    shape = given.get("shape")
    if shape is None:
        value = given.get("initial_value")
        # Keras gives the initialiser its shape as the first argument of a partial.
        shape = getattr(value, "shape", None) or (*getattr(value, "args", ()), ())[0]
    known = tf.TensorShape(shape)
    # What has no shape yet, as a table's place in a checkpoint, takes nothing.
    return tuple(each or 0 for each in known.as_list()) if known.rank is not None else (0,)
