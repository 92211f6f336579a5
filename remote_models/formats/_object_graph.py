"""What a checkpoint's object graph says of its tensors: their names and roles.

Layout: tensorflow/core/protobuf/trackable_object_graph.proto. The nodes are Python
objects, node 0 the one that was saved, and a variable's node carries the variable's
name and the key of its tensor. What the children are called was read in
tf_keras/src/optimizers/ (tf_keras 2.21), keras/src/optimizers/ and
keras/src/export/saved_model.py (Keras 3.15).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from remote_models.errors import UnrecognizedFormatError
from remote_models.formats._names import (
    OptimizerNames,
    optimizer_slot_name,
    unique_names,
    variable_name,
)
from remote_models.formats._protos import parse_message
from remote_models.formats._saved_model import STATE
from remote_models.tensors import Role, StoredTensor

__all__ = ["OBJECT_GRAPH", "describe"]

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
"""The key of the object graph (tensorflow/python/trackable/base.py)."""

_ROOT = 0

_VARIABLE = b"VARIABLE_VALUE"

_METRICS = "keras_api/metrics/"

_SECOND_COPIES = "_all_variables/"
"""Where Keras 3's ``export()`` keeps every variable once more."""

_KERAS_3_STATE = STATE.encode()

_SAVE_COUNTER = "save_counter"

_RANDOM_STATES = ("seed_generator_state", "StateVar")
"""Last parts of the names of random generators' states, in Keras 3 and TensorFlow."""

_MODEL_VARIABLES = b"_trainable_variables"
"""Under an optimizer of Keras 3: the model's variables, not its own."""

_OPTIMIZER_CHILDREN = ({b"_iterations", b"_variables"}, {b"iter", b"decay"})
"""What tells an optimizer's node: its children in present and in legacy optimizers."""

_MAX_NAME = 1024
"""Characters of a name at most; a longer one is nobody's."""

_MAX_NODES = 1024 * 1024
"""Nodes at most, and a quarter of the children; a variable has about three nodes."""

_TF1_ROLES = {
    "global_step": Role.OTHER,
    "beta1_power": Role.OPTIMIZER,
    "beta2_power": Role.OPTIMIZER,
}


def describe(
    tensors: Sequence[StoredTensor], graph: bytes | None, *, where: str
) -> list[StoredTensor]:
    """Give every tensor of a checkpoint its name and its role; leave out second copies.

    Args:
        tensors: The tensors as the index has them.
        graph: The serialised object graph, ``None`` in a checkpoint of TensorFlow 1,
            whose keys are the variables' names.
        where: The checkpoint's name, for messages.

    Raises:
        UnrecognizedFormatError: the graph is malformed.
    """
    if graph is None:
        return unique_names(_tf1_roles(tensors))
    variables = _Graph(graph, where=f"{where}: {OBJECT_GRAPH}").variables()
    described = [_described(tensor, variables.get(_encoded(tensor.key))) for tensor in tensors]
    return unique_names(_without_second_copies(_with_optimizer_names(described, variables)))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Variable:
    """What the graph says of one variable."""

    name: str
    is_optimizers: bool = False
    slot: tuple[str, str] | None = None
    """The slot's word and the name of the variable that it belongs to."""


class _Graph:
    """A parsed object graph."""

    def __init__(self, data: bytes, *, where: str) -> None:
        self._where = where
        self._nodes: Any = parse_message("TrackableObjectGraph", data, where=where).nodes
        self._refuse_above(_MAX_NODES, len(self._nodes))
        self._refuse_above(4 * _MAX_NODES, sum(len(node.children) for node in self._nodes))
        self._children = [
            [(child.local_name, self._number(child.node_id)) for child in node.children]
            for node in self._nodes
        ]
        self._slots = {
            self._number(slot.slot_variable_node_id): (
                _decoded(slot.slot_name),
                self._number(slot.original_variable_node_id),
            )
            for node in self._nodes
            for slot in node.slot_variables
        }

    def variables(self) -> dict[bytes, _Variable]:
        """Return all variables by the keys of their tensors."""
        owned = self._owned_by_optimizers()
        names = {
            number: (attribute.checkpoint_key, variable_name(_decoded(attribute.full_name)))
            for number, node in enumerate(self._nodes)
            for attribute in node.attributes
            if attribute.name == _VARIABLE
        }
        variables: dict[bytes, _Variable] = {}
        for number, (key, name) in names.items():
            slot = self._slots.get(number)
            original = names.get(slot[1]) if slot else None
            variables.setdefault(
                key,
                _Variable(
                    name=name,
                    is_optimizers=number in owned or slot is not None,
                    slot=(slot[0], original[1]) if slot and original else None,
                ),
            )
        return variables

    def _owned_by_optimizers(self) -> set[int]:
        """Return the nodes that only an optimizer leads to."""
        optimizers = {number for number in range(len(self._nodes)) if self._is_optimizer(number)}
        for name, child in self._children[_ROOT] if self._children else ():
            if name == b"optimizer":
                optimizers.add(child)
            elif name == _KERAS_3_STATE:
                optimizers |= {each for key, each in self._children[child] if key == b"optimizer"}
        elsewhere = self._reachable({_ROOT} - optimizers, but_not=optimizers)
        return self._reachable(optimizers, but_not=elsewhere)

    def _is_optimizer(self, number: int) -> bool:
        names = {name for name, _ in self._children[number]}
        return bool(self._nodes[number].slot_variables) or any(
            names >= marks for marks in _OPTIMIZER_CHILDREN
        )

    def _reachable(self, start: set[int], *, but_not: set[int]) -> set[int]:
        found = set(start)
        waiting = list(start)
        while waiting and self._children:
            for name, child in self._children[waiting.pop()]:
                if child not in found and child not in but_not and name != _MODEL_VARIABLES:
                    found.add(child)
                    waiting.append(child)
        return found

    def _refuse_above(self, most: int, found: int) -> None:
        if found > most:
            raise UnrecognizedFormatError(
                "the object graph is too large", where=self._where, expected=most, found=found
            )

    def _number(self, number: int) -> int:
        if not 0 <= number < len(self._nodes):
            raise UnrecognizedFormatError(
                "a malformed object graph",
                where=self._where,
                expected=f"a node below {len(self._nodes)}",
                found=number,
            )
        return number


def _described(tensor: StoredTensor, variable: _Variable | None) -> StoredTensor:
    if variable is None:  # the object graph itself, a lookup table, an object's own state
        return tensor
    name = variable.name if 0 < len(variable.name) <= _MAX_NAME else None
    if variable.is_optimizers:
        return replace(tensor, name=name, role=Role.OPTIMIZER)
    if _METRICS in tensor.key:  # its name says no more than `total`: the key says which
        return replace(tensor, role=Role.METRIC)
    if name == _SAVE_COUNTER or (name or "").rpartition("/")[2] in _RANDOM_STATES:
        return replace(tensor, name=name, role=Role.OTHER)
    return replace(tensor, name=name, role=Role.WEIGHT)


def _with_optimizer_names(
    tensors: Iterable[StoredTensor], variables: Mapping[bytes, _Variable]
) -> Iterator[StoredTensor]:
    tensors = list(tensors)
    rename = OptimizerNames(
        {tensor.name for tensor in tensors if tensor.role is Role.WEIGHT and tensor.name}
    )
    for tensor in tensors:
        if tensor.role is not Role.OPTIMIZER or tensor.name is None:
            yield tensor
            continue
        slot = variables[_encoded(tensor.key)].slot
        if slot is None:
            yield replace(tensor, name=rename(tensor.name))
        else:
            optimizer = tensor.name.partition("/")[0]
            yield replace(tensor, name=optimizer_slot_name(*slot, optimizer=optimizer))


def _without_second_copies(tensors: Iterable[StoredTensor]) -> list[StoredTensor]:
    """Drop what Keras 3's ``export()`` keeps once more, where the bytes are the same."""
    tensors = list(tensors)
    originals = {
        _likeness(tensor) for tensor in tensors if not tensor.key.startswith(_SECOND_COPIES)
    }
    return [
        tensor
        for tensor in tensors
        if not tensor.key.startswith(_SECOND_COPIES) or _likeness(tensor) not in originals
    ]


def _likeness(tensor: StoredTensor) -> tuple[object, ...]:
    checksums = tuple(piece.masked_crc32c for piece in tensor.pieces)
    return tensor.name, tensor.dtype, tensor.shape, checksums


def _tf1_roles(tensors: Sequence[StoredTensor]) -> Iterator[StoredTensor]:
    """Tell weights from slots, which TensorFlow 1 calls ``WEIGHT/OPTIMIZER``."""
    shapes = {tensor.key: tensor.shape for tensor in tensors}
    for tensor in tensors:
        role = _TF1_ROLES.get(tensor.key, Role.WEIGHT)
        if shapes.get(tensor.key.rpartition("/")[0]) == tensor.shape:
            role = Role.OPTIMIZER
        yield replace(tensor, role=role)


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


def _encoded(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")
