"""The Keras metadata in a ``saved_model.pb``, where Keras 2 had them before TensorFlow 2.5.

The graph of the saved Python objects has a node for each Keras object, and it holds the
JSON that later versions write into ``keras_metadata.pb``. Layout: saved_model.proto,
meta_graph.proto and saved_object_graph.proto (tensorflow/core/protobuf); what it means:
``_read_legacy_metadata`` in tf_keras/src/saving/legacy/saved_model/load.py.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

from remote_models.errors import FormatError
from remote_models.formats._protos import parse_message
from remote_models.formats._wire import FieldRange, find_field, whole_file

__all__ = ["holds_keras_objects", "layer_names_of_objects", "metadata_of_objects", "root_metadata"]

_OBJECT_GRAPH = (2, 7)
"""SavedModel.meta_graphs, MetaGraphDef.object_graph_def."""

_FIRST_USER_OBJECT = (1, 4)
"""SavedObjectGraph.nodes, SavedObject.user_object: node 0 is what was saved."""

_IDENTIFIER, _METADATA = 1, 3
"""Members of SavedUserObject."""

_KERAS = b"_tf_keras_"
"""How the identifiers of Keras' own objects begin."""

_ROOT = 0

_MAX_PATH = 1024
"""Characters of a path; what lies deeper is nobody's layer."""


def holds_keras_objects(file: IO[bytes], *, where: str) -> bool:
    """Whether a ``saved_model.pb`` holds the configuration of a Keras model.

    One that is damaged holds none: who loads it will be told.
    """
    try:
        return root_metadata(file, where=where) is not None
    except FormatError:
        return False


def root_metadata(file: IO[bytes], *, where: str) -> tuple[int, bytes] | None:
    """Return where the JSON of the saved model begins, and the JSON.

    Returns:
        ``None`` where there is none, as in what TensorFlow 2.5 or later saved.

    Raises:
        FormatError: the file is damaged.
    """
    graph = _object_graph(file, where)
    if graph is None:
        return None
    user_object = find_field(file, graph, *_FIRST_USER_OBJECT, where=where)
    if user_object is None:
        return None
    identifier = find_field(file, user_object, _IDENTIFIER, where=where)
    metadata = find_field(file, user_object, _METADATA, where=where)
    if identifier is None or metadata is None or not metadata.nbytes:
        return None
    if not identifier.read(file).startswith(_KERAS):
        return None
    data = metadata.read(file)
    return (metadata.start, data) if _is_model(data) else None


def layer_names_of_objects(file: IO[bytes], *, where: str) -> Mapping[str, str]:
    """Return the names of a model's layers by their paths in the checkpoint.

    A layer is several children of its model, and has several paths.

    Raises:
        FormatError: the file is damaged.
    """
    graph = _object_graph(file, where)
    if graph is None:
        return {}
    nodes = parse_message("SavedObjectGraph", graph.read(file), where=where).nodes
    names = {}
    for path, number in _paths(nodes):
        name = _document(nodes[number].user_object.metadata).get("name")
        if isinstance(name, str):
            names[path] = name
    return names


def metadata_of_objects(data: bytes, *, where: str) -> list[bytes]:
    """Return the JSON of every Keras object in a ``saved_model.pb``.

    Raises:
        FormatError: the file is damaged.
    """
    # All of the message, as TensorFlow reads it: of a field that stands there twice it
    # takes another one than whoever looks for the first.
    graphs = parse_message("SavedModelObjects", data, where=where).meta_graphs
    nodes = (node for graph in graphs for node in graph.object_graph_def.nodes)
    return [node.user_object.metadata for node in nodes if node.user_object.metadata]


def _object_graph(file: IO[bytes], where: str) -> FieldRange | None:
    return find_field(file, whole_file(file), *_OBJECT_GRAPH, where=where)


def _paths(nodes: Sequence[Any]) -> Iterator[tuple[str, int]]:
    """Yield every node with the names by which its first parent knows it."""
    parents = {_ROOT: _ROOT}
    waiting = deque([("", _ROOT)])
    while waiting:
        path, number = waiting.popleft()
        for child in nodes[number].children:
            found = f"{path}/{child.local_name.decode('utf-8', 'replace')}".lstrip("/")
            if not 0 < child.node_id < len(nodes) or len(found) > _MAX_PATH:
                continue
            if child.node_id not in parents:
                parents[child.node_id] = number
                waiting.append((found, child.node_id))
            if parents[child.node_id] == number:
                yield found, child.node_id


def _is_model(data: bytes) -> bool:
    return {"class_name", "config"} <= _document(data).keys()


def _document(data: bytes) -> Mapping[str, object]:
    try:
        document = json.loads(data) if data else {}
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
