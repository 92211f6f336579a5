"""SavedModels as TensorFlow wrote them before 2.5: the Keras metadata are in the graph.

Both are the same but for that (``_read_legacy_metadata`` in
tf_keras/src/saving/legacy/saved_model/load.py), so one is made of the other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from remote_models.formats._protos import _message_class, parse_message

__all__ = ["make_older", "saved_model"]


def make_older(folder: Path) -> None:
    """Put the Keras metadata of a SavedModel into its graph."""
    metadata = folder / "keras_metadata.pb"
    graph = folder / "saved_model.pb"
    whole: Any = parse_message("SavedModelObjects", graph.read_bytes(), where="graph")
    nodes = whole.meta_graphs[0].object_graph_def.nodes
    for each in parse_message("SavedMetadata", metadata.read_bytes(), where="metadata").nodes:
        nodes[each.node_id].user_object.metadata = each.metadata
    graph.write_bytes(whole.SerializeToString())
    metadata.unlink()


def saved_model(
    *nodes: tuple[bytes, bytes], children: dict[int, dict[bytes, int]] | None = None
) -> bytes:
    """Return a ``saved_model.pb`` of nothing but objects: an identifier and metadata each."""
    message = _message_class("SavedModelObjects")()
    graph = message.meta_graphs.add().object_graph_def
    for number, (identifier, metadata) in enumerate(nodes):
        node = graph.nodes.add()
        node.user_object.identifier = identifier
        node.user_object.metadata = metadata
        for name, child in (children or {}).get(number, {}).items():
            node.children.add(node_id=child, local_name=name)
    data: bytes = message.SerializeToString()
    return data
