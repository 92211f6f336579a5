"""Who calls whom in the graphs of a SavedModel.

Layout: graph.proto, function.proto and node_def.proto of TensorFlow 2.21.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from remote_models.errors import FormatError

__all__ = ["Calls", "Site", "node_name", "upstream"]

_SWAPPED = b"api_implements"
"""An attribute of functions that TensorFlow may put in each other's place (grappler's
implementation selector): who calls them cannot be told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """A node that calls a function.

    Attributes:
        function: The function that the node stands in, ``None`` for the main graph.
        node: The node.
    """

    function: bytes | None
    node: Any


class Calls:
    """The functions of one graph's library, and where each is called.

    Raises:
        FormatError: two functions or two nodes have one name.

    Attributes:
        functions: By name.
        main: The nodes of the main graph by name.
        exported: The functions that can be called from outside of the graph.
    """

    def __init__(self, graph: Any, *, where: str) -> None:
        library = graph.graph_def.library.function
        self.functions: Mapping[bytes, Any] = {each.signature.name: each for each in library}
        self.main: Mapping[bytes, Any] = {node.name: node for node in graph.graph_def.node}
        self.exported = frozenset(entry.key for entry in graph.object_graph_def.concrete_functions)
        if len(self.functions) < len(library) or len(self.main) < len(graph.graph_def.node):
            raise FormatError(
                "a malformed graph", where=where, found="two nodes or functions of one name",
                hint="Save or copy it again",
            )  # fmt: skip
        # Gradients are called by whoever differentiates: no node names them.
        self._gradients = {
            each.gradient_func
            for each in (
                *graph.graph_def.library.gradient,
                *graph.graph_def.library.registered_gradients,
            )
        }
        self._sites: dict[bytes, list[Site]] = defaultdict(list)
        for function, node in self.nodes():
            for name in self.called_by(node):
                self._sites[name].append(Site(function=function, node=node))

    def nodes(self) -> Iterator[tuple[bytes | None, Any]]:
        """Yield every node, and the function that it stands in."""
        for node in self.main.values():
            yield None, node
        for name, function in self.functions.items():
            for node in function.node_def:
                yield name, node

    def sites(self, function: bytes) -> list[Site]:
        """Return where a function is called."""
        return self._sites.get(function, [])

    def called_by(self, node: Any) -> list[bytes]:
        """Return the functions that a node calls: by its attributes, or by its operation.

        A function of the library is an operation of its own, too (``_list_function_deps``
        in tensorflow/python/saved_model/function_deserialization.py).
        """
        names = [node.op] if node.op in self.functions else []
        for entry in node.attr:
            if entry.value.HasField("func"):
                names.append(entry.value.func.name)
            names += [each.name for each in entry.value.list.func]
        return names

    def has_unseen_callers(self, function: bytes) -> bool:
        """Whether TensorFlow may call a function where no node names it."""
        is_swapped = any(entry.key == _SWAPPED for entry in self.functions[function].attr)
        return is_swapped or function in self._gradients


def upstream(nodes: Mapping[bytes, Any], starts: Iterable[bytes]) -> set[bytes]:
    """Return the nodes that some nodes need to run, and these."""
    waiting, seen = list(starts), set[bytes]()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += map(node_name, nodes[name].input if name in nodes else ())
    return seen


def node_name(tensor: bytes) -> bytes:
    """Return the node of a tensor ``name:0`` or of a control input ``^name``."""
    return tensor.removeprefix(b"^").partition(b":")[0]
