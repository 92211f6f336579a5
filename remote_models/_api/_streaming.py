"""Load a model or weights straight from verified tensors, without a copy on disk."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any

from remote_models.documents import MODEL_CONFIG
from remote_models.errors import IntegrityError, ModelNotFoundError
from remote_models.formats import Format
from remote_models.frameworks import Framework, TensorStream
from remote_models.manifest import Manifest
from remote_models.remote_model import RemoteModel
from remote_models.storage import ProgressCallback, ProgressMeter

__all__ = ["generation_of", "stream_model", "stream_weights"]

_GENERATIONS = {"keras": 3, "tf_keras": 2}

_WITH_WEIGHTS = {Format.KERAS, Format.KERAS_WEIGHTS, Format.SHARDED_WEIGHTS}

_UNFIT = (TypeError, ValueError, AttributeError, KeyError, RuntimeError, NotImplementedError)
"""What Keras and custom layers raise when they cannot be built without values."""


def generation_of(manifest: Manifest | None) -> int | None:
    """Return the generation of Keras that a manifest names as the producer, if it does."""
    producers = manifest.producer if manifest else {}
    return next((_GENERATIONS[name] for name in _GENERATIONS if name in producers), None)


def stream_model(
    remote: RemoteModel,
    framework: Framework,
    *,
    custom_objects: Mapping[str, Any] | None,
    compile: bool,
    safe_mode: bool,
    progress: ProgressCallback | None,
) -> Any | None:
    """Return the model, or ``None`` where only the framework's own loader will do.

    That is so for other formats and generations, for archives with more in them than
    configuration and weights, for models that cannot be built without values, and for
    artifacts that are being replaced at this moment.

    Raises:
        StorageError: the store refused or failed.
    """
    if remote.format is not Format.KERAS or not _is_streamable(remote, framework):
        return None
    documents = remote.manifest.documents if remote.manifest else ()
    if [each.name for each in documents] != [MODEL_CONFIG]:
        return None
    failures: list[BaseException] = []
    try:
        with _tensors(remote, progress, failures) as tensors:
            return framework.load_model_from_tensors(
                remote.architecture or {},
                tensors,
                custom_objects=custom_objects,
                compile=compile,
                safe_mode=safe_mode,
            )
    except (IntegrityError, ModelNotFoundError):
        return None  # replaced meanwhile, or damaged: the copying loader tells which
    except _UNFIT:
        if failures:  # not the model's, but the store's or the caller's own
            raise
        return None


def stream_weights(
    model: Any,
    remote: RemoteModel,
    framework: Framework,
    *,
    skip_mismatch: bool,
    progress: ProgressCallback | None,
) -> bool:
    """Load weights into ``model``, and say whether it was done; see :func:`stream_model`.

    Raises:
        StorageError: the store refused or failed.
        ValueError: the model and the weights do not fit, as Keras says it.
    """
    if remote.format not in _WITH_WEIGHTS or not _is_streamable(remote, framework):
        return False
    if not getattr(model, "built", False):
        return False  # Keras has the better words for it

    try:
        with _tensors(remote, progress, []) as tensors:
            framework.load_weights_from_tensors(model, tensors, skip_mismatch=skip_mismatch)
    except (IntegrityError, ModelNotFoundError):
        return False
    return True


def _is_streamable(remote: RemoteModel, framework: Framework) -> bool:
    manifest = remote.manifest
    return (
        framework.streams
        and manifest is not None
        and bool(manifest.tensors)
        and generation_of(manifest) == framework.generation
    )


@contextmanager
def _tensors(
    remote: RemoteModel, progress: ProgressCallback | None, failures: list[BaseException]
) -> Iterator[TensorStream]:
    """Offer every tensor; what the framework did not want counts as done when it is done."""
    names = {tensor.key: tensor.name for tensor in remote.weights.values()}
    keys = {name: key for key, name in names.items()}
    left = sum(tensor.nbytes for tensor in remote.weights.values())
    meter = ProgressMeter("download", str(remote.location), left, progress)

    def read(wanted: Collection[str]) -> Iterator[tuple[str, Any]]:
        nonlocal left
        with ExitStack() as stack:
            stack.push(note)
            for name, array in remote.weights.stream([names[key] for key in wanted]):
                new = min(array.nbytes, left)  # Keras asks for some tensors twice
                left -= new
                meter.advance(new)
                yield keys[name], array

    def note(
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if error is not None and not isinstance(error, GeneratorExit):
            failures.append(error)

    yield TensorStream(keys=tuple(names), read=read, failures=failures)
    if left:
        meter.advance(left)
