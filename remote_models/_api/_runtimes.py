"""Models that are ready to predict, run by whatever is at hand."""

from __future__ import annotations

from remote_models._api._arguments import URL, StorageOptions
from remote_models._api._artifacts import open_model
from remote_models._api._keys import Key
from remote_models.errors import ArgumentError, MissingDependencyError
from remote_models.remote_model import RemoteModel
from remote_models.runtimes import EXPORTS, Runtime, is_installed, run_export
from remote_models.storage import TransferSettings

__all__ = ["load_runtime"]

_AUTO = "auto"


def load_runtime(
    url: URL,
    runtime: str = _AUTO,
    *,
    manifest_digest: str | None = None,
    manifest_url: URL | None = None,
    public_key: Key | None = None,
    num_threads: int | None = None,
    storage_options: StorageOptions | None = None,
    transfer: TransferSettings | None = None,
) -> Runtime:
    """Load a model to predict with, by the smallest runtime that is at hand.

    An export (``save_model(..., exports=("tflite", "onnx"))``) is read whole, compared with
    the manifest and handed to its runtime in memory: neither Keras nor TensorFlow is
    imported, nothing is written to disk, and of the model's other files none is read.

    Args:
        url: Where the model was saved.
        runtime: ``"litert"`` runs a tflite export, ``"onnx"`` an ONNX export. ``"auto"``
            is the first of them whose export is there and whose package is installed.
        manifest_digest: ``sha256:<hex>``: load exactly this artifact or nothing.
        manifest_url: As in :func:`open_model`.
        public_key: As in :func:`open_model`.
        num_threads: How many threads a prediction uses; by default as the runtime has it:
            LiteRT one, ONNX Runtime one for each core.
        storage_options: Arguments for the fsspec filesystem, as in pandas.
        transfer: As in :func:`open_model`.

    Returns:
        The model. Its ``predict`` may be called by several threads at once.

    Raises:
        ModelNotFoundError: nothing is there.
        IntegrityError: bytes are not those that the manifest vouches for, or no good
            signature by ``public_key`` vouches for the manifest.
        FormatError: the artifact has no such export, or the runtime cannot run it.
        MissingDependencyError: what would run it is not installed.
        StorageError: the store refused or failed; the message says what to do.
    """
    words = (_AUTO, *EXPORTS)
    if runtime not in words:
        raise ArgumentError(
            "unknown runtime", where="runtime", expected=", ".join(map(repr, words)),
            found=repr(runtime),
        )  # fmt: skip
    if num_threads is not None and (type(num_threads) is not int or num_threads < 1):
        raise ArgumentError(
            "not a number of threads", where="num_threads", expected="at least 1",
            found=repr(num_threads),
        )  # fmt: skip
    remote = open_model(
        url,
        manifest_digest=manifest_digest,
        manifest_url=manifest_url,
        public_key=public_key,
        storage_options=storage_options,
        transfer=transfer,
    )
    chosen = _chosen(remote) if runtime == _AUTO else runtime
    data = remote.read_export(EXPORTS[chosen])
    return run_export(
        chosen,
        data,
        num_threads=num_threads,
        manifest_digest=remote.manifest.digest if remote.manifest else None,
        where=str(remote.location),
    )


def _chosen(remote: RemoteModel) -> str:
    """Return the first runtime whose export is there and whose package is installed.

    Raises:
        MissingDependencyError: there is none.
    """
    fitting = [name for name, kind in EXPORTS.items() if kind in remote.exports]
    for name in fitting:
        if is_installed(name):
            return name
    installed = [name for name in EXPORTS if is_installed(name)]
    extra = EXPORTS[(fitting or list(EXPORTS))[0]]
    raise MissingDependencyError(
        "nothing that is installed runs this model",
        where=str(remote.location),
        expected=f"one of {', '.join(fitting)}" if fitting else "a tflite or ONNX export",
        found=f"{', '.join(installed) or 'neither LiteRT nor ONNX Runtime'} installed",
        hint=(
            f"pip install 'remote_models[{extra}]'"
            if fitting
            else "Save the model again with exports=('tflite',)"
        ),
    )
