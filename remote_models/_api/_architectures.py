"""Architectures to URLs and back, without weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from remote_models._api._arguments import URL, Progress, StorageOptions
from remote_models._api._artifacts import open_model
from remote_models._api._fetch import fetched, other_verb
from remote_models._api._guarding import guard_copy
from remote_models._api._keys import Key
from remote_models._api._publish import publish_files
from remote_models._api._translating import TRANSLATED_GENERATION
from remote_models._progress_bar import progress_callback
from remote_models.errors import FormatError
from remote_models.formats import Format
from remote_models.frameworks import choose_framework, framework_of
from remote_models.manifest import Manifest
from remote_models.storage import Location

__all__ = ["load_architecture", "save_architecture"]


def save_architecture(
    model: Any,
    url: URL,
    *,
    overwrite: bool = True,
    metadata: Mapping[str, Any] | None = None,
    storage_options: StorageOptions | None = None,
    progress: Progress = None,
) -> Manifest:
    """Save a model's configuration as JSON, without weights.

    Args:
        model: A model of Keras 3 or of tf_keras.
        url: Any name; ``.json`` is usual.
        overwrite: If false, the store itself refuses when something is there.
        metadata: A JSON object of your own for the manifest.
        storage_options: Arguments for the fsspec filesystem, as in pandas.
        progress: As in :func:`save_model`.

    Returns:
        The manifest.

    Raises:
        ModelExistsError: something is there and ``overwrite`` is false.
        ConflictError: another saver was faster, or has replaced the model just saved.
        AmbiguousCommitError: an answer was lost, and the store cannot be asked.
        StorageError: the store refused or failed.
    """
    from remote_models.formats.streaming import StreamedFile

    framework = framework_of(model)
    location = Location.parse(url, storage_options)
    return publish_files(
        location,
        Format.ARCHITECTURE,
        {location.name: StreamedFile([framework.to_json(model).encode()])},
        producer=framework.versions(),
        overwrite=overwrite,
        metadata=metadata,
        progress=progress,
    )


def load_architecture(
    url: URL,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
    manifest_digest: str | None = None,
    manifest_url: URL | None = None,
    public_key: Key | None = None,
    framework: str | None = None,
    storage_options: StorageOptions | None = None,
    progress: Progress = None,
) -> Any:
    """Return a new model with a saved architecture and freshly initialised weights.

    Args:
        url: Where :func:`save_architecture`, or Keras' ``to_json``, has put it.
        custom_objects: Names to classes or functions that the model uses.
        safe_mode: As in :func:`load_model`.
        manifest_digest: ``sha256:<hex>``: load exactly this artifact or nothing.
        manifest_url: As in :func:`open_model`.
        public_key: As in :func:`open_model`.
        framework: As in :func:`load_model`.
        storage_options: Arguments for the fsspec filesystem, as in pandas.
        progress: As in :func:`save_model`.

    Raises:
        ModelNotFoundError: nothing is there.
        IntegrityError: bytes are not those that the manifest vouches for, or no good
            signature by ``public_key`` vouches for the manifest.
        GenerationError: the chosen framework cannot read it.
        UnsafeFormatError: it could run code or reach outside itself.
        StorageError: the store refused or failed.
    """
    remote = open_model(
        url,
        manifest_digest=manifest_digest,
        manifest_url=manifest_url,
        public_key=public_key,
        storage_options=storage_options,
    )
    with fetched(remote, progress_callback(progress)) as artifact:
        what = artifact.what
        if what.format is not Format.ARCHITECTURE:
            raise FormatError(
                f"{what.title}, not an architecture",
                where=str(artifact.location),
                hint=other_verb(what.format),
            )
        chosen = choose_framework(what.generation, framework)
        if safe_mode:
            guard_copy(artifact, chosen, custom_objects)
        text = artifact.path.read_text(encoding="utf-8")
        if what.generation == TRANSLATED_GENERATION and chosen.translates:
            return chosen.translate_architecture(
                json.loads(text),
                where=str(artifact.location),
                custom_objects=custom_objects,
                safe_mode=safe_mode,
            )
        with chosen.naming_generation(what, str(artifact.location)):
            return chosen.from_json(text, custom_objects=custom_objects, safe_mode=safe_mode)
