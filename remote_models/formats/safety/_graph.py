"""What the graphs of a SavedModel do when TensorFlow loads or runs them.

``tf.saved_model.load`` runs the initialisers of resources, and reads assets under the
names that stand in the file. So each operation in the graph and in each function of its
library is looked at, whoever calls it: an inventory, not an analysis. Two kinds are in
ordinary models and are allowed in their place alone: reading and writing checkpoints in
what the saver calls, and filling tables from assets.

Layout: saved_model.proto, meta_graph.proto, saved_object_graph.proto, graph.proto and
function.proto of TensorFlow 2.21.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from remote_models.errors import FormatError
from remote_models.formats._protos import parse_message
from remote_models.formats.safety._asset_files import declared_assets
from remote_models.formats.safety._calls import Calls
from remote_models.formats.safety._findings import Finding, shorten
from remote_models.formats.safety._operations import (
    CHECKPOINT_OPERATIONS,
    TABLE_FILE_OPERATIONS,
    is_denied_operation,
    refused_attribute,
)
from remote_models.formats.safety._saver import Saver
from remote_models.formats.safety._table_files import TableFiles

__all__ = ["check_graphs"]

_MAX_CONSTANTS = 16 * 1024 * 1024
"""Elements that all constants may have beyond those that the file holds."""

_ALLOW = "Load its weights alone, or have it saved without this operation"


def check_graphs(data: bytes, *, where: str) -> list[Finding]:
    """Return what the graphs in a ``saved_model.pb`` do besides computing.

    Raises:
        FormatError: it is damaged, or claims more memory than there are bytes for it.
    """
    found: list[Finding] = []
    for graph in parse_message("SavedGraphs", data, where=where).meta_graphs:
        found += _check_assets(declared_assets(graph, where=where))
        found += _Inventory(graph, where=where).findings()
    return found


def _check_assets(assets: Iterable[Any]) -> Iterator[Finding]:
    for asset in assets:
        name = _text(asset.filename)
        parts = name.replace("\\", "/").split("/")
        if not parts[0] or ".." in parts or "\0" in name or ":" in parts[0]:
            yield Finding(owner=f"asset {name!r}", problem="lies outside the model's directory")


class _Inventory:
    """The operations of one graph and of the functions in its library."""

    def __init__(self, graph: Any, *, where: str) -> None:
        self._where = where
        self._calls = Calls(graph, where=where)
        self._saver = Saver(graph, self._calls)
        self._files = TableFiles(graph, self._calls, where=where)
        self._expanded = 0

    def findings(self) -> Iterator[Finding]:
        """Yield whatever is not allowed where it stands."""
        for function, node in self._calls.nodes():
            operation = _text(node.op)
            if not operation:
                raise FormatError(
                    "a malformed graph", where=self._where, found="a node without an operation",
                    hint="Save or copy it again",
                )  # fmt: skip
            if not self._is_allowed(node, operation, function):
                yield Finding(
                    owner=_owner(node, function),
                    problem=f"is the operation {shorten(operation)}, {_reason(operation)}",
                    hint=_ALLOW,
                )
            yield from self._check_attributes(node, operation, function)

    def _is_allowed(self, node: Any, operation: str, function: bytes | None) -> bool:
        if operation in CHECKPOINT_OPERATIONS:
            return self._saver.owns(node, function)
        if operation in TABLE_FILE_OPERATIONS:
            return self._files.is_asset(node, function)
        return not is_denied_operation(operation)

    def _check_attributes(
        self, node: Any, operation: str, function: bytes | None
    ) -> Iterator[Finding]:
        for entry in node.attr:
            values = tuple(each for each in (entry.value.s, *entry.value.list.s) if each)
            if refused_attribute(operation, _text(entry.key), values):
                yield Finding(
                    owner=_owner(node, function),
                    problem=f"({shorten(operation)}) uses {shorten(_text(values[0]))}",
                    hint=_ALLOW,
                )
            if entry.value.HasField("tensor"):
                self._count_constant(entry.value.tensor)

    def _count_constant(self, tensor: Any) -> None:
        """Refuse constants that take much more memory than the file has bytes for them."""
        sizes = [each.size for each in tensor.tensor_shape.dim]
        elements = math.prod(sizes)
        if elements > len(tensor.tensor_content):
            self._expanded += elements
        if self._expanded > _MAX_CONSTANTS or any(size < 0 for size in sizes):
            raise FormatError(
                "constants of the graph claim more elements than the file holds",
                where=self._where,
                expected=f"at most {_MAX_CONSTANTS} more",
                found=f"{elements} in {len(tensor.tensor_content)} bytes",
            )


def _owner(node: Any, function: bytes | None) -> str:
    name = f"node {shorten(_text(node.name))!r}"
    return name if function is None else f"{name} of function {shorten(_text(function))!r}"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _reason(operation: str) -> str:
    if operation in CHECKPOINT_OPERATIONS:
        return "which only the saver may use"
    if operation in TABLE_FILE_OPERATIONS:
        return "which reads a file that is no asset of the model"
    return "which may reach outside the model"
