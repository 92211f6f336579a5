"""Load a model or weights straight from verified tensors, without a copy on disk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any

from remote_models._api._guarding import architecture_to_load, guard_architecture
from remote_models.documents import MODEL_CONFIG, TRAINING_CONFIG
from remote_models.errors import (
    FormatError,
    IntegrityError,
    ManifestError,
    ModelNotFoundError,
)
from remote_models.formats import Format
from remote_models.frameworks import (
    Framework,
    TensorSpec,
    TensorStream,
    UnmatchedTensorsError,
    state_stream,
)
from remote_models.remote_model import RemoteModel, WholeReading
from remote_models.storage import ProgressCallback, ProgressMeter
from remote_models.tensors import Role

if TYPE_CHECKING:
    from remote_models.remote_model import Weights

__all__ = [
    "STREAMED_GENERATION",
    "load_model_lazily",
    "may_stream",
    "stream_model",
    "stream_weights",
]

STREAMED_GENERATION = 3
"""The only generation of Keras whose artifacts are loaded here."""

_DOCUMENTS = {
    Format.KERAS: frozenset({MODEL_CONFIG}),
    Format.H5: frozenset({MODEL_CONFIG, TRAINING_CONFIG}),
    Format.SAVED_MODEL: frozenset({MODEL_CONFIG}),
}
"""Of each format that holds whole models, the documents that are read here; any other
is for the framework's own loader to understand."""

_WITH_WEIGHTS = {*_DOCUMENTS, Format.KERAS_WEIGHTS, Format.SHARDED_WEIGHTS}

_OF_OPTIMIZERS = frozenset({Role.OPTIMIZER})
"""What is left where it is if the caller does not load it: often two thirds of the bytes."""

_LAZY = {Format.KERAS, Format.H5}

_Exit = Callable[[type[BaseException] | None, BaseException | None, TracebackType | None], None]

_UNFIT = (TypeError, ValueError, AttributeError, KeyError, RuntimeError)
"""What Keras and custom layers raise when they cannot be built without values."""


def may_stream(remote: RemoteModel) -> bool:
    """Whether a whole model is here that goes straight into variables, as a rule.

    That is so where a manifest vouches for what Keras 3 wrote, and there is nothing
    else in it than configuration and weights.
    """
    documents = {each.name for each in remote.manifest.documents} if remote.manifest else set()
    known = _DOCUMENTS.get(remote.format, frozenset()) if remote.format else frozenset()
    return MODEL_CONFIG in documents <= known and _has_tensors(remote)


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
    configuration and weights, for ``.h5`` whose tensors have other names than the
    variables, for models that cannot be built without values, for SavedModels with
    classes that nobody has given, and for artifacts that are being replaced at this
    moment.

    Raises:
        UnsafeFormatError: the configuration could run code or reach outside the artifact.
        StorageError: the store refused or failed.
    """
    if remote.format is None or not may_stream(remote) or not framework.streams:
        return None
    try:
        architecture = architecture_to_load(remote.architecture, compile=compile)
    except (IntegrityError, ModelNotFoundError):
        return None  # as below
    if safe_mode and guard_architecture(remote, architecture, framework, custom_objects):
        return None
    failures: list[BaseException] = []
    try:
        reading = WholeReading(remote, without=() if compile else _OF_OPTIMIZERS)
        with reading, _tensors(reading, remote, progress, failures) as tensors:
            return framework.load_model_from_tensors(
                architecture_to_load(reading.architecture, compile=compile),
                tensors,
                remote.format,
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
    if remote.format not in _WITH_WEIGHTS or not _has_tensors(remote) or not framework.streams:
        return False
    if not getattr(model, "built", False):
        return False  # Keras has the better words for it

    try:
        reading = WholeReading(remote, without=_OF_OPTIMIZERS)
        with reading, _tensors(reading, remote, progress, []) as tensors:
            framework.load_weights_from_tensors(
                model, tensors, remote.format, skip_mismatch=skip_mismatch
            )
    except (IntegrityError, ModelNotFoundError, UnmatchedTensorsError):
        return False
    return True


def _has_tensors(remote: RemoteModel) -> bool:
    """Whether a manifest vouches for each tensor of something that Keras 3 wrote."""
    manifest = remote.manifest
    return manifest is not None and bool(manifest.tensors) and "keras" in manifest.producer


def load_model_lazily(
    remote: RemoteModel,
    framework: Framework,
    *,
    custom_objects: Mapping[str, Any] | None,
    compile: bool,
    safe_mode: bool,
    prefetch: int | bool,
) -> Any:
    """Return the model; a layer's weights are read when somebody first asks for one.

    Raises:
        ManifestError: no manifest vouches for the bytes.
        UnsafeFormatError: as for :func:`stream_model`.
        FormatError: only a whole load is possible; the message says why.
        StorageError: the store refused or failed.
    """
    if remote.manifest is None:
        raise ManifestError(
            "a model is loaded lazily only where a manifest vouches for each tensor",
            where=str(remote.location),
            hint="Adopt the model to get a manifest, or pass lazy=False",
        )
    if remote.format not in _LAZY or not may_stream(remote) or not framework.streams:
        raise FormatError(
            "this cannot be loaded lazily",
            where=str(remote.location),
            expected="a .keras or .h5 of Keras 3 with nothing but configuration and weights, "
            "and Keras 3 to load it",
            found=f"{remote.manifest.format}, to be loaded with {framework.name}",
            hint="Pass lazy=False",
        )
    architecture = architecture_to_load(remote.architecture, compile=compile)
    if safe_mode:
        guard_architecture(remote, architecture, framework, custom_objects)
    failures: list[BaseException] = []
    with _lazy_tensors(remote, failures) as tensors:
        try:
            return framework.load_model_lazily(
                architecture,
                tensors,
                remote.format,
                custom_objects=custom_objects,
                compile=compile,
                safe_mode=safe_mode,
                prefetch=prefetch,
            )
        except UnmatchedTensorsError as error:
            if failures:
                raise failures[0] from error
            raise FormatError(
                f"this cannot be loaded lazily: {error}",
                where=str(remote.location),
                hint="Pass lazy=False",
            ) from error


@contextmanager
def _lazy_tensors(remote: RemoteModel, failures: list[BaseException]) -> Iterator[TensorStream]:
    """Offer every tensor, now and later; only in the block is noted what goes wrong."""
    names = {tensor.key: tensor.name for tensor in remote.weights.values()}
    keys = {name: key for key, name in names.items()}
    noting = [failures]

    def read(wanted: Collection[str]) -> Iterator[tuple[str, Any]]:
        with ExitStack() as stack:
            for noted in noting:
                stack.push(_noting(noted))
            for name, array in remote.weights.stream([names[key] for key in wanted]):
                yield keys[name], array

    try:
        yield TensorStream(specs=_specs(remote.weights), read=read, failures=failures)
    finally:
        noting.clear()


@contextmanager
def _tensors(
    reading: WholeReading,
    remote: RemoteModel,
    progress: ProgressCallback | None,
    failures: list[BaseException],
) -> Iterator[TensorStream]:
    """Offer every tensor; what the framework did not want counts as done when it is done."""
    weights = reading.weights
    names = {tensor.key: tensor.name for tensor in weights.values()}
    keys = {name: key for key, name in names.items()}
    left = sum(tensor.nbytes for tensor in weights.values())
    meter = ProgressMeter("download", str(remote.location), left, progress)

    def read(wanted: Collection[str]) -> Iterator[tuple[str, Any]]:
        nonlocal left
        with ExitStack() as stack:
            stack.push(_noting(failures))
            for name, array in weights.stream([names[key] for key in wanted]):
                new = min(array.nbytes, left)  # Keras asks for some tensors twice
                left -= new
                meter.advance(new)
                yield keys[name], array

    tensors = TensorStream(specs=_specs(weights), read=read, failures=failures)
    if remote.format is Format.SAVED_MODEL:
        tensors = state_stream(tensors, reading.architecture or {})
    yield tensors
    if left:
        meter.advance(left)


def _noting(failures: list[BaseException]) -> _Exit:
    """Return what an ExitStack calls to note the exception that ends its block."""

    def note(
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if error is not None and not isinstance(error, GeneratorExit):
            failures.append(error)

    return note


def _specs(weights: Weights) -> dict[str, TensorSpec]:
    return {
        tensor.key: TensorSpec(shape=tensor.shape, dtype=tensor.dtype_name)
        for tensor in weights.values()
    }
