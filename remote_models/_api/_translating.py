"""Load what Keras 2 wrote into Keras 3 straight from verified tensors, without a copy on disk."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from remote_models._api._guarding import architecture_to_load, guard_translated
from remote_models.documents import KERAS_METADATA, MODEL_CONFIG
from remote_models.errors import FormatError, IntegrityError, ModelNotFoundError
from remote_models.formats import Format
from remote_models.frameworks import (
    Framework,
    NamedTensors,
    NotInConfigurationError,
    UnknownClassError,
    named_tensors,
)
from remote_models.remote_model import RemoteModel, WholeReading
from remote_models.storage import ProgressCallback, ProgressMeter
from remote_models.tensors import Role

if TYPE_CHECKING:
    from remote_models.remote_model import Weights

__all__ = ["TRANSLATED_GENERATION", "may_translate", "translate_model"]

TRANSLATED_GENERATION = 2
"""The only generation of Keras whose models are translated."""

_DOCUMENTS = {
    Format.SAVED_MODEL: {KERAS_METADATA, MODEL_CONFIG},
    Format.H5: {MODEL_CONFIG},
    Format.KERAS: {MODEL_CONFIG},
}
"""Of each format that can be translated, the documents that may say what the model is."""


def may_translate(remote: RemoteModel) -> bool:
    """Whether a manifest vouches for the tensors of a whole model that Keras 2 wrote.

    Raises:
        StorageError: the store refused or failed.
    """
    manifest = remote.manifest
    if manifest is None or remote.format not in _DOCUMENTS or "keras" in manifest.producer:
        return False
    documents = {each.name for each in manifest.documents}
    if not manifest.tensors or not documents & _DOCUMENTS[remote.format]:
        return False
    if "tf_keras" in manifest.producer:
        return True
    try:
        return remote.recognise().generation == TRANSLATED_GENERATION
    except (FormatError, IntegrityError, ModelNotFoundError):
        return False  # damaged: the copying loader tells what differs from the manifest


def translate_model(
    remote: RemoteModel,
    framework: Framework,
    *,
    custom_objects: Mapping[str, Any] | None,
    compile: bool,
    safe_mode: bool,
    progress: ProgressCallback | None,
) -> Any | None:
    """Return the model of ``framework``, or ``None`` where only a copy will do.

    That is so for frameworks that translate nothing, for models that have learnt
    vocabularies, and for artifacts that are being replaced at this moment.

    Raises:
        UnsafeFormatError: the configuration could run code or reach outside the artifact.
        GenerationError: the framework has nothing for a part of the model.
        FormatError: variables and tensors do not match.
        StorageError: the store refused or failed.
    """
    if not framework.translates:
        return None
    try:
        if remote.architecture is None:  # a subclassed model without a configuration
            return None
        if safe_mode:
            architecture = architecture_to_load(remote.architecture, compile=compile)
            guard_translated(remote, architecture, framework, custom_objects)
        with WholeReading(remote, without=() if compile else {Role.OPTIMIZER}) as reading:
            return framework.translate_model(
                architecture_to_load(reading.architecture, compile=compile),
                _tensors(reading.weights, remote, progress, with_optimizer=compile),
                custom_objects=custom_objects,
                compile=compile,
                safe_mode=safe_mode,
            )
    except NotInConfigurationError:
        return None  # the copying loader looks into the other files
    except UnknownClassError:
        if remote.format is Format.SAVED_MODEL and framework.runs_graphs:
            return None  # which takes a copy
        raise
    except (IntegrityError, ModelNotFoundError):
        return None  # replaced meanwhile, or damaged: the copying loader tells which


def _tensors(
    weights: Weights,
    remote: RemoteModel,
    progress: ProgressCallback | None,
    *,
    with_optimizer: bool,
) -> NamedTensors:
    wanted = (Role.WEIGHT, Role.OPTIMIZER) if with_optimizer else (Role.WEIGHT,)
    total = sum(tensor.nbytes for tensor in weights.values() if tensor.role in wanted)
    meter = ProgressMeter("download", str(remote.location), total, progress)

    def read(names: Collection[str]) -> Iterator[tuple[str, Any]]:
        for name, array in weights.stream(names):
            meter.advance(array.nbytes)
            yield name, array

    return named_tensors(weights, read, where=str(remote.location))
