"""Take the paths of vocabularies out of a SavedModel's copy, where they are of no use.

A SavedModel of Keras 2 has its vocabularies as assets. The configuration of the model
still names the files that they were read from when the layers were made, on another
machine most often, and tf_keras does not look at these: it makes each layer from metadata
of its own, in which there is no path (``VocabularySavedModelSaver`` in
tf_keras/src/saving/legacy/saved_model/layer_serialization.py). Unless somebody has put one
there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from remote_models.formats._protos import parse_message
from remote_models.formats._saved_model import KERAS_2_METADATA
from remote_models.formats.safety._configuration import FILE_ARGUMENTS

__all__ = ["forget_vocabularies"]


def forget_vocabularies(path: Path, *, where: str) -> bool:
    """Clear every path of a vocabulary in the metadata of a copy of a SavedModel.

    Returns:
        Whether the copy names none any more: those in ``saved_model.pb`` itself stay.

    Raises:
        FormatError: the metadata are damaged.
    """
    file = path / KERAS_2_METADATA
    if not file.is_file():
        return False
    message = parse_message("SavedMetadata", file.read_bytes(), where=where)
    for node in message.nodes:
        if node.metadata:
            document = json.loads(node.metadata)
            _clear(document)
            node.metadata = json.dumps(document).encode()
    file.write_bytes(message.SerializeToString())
    return True


def _clear(document: Any) -> None:
    waiting = [document]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            for name in FILE_ARGUMENTS:
                if isinstance(each.get(name), str):
                    each[name] = None
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
