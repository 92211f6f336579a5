"""The configuration that Keras 2 keeps in a SavedModel's ``keras_metadata.pb``.

Layout: tf_keras/protobuf/saved_metadata.proto. Each node holds JSON; the one at path
``root`` is the model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from remote_models.errors import FormatError
from remote_models.formats._protos import parse_message
from remote_models.tensors import Role, StoredTensor

__all__ = ["architecture_of_keras_metadata", "layer_names", "with_layer_names"]

_TAKEN = ("class_name", "config", "training_config", "build_input_shape")


def architecture_of_keras_metadata(data: bytes, *, where: str) -> dict[str, Any] | None:
    """Return a model's ``class_name``, ``config`` and, if compiled, ``training_config``.

    Returns:
        The configuration, or ``None`` if the message holds no model with one: a
        subclassed model without ``get_config`` has none.

    Raises:
        FormatError: the message or the JSON in it is damaged.
    """
    message = parse_message("SavedMetadata", data, where=where)
    for node in message.nodes:
        if node.node_path == b"root":
            document = _parse(node.metadata, where)
            taken = {key: document[key] for key in _TAKEN if document.get(key) is not None}
            return taken if "class_name" in taken and "config" in taken else None
    return None


def layer_names(data: bytes, *, where: str) -> Mapping[str, str]:
    """Return the names of a model's layers by their path in the checkpoint.

    Raises:
        FormatError: the message or the JSON in it is damaged.
    """
    names = {}
    for node in parse_message("SavedMetadata", data, where=where).nodes:
        path = node.node_path.decode("utf-8", "replace").removeprefix("root.").replace(".", "/")
        name = _parse(node.metadata, where).get("name")
        if isinstance(name, str):
            names[path] = name
    return names


def with_layer_names(
    tensors: Sequence[StoredTensor], layers: Mapping[str, str]
) -> Sequence[StoredTensor]:
    """Put a layer's name before variables that leave it out, as those of Normalization do."""

    def complete(tensor: StoredTensor) -> StoredTensor:
        layer = layers.get(tensor.key.partition(f"/{tensor.name}/")[0])
        if tensor.role is not Role.WEIGHT or not tensor.name or "/" in tensor.name or not layer:
            return tensor
        return replace(tensor, name=f"{layer}/{tensor.name}")

    return [complete(tensor) for tensor in tensors]


def _parse(text: bytes, where: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(
            "the Keras metadata are damaged", where=where, found=str(error),
            hint="Save or copy the model again",
        ) from error  # fmt: skip
    return document if isinstance(document, dict) else {}
