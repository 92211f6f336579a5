"""What a Keras 3 model keeps where in its weights file.

The only place that touches Keras' private ``saving_lib`` to save: ``_save_state``, which
walks a model, ``H5IOStore``, to which it hands every variable, and ``DiskIOStore``, which
takes vocabularies. Tried with Keras 3.3 to 3.15; tests/streaming compares what is made
of it with the files that Keras writes.
"""

from __future__ import annotations

from collections.abc import KeysView, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras.src.saving import saving_lib

from remote_models.frameworks._asset_folder import AssetFolder

__all__ = ["HeldValue", "Keras3AssetFolder", "StateGroup", "record_state", "variable_paths"]


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldValue:
    """The value that a variable has at this moment, whatever is assigned to it later.

    A layer may change its variables for the occasion and change them back. TensorFlow
    copies a tensor before it writes to one that somebody holds, and JAX never writes to
    one: there this costs nothing. Others get a copy.

    Attributes:
        variable: The variable.
        value: Its value, as the backend has it.
    """

    variable: Any
    value: Any

    @classmethod
    def of(cls, variable: Any) -> HeldValue:
        """Hold the value of a variable."""
        value = variable.value
        if keras.backend.backend() == "tensorflow" and hasattr(value, "read_value"):
            value = value.read_value()
        elif keras.backend.backend() not in ("tensorflow", "jax"):
            value = np.array(keras.ops.convert_to_numpy(variable))
        return cls(variable=variable, value=value)

    @property
    def path(self) -> str:
        """Keras' name of the variable."""
        path: str = self.variable.path
        return path

    @property
    def dtype(self) -> str:
        """The name of the variable's dtype."""
        dtype: str = keras.backend.standardize_dtype(self.variable.dtype)
        return dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The variable's shape."""
        return tuple(self.variable.shape)

    def to_numpy(self) -> np.ndarray[Any, Any]:
        """Return the value as an array, without a copy where the backend gives it so."""
        return np.asarray(self.value)


@dataclass(frozen=True, kw_only=True, slots=True)
class StateGroup:
    """What one layer, optimizer or metric stores, a group of the weights file.

    Attributes:
        path: The group's path, as in ``layers/dense/vars``.
        attributes: The group's attributes; one with any is there even if it holds nothing.
        values: Values of variables, and NumPy arrays, by their keys.
        owner: The optimizer that stores them, if it is one.
    """

    path: str
    attributes: Mapping[str, object]
    values: MutableMapping[str, Any]
    owner: Any | None


def record_state(model: Any, assets: AssetFolder | None = None) -> Sequence[StateGroup]:
    """Return what ``model`` stores, in Keras' own order, without a copy of its variables.

    What a layer computes for the occasion is no variable, and is held.

    Args:
        model: A model that is built.
        assets: Where files go that are no numbers, such as vocabularies.
    """
    recorder = _RecordingStore(model)
    saving_lib._save_state(model, recorder, assets, "", set())  # noqa: SLF001 - see the module
    return [group for group in recorder.groups if group.attributes or group.values]


def variable_paths(groups: Sequence[StateGroup]) -> Mapping[str, str]:
    """Return the path of every variable by its key in a weights file.

    The keys are those of ``model.weights.h5``, as in ``layers/dense/vars/0``; the paths
    are Keras' own, as in ``dense/kernel`` and ``adam/dense_kernel_momentum``. What a
    layer stores beside its variables has no path and is left out.
    """
    return {
        f"{group.path}/{key}": path for group in groups for key, path in _paths_in(group).items()
    }


def _paths_in(group: StateGroup) -> Mapping[str, str]:
    paths = {key: value.path for key, value in group.values.items() if isinstance(value, HeldValue)}
    variables = getattr(group.owner, "variables", ())
    if not paths and len(variables) == len(group.values):
        # One that stores arrays of its own making, in the order of its variables.
        return {str(index): variable.path for index, variable in enumerate(variables)}
    return paths


class _RecordingStore(saving_lib.H5IOStore):  # type: ignore[misc]  # Keras ships no types
    """Takes what ``save_own_variables`` stores, and writes nothing."""

    def __init__(self, model: Any) -> None:  # the base class would open a file
        self.groups: list[StateGroup] = []
        self._model = model

    def make(self, path: str, metadata: Mapping[str, object] | None = None) -> _RecordingStore:
        self.groups.append(
            StateGroup(
                path=f"{path}/vars" if path else "vars",
                attributes=metadata or {},
                values={},
                owner=self._optimizer_at(path),
            )
        )
        return self

    def _optimizer_at(self, path: str) -> Any | None:
        owner = self._model
        for name in path.split("/"):
            owner = getattr(owner, name, None)
        return owner if isinstance(owner, keras.optimizers.Optimizer) else None

    def __setitem__(self, key: str, value: Any) -> None:
        variable = value
        if not isinstance(value, keras.Variable):
            variable = self._variable_behind(key, value)
        self.groups[-1].values[key] = (
            keras.ops.convert_to_numpy(value) if variable is None else HeldValue.of(variable)
        )

    def _variable_behind(self, key: str, value: Any) -> Any | None:
        """Return the variable of which an optimizer has handed over a copy.

        Kept until their turn comes, the copies would be a second optimizer.
        """
        owner = self.groups[-1].owner
        stock = keras.optimizers.Optimizer.save_own_variables
        if owner is None or type(owner).save_own_variables is not stock or not key.isdigit():
            return None
        variable = owner.variables[int(key)]
        same = (
            tuple(variable.shape) == value.shape
            and keras.backend.standardize_dtype(variable.dtype) == value.dtype.name
        )
        return variable if same else None

    # A layer may look at what it has stored.

    def __getitem__(self, key: str) -> Any:
        value = self.groups[-1].values[key]
        return value.to_numpy() if isinstance(value, HeldValue) else value

    def __delitem__(self, key: str) -> None:
        del self.groups[-1].values[key]

    def __contains__(self, key: object) -> bool:
        return key in self.groups[-1].values

    def __len__(self) -> int:
        return len(self.groups[-1].values)

    def keys(self) -> KeysView[str]:
        return self.groups[-1].values.keys()

    def __bool__(self) -> bool:
        return True


class Keras3AssetFolder(AssetFolder, saving_lib.DiskIOStore):  # type: ignore[misc]
    """An :class:`AssetFolder` that Keras 3 accepts."""
