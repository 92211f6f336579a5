"""Models that are ready to predict, run by whatever is at hand."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from typing import Any

from remote_models._api._arguments import URL, StorageOptions
from remote_models._api._artifacts import open_model
from remote_models._api._fetch import fetched
from remote_models._api._guarding import guard_program
from remote_models._api._keys import Key
from remote_models._api._models import load_opened
from remote_models.errors import ArgumentError, FormatError, MissingDependencyError
from remote_models.formats import Format
from remote_models.frameworks import framework_of
from remote_models.remote_model import RemoteModel
from remote_models.runtimes import EXPORTS, Runtime, is_installed, run_export
from remote_models.storage import TransferSettings

__all__ = ["load_runtime"]

_AUTO = "auto"

_WORDS = (_AUTO, *EXPORTS, "keras", "tensorflow")


def load_runtime(
    url: URL,
    runtime: str = _AUTO,
    *,
    manifest_digest: str | None = None,
    manifest_url: URL | None = None,
    public_key: Key | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
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
        runtime: ``"litert"`` runs a tflite export, ``"onnx"`` an ONNX export, ``"keras"``
            the model itself, by the Keras that wrote it, and ``"tensorflow"`` the signature
            ``serving_default`` of a SavedModel. ``"auto"`` is the first of them that the
            artifact has something for and whose package is installed.
        manifest_digest: ``sha256:<hex>``: load exactly this artifact or nothing.
        manifest_url: As in :func:`open_model`.
        public_key: As in :func:`open_model`.
        custom_objects: For ``"keras"``, as in :func:`load_model`.
        safe_mode: Whether what could run code, or reach outside of the artifact, is refused.
        num_threads: How many threads a prediction uses; by default as the runtime has it:
            LiteRT one, ONNX Runtime one for each
            core. Keras and TensorFlow have settings of their own.
        storage_options: Arguments for the fsspec filesystem, as in pandas.
        transfer: As in :func:`open_model`.

    Returns:
        The model. Its ``predict`` may be called by several threads at once.

    Raises:
        ModelNotFoundError: nothing is there.
        IntegrityError: bytes are not those that the manifest vouches for, or no good
            signature by ``public_key`` vouches for the manifest.
        UnsafeFormatError: it could run code or reach outside itself.
        FormatError: the artifact has no such export, or the runtime cannot run it.
        MissingDependencyError: what would run it is not installed.
        StorageError: the store refused or failed; the message says what to do.
    """
    if runtime not in _WORDS:
        raise ArgumentError(
            "unknown runtime", where="runtime", expected=", ".join(map(repr, _WORDS)),
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
    if chosen in EXPORTS:
        return _load_export(remote, chosen, num_threads, safe_mode=safe_mode)
    if chosen == "tensorflow":
        return _load_program(remote, safe_mode=safe_mode)
    model = load_opened(
        remote,
        None,
        custom_objects=custom_objects,
        compile=False,
        safe_mode=safe_mode,
        progress=None,
    )
    return framework_of(model).runtime(model, manifest_digest=_digest(remote))


def _digest(remote: RemoteModel) -> str | None:
    return remote.manifest.digest if remote.manifest else None


def _load_export(
    remote: RemoteModel, runtime: str, num_threads: int | None, *, safe_mode: bool
) -> Runtime:
    data = remote.read_export(EXPORTS[runtime])
    where = str(remote.file_location(remote.exports[EXPORTS[runtime]]))
    if safe_mode:
        from remote_models.formats.safety import check_export, refuse

        refuse(check_export(EXPORTS[runtime], data, where=where), where)
    return run_export(
        runtime, data, num_threads=num_threads, manifest_digest=_digest(remote), where=where
    )


def _load_program(remote: RemoteModel, *, safe_mode: bool) -> Runtime:
    """Return the graph of a SavedModel, which lies on this machine as long as it lives."""
    with fetched(remote, None) as artifact:
        if artifact.what.format is not Format.SAVED_MODEL:
            raise FormatError(
                f"{artifact.what.title}: TensorFlow alone runs nothing but SavedModels",
                where=str(remote.location), hint="Load it with runtime='keras'",
            )  # fmt: skip
        from remote_models.frameworks import load_program

        if safe_mode:
            guard_program(artifact)
        runtime = load_program(
            artifact.path, where=str(remote.location), manifest_digest=_digest(remote)
        )
        artifact.keep_for(runtime)
        return runtime


def _chosen(remote: RemoteModel) -> str:
    """Return the first runtime that the artifact has something for and that is installed.

    Raises:
        MissingDependencyError: there is none.
        UnrecognizedFormatError: the artifact is no model, and has no manifest.
    """
    fitting = [name for name, kind in EXPORTS.items() if kind in remote.exports]
    for name in fitting:
        if is_installed(name):
            return name
    format = remote.format or remote.recognise().format
    is_graph = format is Format.SAVED_MODEL
    if _has_keras() and not (is_graph and remote.architecture is None):
        return "keras"
    if is_graph and _can_import("tensorflow"):
        return "tensorflow"
    runs = [*fitting, "keras", *(["tensorflow"] if is_graph else [])]
    extra = EXPORTS[fitting[0]] if fitting else "keras"
    raise MissingDependencyError(
        "nothing that is installed runs this model",
        where=str(remote.location),
        expected=f"one of {', '.join(runs)}",
        found=f"exports: {', '.join(remote.exports) or 'none'}; installed: "
        + (", ".join(name for name in EXPORTS if is_installed(name)) or "no runtime"),
        hint=f"pip install 'remote_models[{extra}]', or save the model again with exports=",
    )


def _has_keras() -> bool:
    """Whether some generation of Keras is installed."""
    return any(_can_import(name) for name in ("keras", "tf_keras"))


def _can_import(package: str) -> bool:
    return package in sys.modules or importlib.util.find_spec(package) is not None
