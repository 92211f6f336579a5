"""Vocabularies that layers of Keras 2 have learnt with ``adapt``: not in the configuration.

A ``.keras`` archive has them as texts, one word on each line (``save_assets`` in
tf_keras/src/layers/preprocessing/index_lookup.py). In a SavedModel a function fills the
layer's table with constants of the graph (``_lookup_table_from_tokens`` there, and
tensorflow/core/protobuf/saved_object_graph.proto). HDF5 files have them nowhere.
"""

from __future__ import annotations

import json
import re
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from remote_models.errors import FormatError
from remote_models.formats._architecture import stored_layers
from remote_models.formats._format import Format, Recognition
from remote_models.formats._keras_archive import ZIP_DAMAGE
from remote_models.formats._keras_index import open_archive
from remote_models.formats._protos import parse_message
from remote_models.formats._saved_model import KERAS_2_METADATA, SAVED_MODEL

__all__ = ["with_vocabularies"]

_LOOKUPS = ("IntegerLookup", "StringLookup", "TextVectorization")

_TABLE = ((b"_lookup_layer",), ())
"""What may lie between a layer and its table."""

_STRING, _INT64 = 7, 9
"""Values of ``DataType`` (tensorflow/core/framework/types.proto)."""

_INTEGER = re.compile(r"-?[0-9]{1,19}")

_MAX_BYTES = 256 * 1024 * 1024
"""Bytes of a vocabulary in an archive."""

Vocabulary = Sequence[str | int]


def with_vocabularies(
    architecture: Mapping[str, Any], path: Path, what: Recognition, *, where: str
) -> Mapping[str, Any]:
    """Return a configuration with the vocabularies that its layers have learnt.

    A vocabulary that is not found, or whose layer's name is not the only one of its kind,
    stays out, and so do those that come with weights (``tf_idf``).

    Args:
        architecture: What Keras 2 wrote.
        path: The archive or the directory on this machine.
        what: What it is.
        where: Where it came from, for messages.

    Raises:
        FormatError: it is damaged.
    """
    lacking = Counter(each.get("name") for each in _lacking(architecture.get("config")))
    wanted = {name for name, count in lacking.items() if count == 1}
    if not wanted:
        return architecture
    found: dict[str, Vocabulary] = {}
    if what.format is Format.KERAS:
        found = dict(_in_archive(architecture, path, where))
    elif what.format is Format.SAVED_MODEL:
        found = dict(_in_saved_model(path, where))
    filled: dict[str, Any] = json.loads(json.dumps(architecture))
    for config in _lacking(filled["config"]):
        name = config.get("name")
        if name in wanted and name in found:
            config["vocabulary"] = list(found[name])
    return filled


def _lacking(architecture: object) -> Iterator[dict[str, Any]]:
    """Yield the configurations of layers whose vocabularies are not in them."""
    waiting = [architecture]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, Mapping):
            config = value.get("config")
            if value.get("class_name") in _LOOKUPS and isinstance(config, dict):
                is_weighted = config.get("output_mode") == "tf_idf"
                if config.get("vocabulary") is None and not is_weighted:
                    yield config
            waiting += value.values()


def _in_archive(
    architecture: Mapping[str, Any], path: Path, where: str
) -> Iterator[tuple[str, Vocabulary]]:
    with path.open("rb") as file, open_archive(file, where) as archive:
        members = set(archive.namelist())
        for layer in stored_layers(architecture):
            member = f"assets/{layer.key}/vocabulary.txt"
            if layer.name and layer.class_name in _LOOKUPS and member in members:
                words = _lines(archive, member, f"{where}: {member}")
                if layer.class_name != "IntegerLookup":
                    yield layer.name, words
                elif all(_INTEGER.fullmatch(each) for each in words):
                    yield layer.name, [int(each) for each in words]


def _lines(archive: zipfile.ZipFile, member: str, where: str) -> list[str]:
    try:
        with archive.open(member) as file:
            lines = file.read(_MAX_BYTES).decode("utf-8", "replace").splitlines()
    except ZIP_DAMAGE as error:
        raise FormatError(
            "damaged", where=where, found=str(error), hint="Save or copy the model again"
        ) from error
    while lines and not lines[-1]:  # as load_assets() has it
        lines.pop()
    return lines


def _in_saved_model(path: Path, where: str) -> Iterator[tuple[str, Vocabulary]]:
    data = (path / SAVED_MODEL).read_bytes()
    (graph, *_) = parse_message("SavedModelTables", data, where=where).meta_graphs
    tables = _Tables(graph)
    for number, document in _documents(path, graph, where):
        name = document.get("name")
        vocabulary = tables.vocabulary(number)
        if document.get("class_name") in _LOOKUPS and isinstance(name, str) and vocabulary:
            yield name, vocabulary


def _documents(path: Path, graph: Any, where: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield what Keras says of each of its objects, by the object's number."""
    metadata = path / KERAS_2_METADATA
    if metadata.is_file():
        nodes = parse_message("SavedMetadata", metadata.read_bytes(), where=where).nodes
        texts = [(node.node_id, node.metadata) for node in nodes]
    else:
        objects = graph.object_graph_def.nodes
        texts = [(i, each.user_object.metadata) for i, each in enumerate(objects)]
    for number, text in texts:
        try:
            document = json.loads(text) if text else None
        except (ValueError, RecursionError):
            continue
        if isinstance(document, dict):
            yield number, document


class _Tables:
    """The tables in the graph of a SavedModel, and what they are filled with."""

    def __init__(self, graph: Any) -> None:
        self._nodes = graph.object_graph_def.nodes
        self._functions = {
            each.key: list(each.value.bound_inputs)
            for each in graph.object_graph_def.concrete_functions
        }
        self._constants = {
            node.name: entry.value.tensor
            for node in graph.graph_def.node
            if node.op == b"Const"
            for entry in node.attr
            if entry.key == b"value"
        }

    def vocabulary(self, number: int) -> Vocabulary | None:
        """Return the words of the table of a layer, in the order of their numbers."""
        for between in _TABLE:
            fill = self._at(number, *between, b"lookup_table", b"_initialize")
            names = list(fill.function.concrete_functions) if fill is not None else []
            if len(names) == 1:
                bound = self._functions.get(names[0], [])
                return self._words([self._values(each) for each in bound])
        return None

    def _words(self, bound: list[list[Any] | None]) -> Vocabulary | None:
        """Put words in order; bound are the table, the keys and the values."""
        words, numbers = bound[1:] if len(bound) == 3 else (None, None)
        if words is None or numbers is None:
            return None
        if numbers and isinstance(numbers[0], str):  # from numbers to words (invert=True)
            words, numbers = numbers, words
        if len(words) != len(numbers) or not all(isinstance(each, int) for each in numbers):
            return None
        return [word for _, word in sorted(zip(numbers, words, strict=True))]

    def _at(self, number: int, *names: bytes) -> Any | None:
        for name in names:
            if not 0 <= number < len(self._nodes):
                return None
            children = {each.local_name: each.node_id for each in self._nodes[number].children}
            if name not in children:
                return None
            number = children[name]
        return self._nodes[number] if 0 <= number < len(self._nodes) else None

    def _values(self, number: int) -> list[Any] | None:
        """Return the texts or whole numbers of a constant."""
        if not 0 <= number < len(self._nodes):
            return None
        tensor = self._constants.get(self._nodes[number].constant.operation)
        if tensor is None or len(tensor.tensor_shape.dim) != 1:
            return None
        if tensor.dtype == _STRING:
            return [each.decode("utf-8", "replace") for each in tensor.string_val]
        if tensor.dtype != _INT64:
            return None
        content = tensor.tensor_content
        if content:
            return list(struct.unpack(f"<{len(content) // 8}q", content[: len(content) // 8 * 8]))
        return list(tensor.int64_val)
