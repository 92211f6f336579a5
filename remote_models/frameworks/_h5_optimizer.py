"""The optimizer of Keras 3 models that go to ``.h5`` and come from there.

On loading, Keras 3 builds it for no variable at all (legacy_h5_format.py takes
``model._trainable_variables``, which is empty for a model of layers), so that every
slot is lost and the next ``fit`` fails with "Unknown variable". Seen with 3.15.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["keeping_compile_config", "restore_optimizer"]


@contextmanager
def keeping_compile_config(model: Any) -> Iterator[None]:
    """Let a model say afterwards what it was compiled with, the optimizer included.

    Saving as ``.h5`` takes the optimizer out of ``model._compile_config`` itself
    (``get_metadata`` in keras/src/legacy/saving/saving_utils.py), so that a later
    ``.keras`` of the same model would have none. Seen with 3.15.
    """
    config: dict[str, Any] = getattr(getattr(model, "_compile_config", None), "config", {})
    before = dict(config)
    try:
        yield
    finally:
        config.update(before)


def restore_optimizer(model: Any, path: Path) -> None:
    """Give ``model`` an optimizer with the state that Keras 3's ``.h5`` file at ``path`` holds.

    Nothing is done where Keras has built it for the model's variables itself.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return
    state = _read_state(path)
    if not state or len(optimizer.variables) == len(state):
        return
    restored = type(optimizer).from_config(optimizer.get_config())
    restored.build(model.trainable_variables)
    restored.load_own_variables({str(index): value for index, value in enumerate(state)})
    model.optimizer = restored


def _read_state(path: Path) -> Sequence[Any]:
    """Return the saved variables of the optimizer, in its own order."""
    import h5py

    with h5py.File(path, "r") as file:
        group = file.get("optimizer_weights")
        if group is None:
            return ()
        datasets = [group[name] for name in _names(group.attrs)]
        # What lies outside this file is not part of the model (CWE-73).
        own = [each for each in datasets if each.file == file and not _is_elsewhere(each)]
        return [np.asarray(each) for each in own] if len(own) == len(datasets) else ()


def _is_elsewhere(dataset: Any) -> bool:
    return bool(dataset.external or dataset.is_virtual)


def _names(attributes: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the names of ``weight_names``, which Keras splits when they are long."""
    if "weight_names" in attributes:
        yield from attributes["weight_names"]
    for index in itertools.count():
        if f"weight_names{index}" not in attributes:
            return
        yield from attributes[f"weight_names{index}"]
