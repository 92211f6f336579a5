"""The names of a Keras 3 model's state in the checkpoint of a SavedModel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from remote_models.formats._names import unique_names
from remote_models.formats._numbered_names import name_numbered_tensors
from remote_models.formats._saved_model import state_key
from remote_models.tensors import StoredTensor

__all__ = ["name_state"]


def name_state(
    tensors: Sequence[StoredTensor], architecture: Mapping[str, Any]
) -> list[StoredTensor]:
    """Give tensors the names and roles that a ``.keras`` archive of the model gives them.

    The checkpoint knows the variables of a model that was loaded, not built, by their
    last names only: the configuration knows better.
    """
    state = {key: each for each in tensors if (key := state_key(each.key)) is not None}
    numbered = name_numbered_tensors(
        [replace(each, key=key, name=None) for key, each in state.items()], {}, architecture
    )
    better = {
        state[each.key].key: (each.name or state[each.key].name, each.role) for each in numbered
    }
    named = []
    for tensor in tensors:
        name, role = better.get(tensor.key, (tensor.name, tensor.role))
        named.append(replace(tensor, name=name, role=role))
    return unique_names(named)
