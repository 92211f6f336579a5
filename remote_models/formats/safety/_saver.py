"""Which operations of a SavedModel belong to its saver.

Every SavedModel holds operations that write and read checkpoints. Nobody runs them on
loading: TensorFlow 2 reads the variables by itself, and TensorFlow 1 (``load_v1_in_v2``)
runs those that restore, with the name of the file that it gives. So they are harmless
as long as nothing else leads to them.

In a graph of TensorFlow 2 ``saver_def`` names two nodes that call a function each; in one
of TensorFlow 1 the operations lie in the main graph (saver.proto; ``_build_meta_graph_impl``
in tensorflow/python/saved_model/save.py).
"""

from __future__ import annotations

from typing import Any

from remote_models.formats.safety._calls import Calls, node_name, upstream

__all__ = ["Saver"]

_READING = {b"Restore", b"RestoreSlice", b"RestoreV2"}


class Saver:
    """The saver of one graph.

    Args:
        graph: The graph.
        calls: Who calls whom in it.
    """

    def __init__(self, graph: Any, calls: Calls) -> None:
        saver = graph.saver_def
        self._calls = calls
        # Also in a graph of TensorFlow 2, since two of them in one file are loaded as of 1.
        self._exposed = upstream(calls.main, _entry_points(graph))
        roots = {node_name(saver.save_tensor_name), node_name(saver.restore_op_name)}
        self._roots = roots - self._exposed
        self._filename = node_name(saver.filename_tensor_name)
        self._is_old = not graph.object_graph_def.nodes
        self._functions = self._find_functions()

    def owns(self, node: Any, function: bytes | None) -> bool:
        """Whether a node that reads or writes a checkpoint is the saver's, and nobody else's."""
        if function is not None:
            return function in self._functions
        if not self._is_old or node.name in self._exposed:
            return False
        return node.op not in _READING or self._reads_what_is_given(node)

    def _find_functions(self) -> set[bytes]:
        found = {
            name
            for root in self._roots & self._calls.main.keys()
            for name in self._calls.called_by(self._calls.main[root])
            if name in self._calls.functions
        }
        while others := {name for name in found if not self._is_private(name, found)}:
            found -= others
        while inner := {
            name
            for caller in found
            for node in self._calls.functions[caller].node_def
            for name in self._calls.called_by(node)
            if name in self._calls.functions.keys() - found and self._is_private(name, found)
        }:
            found |= inner
        return found

    def _is_private(self, function: bytes, saver: set[bytes]) -> bool:
        """Whether only the saver calls a function."""
        return (
            function not in self._calls.exported
            and not self._calls.has_unseen_callers(function)
            and all(
                site.node.name in self._roots if site.function is None else site.function in saver
                for site in self._calls.sites(function)
            )
        )

    def _reads_what_is_given(self, node: Any) -> bool:
        name, steps = node_name(node.input[0]) if node.input else b"", 0
        while name != self._filename and steps < len(self._calls.main):
            source = self._calls.main.get(name)
            if source is None or source.op != b"Identity" or not source.input:
                return False
            name, steps = node_name(source.input[0]), steps + 1
        return bool(name) and name == self._filename


def _entry_points(graph: Any) -> set[bytes]:
    """Return the nodes of a graph of TensorFlow 1 that run for a signature or on loading."""
    names: list[bytes] = []
    for signature in graph.signature_def:
        entries = (*signature.value.inputs, *signature.value.outputs)
        names += [entry.value.name for entry in entries]
    for collection in graph.collection_def:
        names += collection.value.node_list.value
    return {node_name(name) for name in names}
