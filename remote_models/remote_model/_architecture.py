"""A model's configuration, read as verified ranges of its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from remote_models.documents import (
    KERAS_METADATA,
    MODEL_CONFIG,
    TRAINING_CONFIG,
    StoredDocument,
)
from remote_models.errors import IntegrityError, ModelNotFoundError
from remote_models.manifest import Manifest
from remote_models.remote_model._folder import ArtifactFolder
from remote_models.storage import read_range

__all__ = ["describing", "read_architecture", "read_document"]


def read_architecture(
    folder: ArtifactFolder,
    manifest: Manifest | None,
    find: Callable[[], Sequence[StoredDocument]],
) -> dict[str, Any] | None:
    """Return an artifact's configuration, or ``None`` if it holds none.

    Args:
        folder: Where its files lie.
        manifest: What it consists of, if there is a manifest.
        find: Finds the ranges that hold the configuration where there is none.

    Raises:
        IntegrityError: the bytes are not those that the manifest vouches for.
        FormatError: the configuration is damaged.
        StorageError: the store refused or failed.
    """
    documents = describing(manifest.documents if manifest else find())
    if KERAS_METADATA in documents:
        from remote_models.formats.indexing import architecture_of_keras_metadata

        data = read_document(folder, manifest, documents[KERAS_METADATA])
        return architecture_of_keras_metadata(data, where=str(folder))
    if MODEL_CONFIG not in documents:
        return None
    from remote_models.formats.indexing import parse_architecture

    data = read_document(folder, manifest, documents[MODEL_CONFIG])
    architecture = parse_architecture(data, where=str(folder))
    if TRAINING_CONFIG in documents:
        training = read_document(folder, manifest, documents[TRAINING_CONFIG])
        architecture["training_config"] = json.loads(training)
    return architecture


def describing(documents: Iterable[StoredDocument]) -> Mapping[str, StoredDocument]:
    """Return those documents by name that a model's configuration is read from."""
    named = {each.name: each for each in documents}
    for names in ((KERAS_METADATA,), (MODEL_CONFIG, TRAINING_CONFIG)):
        if names[0] in named:
            return {name: named[name] for name in names if name in named}
    return {}


def read_document(
    folder: ArtifactFolder, manifest: Manifest | None, document: StoredDocument
) -> bytes:
    """Return the bytes of a document, as a manifest vouches for them if there is one.

    Raises:
        IntegrityError: they are others.
        StorageError: the store refused or failed.
    """
    location = folder.file(document.file)
    start, stop = document.offset, document.offset + document.nbytes
    entry = manifest.file(document.file) if manifest else None
    versions = [None] if entry is None or entry.version is None else [None, entry.version]
    for version in versions:
        try:
            data = read_range(folder.store, location, start, stop, version=version)
        except ModelNotFoundError:
            if manifest is None:
                raise
            continue
        if hashlib.sha256(data).hexdigest() == document.sha256:
            return bytes(data)
    raise IntegrityError(
        "what describes the model is not what the manifest vouches for",
        where=str(location),
        hint="Open the model again if it was replaced meanwhile, or restore the file",
    )
