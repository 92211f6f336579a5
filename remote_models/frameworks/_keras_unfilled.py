"""How much memory the variables of a Keras 3 model will take, before they take it.

Touches what Keras keeps private: in its global state the variables that wait for their
initialiser, and the numbers of automatic names. Tried with Keras 3.15.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import keras
from keras.src.backend.common import global_state

from remote_models.formats import Format
from remote_models.frameworks._keras_h5_streaming import build_h5
from remote_models.frameworks._keras_streaming import UNBUILDABLE, build_model
from remote_models.frameworks._variable_budget import VariableBudget

__all__ = ["check_variables"]

_WAITING = "uninitialized_variables"
_NAMES = "object_name_uids"


def check_variables(
    architecture: Mapping[str, Any],
    format: Format,
    budget: VariableBudget,
    *,
    custom_objects: Mapping[str, Any] | None,
    safe_mode: bool,
) -> None:
    """Build the model without a value in any variable, and count what they would take.

    Raises:
        FormatError: that is more than ``budget``.
    """
    given = dict(custom_objects) if custom_objects else None
    with _without_values() as waiting:
        with suppress(*UNBUILDABLE):
            if format is Format.H5:
                build_h5(architecture, custom_objects=given, safe_mode=safe_mode)
            else:
                build_model(architecture, custom_objects=given, safe_mode=safe_mode)
        for variable in waiting():
            budget.take(tuple(variable.shape), _itemsize(variable.dtype))


@contextmanager
def _without_values() -> Iterator[Any]:
    """Leave new variables without a value, and Keras as if there had been none."""
    before = {name: global_state.get_global_attribute(name) for name in (_WAITING, _NAMES)}
    global_state.set_global_attribute(_WAITING, [])
    global_state.set_global_attribute(_NAMES, copy.copy(before[_NAMES]))
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield lambda: global_state.get_global_attribute(_WAITING) or []
    finally:
        for name, value in before.items():
            global_state.set_global_attribute(name, value)


def _itemsize(dtype: str) -> int:
    bits = "".join(each for each in dtype.partition("_")[0] if each.isdigit())
    return max(int(bits or 8) // 8, 1)
