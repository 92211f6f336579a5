"""Weights to URLs and back, without the architecture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from remote_models._api._arguments import URL, Progress, StorageOptions, weights_format
from remote_models._api._artifacts import open_model
from remote_models._api._fetch import fetched, other_verb
from remote_models._api._guarding import guard_weights
from remote_models._api._keys import Key
from remote_models._api._local_copy import LOCAL_NAMES, temporary_directory
from remote_models._api._publish import publish_files
from remote_models._api._streaming import stream_weights
from remote_models._progress_bar import progress_callback
from remote_models.errors import FormatError
from remote_models.formats import Format
from remote_models.frameworks import WeightsOptions, framework_of
from remote_models.manifest import Manifest
from remote_models.publishing import local_files
from remote_models.storage import Location, TransferSettings

__all__ = ["load_weights", "save_weights"]


def save_weights(
    model: Any,
    url: URL,
    *,
    overwrite: bool = True,
    save_format: str | None = None,
    max_shard_size: float | None = None,
    metadata: Mapping[str, Any] | None = None,
    storage_options: StorageOptions | None = None,
    transfer: TransferSettings | None = None,
    progress: Progress = None,
) -> Manifest:
    """Save the weights of a model, without its architecture.

    What becomes visible, and when, is as in :func:`save_model`.

    Args:
        model: A model of Keras 3 or of tf_keras.
        url: By extension: ``.weights.h5``; ``.weights.json`` for Keras 3's sharded
            weights (with ``max_shard_size``); ``.h5`` for Keras 2's legacy layout;
            any other name is the prefix of a TensorFlow checkpoint (Keras 2). The
            folder's ``checkpoint`` file, which belongs to no single checkpoint, is
            not written.
        overwrite: If false, the store itself refuses when something is there.
        save_format: ``"tf"``, ``"h5"`` or ``"keras"``, whatever the name.
        max_shard_size: The size in GiB above which Keras 3 begins another shard.
        metadata: A JSON object of your own for the manifest.
        storage_options: Arguments for the fsspec filesystem, as in pandas.
        transfer: As in :func:`open_model`.
        progress: As in :func:`save_model`.

    Returns:
        The manifest.

    Raises:
        ModelExistsError: something is there and ``overwrite`` is false.
        ConflictError: another saver was faster, or has replaced the model just saved.
        AmbiguousCommitError: an answer was lost, and the store cannot be asked.
        FormatError: the model's generation cannot write this format.
        ArgumentError: an argument makes no sense.
        StorageError: the store refused or failed.
    """
    framework = framework_of(model)
    location = Location.parse(url, storage_options)
    format = weights_format(location, save_format, sharded=max_shard_size is not None)
    streamed = framework.stream_weights(model, format) if max_shard_size is None else None
    if streamed is not None:
        return publish_files(
            location,
            format,
            {location.name: streamed.file},
            producer=framework.versions(),
            overwrite=overwrite,
            metadata=metadata,
            transfer=transfer,
            progress=progress,
            description=streamed.description,
        )
    with temporary_directory() as folder:
        path = folder / LOCAL_NAMES.get(format, location.name)
        framework.save_weights(model, path, format, max_shard_size)
        files = {each.name: each for each in sorted(folder.iterdir())}
        files.pop("checkpoint", None)
        if format in LOCAL_NAMES:
            files = {location.name: path}
        return publish_files(
            location,
            format,
            local_files(files),
            producer=framework.versions(),
            overwrite=overwrite,
            metadata=metadata,
            transfer=transfer,
            progress=progress,
            description=framework.describe(model),
        )


def load_weights(
    model: Any,
    url: URL,
    *,
    skip_mismatch: bool = False,
    by_name: bool = False,
    manifest_digest: str | None = None,
    manifest_url: URL | None = None,
    public_key: Key | None = None,
    storage_options: StorageOptions | None = None,
    transfer: TransferSettings | None = None,
    progress: Progress = None,
) -> Any:
    """Load weights into a model, from weights-only files or from whole models.

    What Keras 3 wrote goes straight into the variables of a Keras 3 model, each tensor
    checked before. If reading fails half-way, the model holds some of the new weights.

    Args:
        model: A model of Keras 3 or of tf_keras.
        url: Where weights or a whole model were saved.
        skip_mismatch: Skip layers whose shapes differ.
        by_name: Match layers by name (legacy ``.h5`` only).
        manifest_digest: ``sha256:<hex>``: load exactly this artifact or nothing.
        manifest_url: As in :func:`open_model`.
        public_key: As in :func:`open_model`.
        storage_options: Arguments for the fsspec filesystem, as in pandas.
        transfer: As in :func:`open_model`.
        progress: As in :func:`save_model`.

    Returns:
        What the framework's own ``load_weights`` returns: for a TensorFlow
        checkpoint the status object, else ``None``.

    Raises:
        ModelNotFoundError: nothing is there.
        IntegrityError: bytes are not those that the manifest vouches for, or no good
            signature by ``public_key`` vouches for the manifest.
        GenerationError: the model's generation cannot read it.
        UnsafeFormatError: it leads out of its own files.
        StorageError: the store refused or failed.
    """
    framework = framework_of(model)
    remote = open_model(
        url,
        manifest_digest=manifest_digest,
        manifest_url=manifest_url,
        public_key=public_key,
        storage_options=storage_options,
        transfer=transfer,
    )
    callback = progress_callback(progress)
    if not by_name and stream_weights(
        model, remote, framework, skip_mismatch=skip_mismatch, progress=callback
    ):
        return None
    with fetched(remote, callback) as artifact:
        if artifact.what.format is Format.ARCHITECTURE:
            raise FormatError(
                f"{artifact.what.title}",
                where=str(artifact.location),
                hint=other_verb(artifact.what.format),
            )
        guard_weights(artifact)
        status = framework.load_weights(
            model,
            artifact.path,
            artifact.what,
            WeightsOptions(skip_mismatch=skip_mismatch, by_name=by_name),
            where=str(artifact.location),
        )
        artifact.keep_for(model)
        return status
