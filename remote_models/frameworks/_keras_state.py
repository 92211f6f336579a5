"""What a Keras 3 model keeps where in its weights file.

The only place that touches Keras' private ``saving_lib``: ``_save_state``, which
walks a model, and ``H5IOStore``, to which it hands every variable. Tried with Keras
3.3 to 3.15; tests/integration compares what this says with the files themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras.src.saving import saving_lib

__all__ = ["variable_paths"]


def variable_paths(model: Any) -> Mapping[str, str]:
    """Return the path of every variable of ``model`` by its key in a weights file.

    The keys are those of ``model.weights.h5``, as in ``layers/dense/vars/0``; the paths
    are Keras' own, as in ``dense/kernel`` and ``adam/dense_kernel_momentum``. What a
    layer stores beside its variables has no path and is left out.
    """
    store = _RecordingStore()
    saving_lib._save_state(model, store, None, "", set())  # noqa: SLF001 - see the module
    return {
        f"{folder}/{key}": path
        for folder, entries in store.entries.items()
        for key, path in _paths_of(model, folder, entries).items()
    }


def _paths_of(model: Any, folder: str, entries: Mapping[str, object]) -> Mapping[str, str]:
    paths = {key: value.path for key, value in entries.items() if isinstance(value, keras.Variable)}
    if not paths and folder.startswith("optimizer/"):
        # Optimizers store arrays, in the order of their variables.
        owner = model
        for name in folder.split("/")[:-1]:
            owner = getattr(owner, name, None)
        variables = getattr(owner, "variables", ())
        if len(variables) == len(entries):
            return {str(index): variable.path for index, variable in enumerate(variables)}
    return paths


class _RecordingStore(saving_lib.H5IOStore):  # type: ignore[misc]  # Keras ships no types
    """Takes what ``save_own_variables`` stores, and writes nothing."""

    def __init__(self) -> None:  # the base class would open a file
        self.entries: dict[str, dict[str, object]] = {}
        self._folder = "vars"

    def make(self, path: str, metadata: object = None) -> _RecordingStore:
        self._folder = f"{path}/vars" if path else "vars"
        return self

    def __setitem__(self, key: str, value: object) -> None:
        # Arrays would hold a second copy of the optimizer.
        kept = value if isinstance(value, keras.Variable) else None
        self.entries.setdefault(self._folder, {})[key] = kept

    def __bool__(self) -> bool:
        return True
