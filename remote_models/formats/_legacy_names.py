"""Names and roles of the tensors in Keras' legacy HDF5 files.

A legacy file keeps a group for each layer and in it a dataset for each variable, whose
path below the group is the variable's name as TensorFlow or Keras knows it
(``save_subset_weights_to_hdf5_group`` in keras/src/legacy/saving/legacy_h5_format.py,
Keras 3.15, and hdf5_format.py of tf_keras). The attribute ``weight_names`` repeats
these paths in the variables' order and marks the group of a layer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from remote_models.formats._names import OptimizerNames, variable_name
from remote_models.tensors import Role, StoredTensor

__all__ = ["MODEL_WEIGHTS", "OPTIMIZER_WEIGHTS", "name_legacy_tensors"]

MODEL_WEIGHTS = "model_weights"
OPTIMIZER_WEIGHTS = "optimizer_weights"


def name_legacy_tensors(
    tensors: Sequence[StoredTensor],
    layers: Mapping[str, Sequence[str]],
    layer_names: Sequence[str],
    containers: Collection[str],
) -> list[StoredTensor]:
    """Give tensors their names and roles, in the order of the model.

    Args:
        tensors: What the file holds.
        layers: The attribute ``weight_names`` of every group that has it.
        layer_names: The paths of such groups in the model's order.
        containers: The names of the model and of the models nested in it.
    """
    ranks = _ranks(layers, layer_names)
    named: list[StoredTensor] = []
    slots: list[tuple[StoredTensor, str]] = []
    raw_names: dict[str, str] = {}
    for tensor in sorted(tensors, key=lambda each: ranks.get(each.key, len(ranks))):
        group = _layer_of(tensor.key, layers)
        raw = variable_name(tensor.key[len(group) + 1 :] if group else tensor.key)
        if group is None:
            named.append(tensor)
        elif group == OPTIMIZER_WEIGHTS:
            slots.append((tensor, raw))
        else:
            layer = group.removeprefix(f"{MODEL_WEIGHTS}/")
            name = _without_containers(_from_layer(raw, layer), containers)
            raw_names[raw] = name
            named.append(replace(tensor, name=name, role=Role.WEIGHT))
    optimizer_names = OptimizerNames(raw_names)
    named += [
        replace(tensor, name=_slot_name(optimizer_names(raw), raw_names), role=Role.OPTIMIZER)
        for tensor, raw in slots
    ]
    return named


def _ranks(layers: Mapping[str, Sequence[str]], layer_names: Sequence[str]) -> dict[str, int]:
    """Return the place of every dataset that the attributes list."""
    order = dict.fromkeys([*layer_names, *layers])  # others behind: the optimizer
    listed = [f"{group}/{name}" for group in order for name in layers.get(group, ())]
    return {key: rank for rank, key in enumerate(dict.fromkeys(listed))}


def _layer_of(key: str, layers: Collection[str]) -> str | None:
    """Return the innermost group of a layer around a dataset."""
    group = key.rpartition("/")[0]
    while group and group not in layers:
        group = group.rpartition("/")[0]
    return group or None


def _from_layer(raw: str, layer: str) -> str:
    """Leave out what stands before the layer's own name in its variable's.

    Keras 3 names a variable that was created in a call of the model after the model
    too: ``sequential/dense/kernel``, though not once the model is loaded again. Keras 2's
    Normalization leaves itself out: ``mean``.
    """
    if "/" not in raw:
        return f"{layer}/{raw}"
    start = f"/{raw}".find(f"/{layer}/")
    return raw[start:] if start > 0 else raw


def _without_containers(name: str, containers: Collection[str]) -> str:
    parts = name.split("/")
    while len(parts) > 2 and parts[0] in containers:
        del parts[0]
    return "/".join(parts)


def _slot_name(name: str, raw_names: Mapping[str, str]) -> str:
    """Put the variable's name for the raw name of ``optimizer/SLOT/RAW NAME``."""
    parts = name.split("/", 2)
    if len(parts) == 3 and parts[2] in raw_names:
        return f"{parts[0]}/{parts[1]}/{raw_names[parts[2]]}"
    return name
