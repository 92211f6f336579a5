"""Who calls whom in the graphs of a SavedModel.

Layout: graph.proto, function.proto and node_def.proto of TensorFlow 2.21.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from remote_models.errors import FormatError

__all__ = ["Calls", "Site", "called_functions", "node_name"]

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
        self._sites: dict[bytes, list[Site]] = defaultdict(list)
        for function, node in self.nodes():
            for name in called_functions(node):
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

    def can_be_swapped(self, function: bytes) -> bool:
        """Whether TensorFlow may call a function where another one stands."""
        return any(entry.key == _SWAPPED for entry in self.functions[function].attr)


def called_functions(node: Any) -> list[bytes]:
    """Return the functions that a node names."""
    names = []
    for entry in node.attr:
        if entry.value.HasField("func"):
            names.append(entry.value.func.name)
        names += [each.name for each in entry.value.list.func]
    return names


def node_name(tensor: bytes) -> bytes:
    """Return the node of a tensor ``name:0`` or of a control input ``^name``."""
    return tensor.removeprefix(b"^").partition(b":")[0]
