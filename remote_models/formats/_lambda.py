"""Lambda layers that carry Python code, which Keras 2 runs whatever ``safe_mode`` says.

Layout: ``Lambda.get_config`` in tf_keras/src/layers/core/lambda_layer.py: the members
``function_type``, ``output_shape_type`` and ``mask_type`` are ``lambda`` where code is
stored, and ``function`` where only a name is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from remote_models.formats._format import Format, Recognition
from remote_models.formats._hdf5_index import architecture_of_hdf5
from remote_models.formats._protos import parse_message
from remote_models.formats._saved_model import KERAS_2_METADATA, SAVED_MODEL
from remote_models.formats._saved_objects import metadata_of_objects

__all__ = ["code_in_architecture", "code_in_model"]

_TYPES = ("function_type", "output_shape_type", "mask_type")


def code_in_architecture(text: str | bytes) -> list[str]:
    """Return the names of the layers in a configuration that hold code."""
    try:
        return list(_names(json.loads(text)))
    except (ValueError, RecursionError):
        return []  # no configuration, so nothing of it will run


def code_in_model(what: Recognition, path: Path, *, where: str) -> list[str]:
    """Return the names of the layers that hold code in a whole model of Keras 2.

    Args:
        what: What the artifact is: an ``.h5`` file or a SavedModel.
        path: The file or directory on this machine.
        where: Where it came from, for messages.

    Raises:
        FormatError: it is damaged.
    """
    if what.format is Format.H5:
        with path.open("rb") as file:
            return list(_names(architecture_of_hdf5(file, where=where)))
    if what.format is not Format.SAVED_MODEL:
        return []
    found = (name for text in _metadata(path, where) for name in code_in_architecture(text))
    return list(dict.fromkeys(found))


def _metadata(path: Path, where: str) -> list[bytes]:
    """Return what a SavedModel holds of each Keras object."""
    metadata = path / KERAS_2_METADATA
    if metadata.is_file():
        nodes = parse_message("SavedMetadata", metadata.read_bytes(), where=where).nodes
        return [node.metadata for node in nodes]
    graph = path / SAVED_MODEL
    return metadata_of_objects(graph.read_bytes(), where=where) if graph.is_file() else []


def _names(value: object) -> Iterator[str]:
    waiting: list[Any] = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            config = each.get("config")
            is_lambda = each.get("class_name") == "Lambda"
            if is_lambda and isinstance(config, Mapping) and _holds_code(config):
                yield str(config.get("name", "lambda"))
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def _holds_code(config: Mapping[str, Any]) -> bool:
    return isinstance(config.get("function"), list) or any(
        config.get(kind) == "lambda" for kind in _TYPES
    )
