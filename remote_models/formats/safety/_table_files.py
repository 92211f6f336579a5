"""Whether a table of a SavedModel is filled from one of the model's own assets.

The path of the file comes from outside of the function that fills the table: TensorFlow
binds an asset to one of its arguments (``bound_inputs`` in saved_object_graph.proto), or
the main graph of TensorFlow 1 holds the node that the declaration of an asset names.
"""

from __future__ import annotations

from typing import Any

from remote_models.formats.safety._asset_files import bound_assets
from remote_models.formats.safety._calls import Calls, Site, node_name, upstream

__all__ = ["TableFiles"]

_CALLS = (b"PartitionedCall", b"StatefulPartitionedCall")
"""Operations that pass their inputs on as they are. Others need not: a loop gives its body
what the body has returned, and a dataset its elements."""

_INITIALISER = b"__saved_model_init_op"
"""INIT_OP_SIGNATURE_KEY in tensorflow/python/saved_model/constants.py."""

_PASSING = (b"Identity", b"ReadVariableOp", b"PlaceholderWithDefault")


class TableFiles:
    """The paths of files in one graph.

    Args:
        graph: The graph.
        calls: Who calls whom in it.
        where: The artifact, for messages.
    """

    def __init__(self, graph: Any, calls: Calls, *, where: str) -> None:
        self._calls = calls
        self._objects = graph.object_graph_def.nodes
        self._bound = {
            entry.key: list(entry.value.bound_inputs)
            for entry in graph.object_graph_def.concrete_functions
        }
        self._assets = {
            node_name(each.tensor_info.name) for each in bound_assets(graph, where=where)
        }
        # Only the initialiser is given the assets; a signature takes what the nodes hold.
        self._in_signatures = upstream(
            calls.main,
            [
                node_name(entry.value.name)
                for signature in graph.signature_def
                if signature.key != _INITIALISER
                for entry in signature.value.outputs
            ],
        )
        self._seen: set[tuple[bytes, int]] = set()

    def is_asset(self, node: Any, function: bytes | None) -> bool:
        """Whether the second input of a node, which fills a table, is the path of an asset."""
        if len(node.input) < 2 or (function is None and node.name in self._in_signatures):
            return False
        self._seen.clear()
        return self._is_path(node_name(node.input[1]), function)

    def _is_path(self, name: bytes, function: bytes | None) -> bool:
        if function is None:
            return self._is_path_in_main(name)
        arguments = [each.name for each in self._calls.functions[function].signature.input_arg]
        if name not in arguments or self._calls.has_unseen_callers(function):
            return False
        position = arguments.index(name)
        if (function, position) in self._seen:  # asked already, a level above
            return True
        self._seen.add((function, position))
        return self._is_bound(function, position, len(arguments)) and all(
            self._is_passed(site, position, len(arguments)) for site in self._calls.sites(function)
        )

    def _is_passed(self, site: Site, position: int, count: int) -> bool:
        inputs = [each for each in site.node.input if not each.startswith(b"^")]
        return (
            (site.node.op in _CALLS or site.node.op in self._calls.functions)
            and not (site.function is None and site.node.name in self._in_signatures)
            and len(inputs) == count
            and self._is_path(node_name(inputs[position]), site.function)
        )

    def _is_bound(self, function: bytes, position: int, count: int) -> bool:
        """Whether an argument is bound to an asset, where the function can be called at all."""
        if function not in self._bound:
            return True
        bound = self._bound[function]
        index = position - (count - len(bound))
        return (
            0 <= index < len(bound)
            and 0 <= bound[index] < len(self._objects)
            and self._objects[bound[index]].HasField("asset")
        )

    def _is_path_in_main(self, name: bytes) -> bool:
        """Whether whatever a node can hold is the path of an asset."""
        waiting, seen = [name], set[bytes]()
        while waiting:
            each = waiting.pop()
            if each in seen or each in self._assets:
                continue
            seen.add(each)
            sources = self._sources_of(each)
            if not sources:
                return False
            waiting += sources
        return True

    def _sources_of(self, name: bytes) -> list[bytes]:
        node = self._calls.main.get(name)
        if node is None:
            return []
        if node.op in _PASSING:
            return [node_name(each) for each in node.input[:1]]
        return self._values_of(name) if node.op == b"VarHandleOp" else []

    def _values_of(self, variable: bytes) -> list[bytes]:
        return [
            node_name(node.input[1])
            for node in self._calls.main.values()
            if node.op == b"AssignVariableOp"
            and len(node.input) > 1
            and node_name(node.input[0]) == variable
        ]
