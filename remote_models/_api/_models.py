"""Whole models to URLs and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from remote_models._api._arguments import URL, Progress, StorageOptions, model_format
from remote_models._api._artifacts import open_model
from remote_models._api._fetch import fetched, other_verb
from remote_models._api._guarding import guard_copy
from remote_models._api._keys import Key
from remote_models._api._model_files import ModelFiles
from remote_models._api._streaming import (
    STREAMED_GENERATION,
    load_model_lazily,
    may_stream,
    stream_model,
)
from remote_models._api._translating import (
    TRANSLATED_GENERATION,
    may_translate,
    translate_model,
)
from remote_models._progress_bar import progress_callback
from remote_models.errors import ArgumentError, FormatError
from remote_models.formats import Format
from remote_models.frameworks import SaveOptions, choose_framework
from remote_models.manifest import Manifest
from remote_models.remote_model import RemoteModel
from remote_models.storage import Location, ProgressCallback, TransferSettings

__all__ = ["load_model", "load_opened", "save_model"]


def save_model(
    model: Any,
    url: URL,
    *,
    overwrite: bool = True,
    save_format: str | None = None,
    include_optimizer: bool = True,
    signatures: Any = None,
    save_traces: bool = True,
    exports: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    storage_options: StorageOptions | None = None,
    transfer: TransferSettings | None = None,
    progress: Progress = None,
) -> Manifest:
    """Save a whole model: architecture, weights, compile and optimizer state.

    A ``.keras`` or ``.h5`` file is sent while it is made, a SavedModel is written to the
    temporary directory first.

    Either the whole model becomes visible at ``url``, with its manifest, or what
    was there stays. Overwriting a directory in place is not atomic: a reader in
    between gets an error or one whole model, never a mixture. With
    ``overwrite=True``, of two savers at once the last one wins.

    Args:
        model: A model of Keras 3 or of tf_keras.
        url: ``s3://``, ``gs://``, ``memory://``, ``file://`` or a local path. By its
            extension ``.keras``, ``.h5`` or ``.hdf5`` it names the format; any other
            name becomes a SavedModel directory.
        overwrite: If false, the store itself refuses when something is there.
        save_format: ``"tf"``, ``"h5"`` or ``"keras"``, whatever the name.
        include_optimizer: Whether the optimizer's state is kept.
        signatures: For a SavedModel, as ``tf.saved_model.save`` takes them. By default
            ``serving_default`` runs the model on a batch of any size.
        save_traces: For a SavedModel of tf_keras, whether to trace each layer, so that
            custom layers can be revived without their class.
        exports: ``"tflite"``, ``"onnx"`` or both: the model for runtimes that need neither
            Keras nor TensorFlow (:func:`load_runtime`), in the same artifact. Each is made
            and compared with the model on random inputs before anything becomes visible.
        metadata: A JSON object of your own for the manifest (step, metrics, commit).
        storage_options: Arguments for the fsspec filesystem, as in pandas. Without
            them credentials and endpoints come from where boto and gcsfs look.
        transfer: As in :func:`open_model`.
        progress: A bar on standard error (true), nothing (false), a callable that
            takes :class:`TransferProgress`, or a bar only on a terminal (``None``).

    Returns:
        The manifest. Its ``digest`` pins the artifact.

    Raises:
        ModelExistsError: something is there and ``overwrite`` is false.
        ConflictError: another saver was faster, or has replaced the model just saved.
        AmbiguousCommitError: an answer was lost, and the store cannot be asked.
        FormatError: the model cannot be saved in this format, or exported, or an export
            does not compute what the model does.
        MissingDependencyError: what makes or runs an export is not installed.
        ArgumentError: an argument makes no sense.
        StorageError: the store refused or failed; the message says what to do.
    """
    location = Location.parse(url, storage_options)
    options = SaveOptions(
        include_optimizer=include_optimizer, signatures=signatures, save_traces=save_traces
    )
    format = model_format(location, save_format)
    with ModelFiles.of_model(model, format, options, exports=exports) as files:
        return files.publish(
            location,
            overwrite=overwrite,
            metadata=metadata,
            transfer=transfer,
            progress=progress,
        )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value >= 0


def load_model(
    url: URL,
    *,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
    manifest_digest: str | None = None,
    manifest_url: URL | None = None,
    public_key: Key | None = None,
    framework: str | None = None,
    storage_options: StorageOptions | None = None,
    transfer: TransferSettings | None = None,
    progress: Progress = None,
    lazy: bool = False,
    prefetch: int | bool = False,
) -> Any:
    """Load a whole model, whatever its format.

    Every byte is compared with the manifest: what a framework sees before it does, all
    else before the model is returned, except an optimizer's state with ``compile=False``,
    which stays where it is, with the structure of the file around it. What Keras 3
    saved goes straight into the variables, without a copy on disk and without running
    initialisers; everything else, and what holds vocabularies, is copied to the
    temporary directory first. An artifact without a manifest is loaded with an
    :class:`UnverifiedModelWarning`.

    Args:
        url: Where it was saved.
        custom_objects: Names to classes or functions that the model uses. A
            SavedModel loads without them too, revived from its graph: by Keras 3 for
            inference only, and with an :class:`InferenceOnlyWarning`.
        compile: Whether to compile it as it was when saved.
        safe_mode: Whether what could run code, or reach outside of the artifact, is refused
            before a framework sees it (docs/security.md). What is in ``custom_objects``
            or registered is yours, and allowed.
        manifest_digest: ``sha256:<hex>``: load exactly this artifact or nothing.
        manifest_url: As in :func:`open_model`.
        public_key: As in :func:`open_model`.
        framework: ``"keras"`` or ``"tf_keras"``. By default the one that wrote the
            model; Keras 3 for both if the process has imported only that.
        storage_options: Arguments for the fsspec filesystem, as in pandas.
        transfer: As in :func:`open_model`.
        progress: As in :func:`save_model`; a lazy load shows nothing.
        lazy: Return the model at once, having read its configuration alone. A layer's
            weights are read, checked and kept when it is first called or one of them is
            looked at or saved, the optimizer's state with the first training step. The
            call that needs them raises what goes wrong, and the next one tries again;
            once the artifact is replaced, that is an ``IntegrityError``. Only for what
            Keras 3 saved as ``.keras`` or ``.h5`` with a manifest, on TensorFlow.
        prefetch: With ``lazy``, how many layers are read ahead of the one called last,
            in the background; ``True`` begins at once to read all.

    Returns:
        The model, of Keras 3 or of tf_keras.

    Raises:
        ModelNotFoundError: nothing is there.
        IntegrityError: bytes are not those that the manifest vouches for, or no good
            signature by ``public_key`` vouches for the manifest.
        GenerationError: the chosen framework cannot open it; names the one that can.
        UnsafeFormatError: it could run code or reach outside itself; the message names
            the layer or operation, and how to allow it.
        FormatError: it is no whole model; the message says what it is.
        StorageError: the store refused or failed; the message says what to do.
    """
    if prefetch and not lazy:
        raise ArgumentError("only a lazy load reads ahead", where="prefetch", found=prefetch)
    if not _is_count(prefetch):
        raise ArgumentError(
            "not a number of layers", where="prefetch", expected="True, False or an integer",
            found=repr(prefetch),
        )  # fmt: skip
    remote = open_model(
        url,
        manifest_digest=manifest_digest,
        manifest_url=manifest_url,
        public_key=public_key,
        storage_options=storage_options,
        transfer=transfer,
    )
    if lazy:
        return load_model_lazily(
            remote,
            choose_framework(STREAMED_GENERATION, framework),
            custom_objects=custom_objects,
            compile=compile,
            safe_mode=safe_mode,
            prefetch=prefetch,
        )
    return load_opened(
        remote,
        framework,
        custom_objects=custom_objects,
        compile=compile,
        safe_mode=safe_mode,
        progress=progress_callback(progress),
    )


def load_opened(
    remote: RemoteModel,
    framework: str | None,
    *,
    custom_objects: Mapping[str, Any] | None,
    compile: bool,
    safe_mode: bool,
    progress: ProgressCallback | None,
) -> Any:
    """Load the model of an artifact that is open, as :func:`load_model` does it."""
    if may_stream(remote):
        streamed = stream_model(
            remote,
            choose_framework(STREAMED_GENERATION, framework),
            custom_objects=custom_objects,
            compile=compile,
            safe_mode=safe_mode,
            progress=progress,
        )
        if streamed is not None:
            return streamed
    if may_translate(remote):
        translated = translate_model(
            remote,
            choose_framework(TRANSLATED_GENERATION, framework),
            custom_objects=custom_objects,
            compile=compile,
            safe_mode=safe_mode,
            progress=progress,
        )
        if translated is not None:
            return translated
    with fetched(remote, progress) as artifact:
        what = artifact.what
        if not what.format.is_model:
            raise FormatError(
                f"{what.title}, not a whole model",
                where=str(artifact.location),
                hint=other_verb(what.format),
            )
        # A program of TensorFlow alone: Keras 3 can run it.
        is_program = what.format is Format.SAVED_MODEL and not what.has_keras_metadata
        generation = STREAMED_GENERATION if is_program else what.generation
        chosen = choose_framework(generation, framework)
        if safe_mode:
            guard_copy(artifact, chosen, custom_objects, compile=compile)
        model = chosen.load_model(
            artifact.path,
            what,
            where=str(artifact.location),
            custom_objects=custom_objects,
            compile=compile,
            safe_mode=safe_mode,
        )
        artifact.keep_for(model)
        return model
