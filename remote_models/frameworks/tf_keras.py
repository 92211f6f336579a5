"""Keras 2 as tf_keras. Tried with tf_keras 2.16 to 2.21; private names with 2.21 only."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tensorflow as tf
import tf_keras

from remote_models.errors import ArgumentError, FormatError
from remote_models.formats import Format, Recognition
from remote_models.frameworks._assets import track_assets
from remote_models.frameworks._framework import (
    Framework,
    SaveOptions,
    WeightsOptions,
)
from remote_models.frameworks._given_objects import GivenObjects
from remote_models.frameworks._graph_runtime import GraphRuntime
from remote_models.frameworks._streamed_save import ModelDescription, StreamedSave
from remote_models.frameworks._tf_keras_budget import within_budget
from remote_models.frameworks._tf_keras_saving import (
    stream_archive,
    stream_h5,
    stream_h5_weights,
    stream_weights,
)
from remote_models.frameworks._tf_keras_serving import serving_function
from remote_models.frameworks._variable_budget import VariableBudget, stored_bytes

if TYPE_CHECKING:
    from remote_models.formats.streaming import StreamedFile
    from remote_models.frameworks._training import Training
    from remote_models.runtimes import Runtime

__all__ = ["TFKeras"]


class TFKeras(Framework):
    """Keras 2, which always runs on TensorFlow."""

    name = "tf_keras"
    generation = 2

    def training(self, model: Any) -> Training:
        from remote_models.frameworks._tf_keras_training import TFKerasTraining

        return TFKerasTraining(model, self.describe)

    def versions(self) -> Mapping[str, str]:
        return {
            "tf_keras": tf_keras.__version__,
            "backend": "tensorflow",
            "tensorflow": tf.__version__,
        }

    def given(self, custom_objects: Mapping[str, Any] | None) -> Container[str]:
        return GivenObjects(tf_keras.utils.get_registered_object, custom_objects)

    def imports_modules_of(self, what: Recognition) -> bool:
        # These it loads in its "saved model scope", in which it looks names up in its own
        # modules only (``deserialize_keras_object`` in saving/serialization_lib.py).
        return what.format not in (Format.SAVED_MODEL, Format.H5)

    def reads_named_files_of(self, what: Recognition) -> bool:
        # Of a SavedModel it takes the assets (``IndexLookup.__init__``, NullInitializer).
        return what.format is not Format.SAVED_MODEL

    def stream_model(self, model: Any, format: Format, options: SaveOptions) -> StreamedSave | None:
        if format is Format.SAVED_MODEL:
            return None
        _check(format, options)
        if not _is_streamable(model):
            return None
        if format is Format.KERAS:
            return self._streamed(model, stream_archive(model))
        if not _fits_h5(model):  # tf_keras has words for it
            return None
        return self._streamed(model, stream_h5(model, include_optimizer=options.include_optimizer))

    def stream_weights(self, model: Any, format: Format) -> StreamedSave | None:
        own = type(model).save_weights is not tf_keras.Model.save_weights
        if own or not _is_streamable(model):
            return None
        if format is Format.KERAS_WEIGHTS:
            return self._streamed(model, stream_weights(model))
        return (
            self._streamed(model, stream_h5_weights(model)) if format is Format.H5_WEIGHTS else None
        )

    def _streamed(self, model: Any, file: StreamedFile) -> StreamedSave:
        return StreamedSave(file=file, description=self.describe(model))

    def save_model(self, model: Any, path: Path, format: Format, options: SaveOptions) -> None:
        if format is Format.SAVED_MODEL:
            tf_keras.models.save_model(
                model,
                path,
                save_format="tf",
                include_optimizer=options.include_optimizer,
                signatures=options.signatures,
                save_traces=options.save_traces,
            )
            return
        _check(format, options)
        if format is Format.H5:
            tf_keras.models.save_model(
                model, path, save_format="h5", include_optimizer=options.include_optimizer
            )
            return
        tf_keras.models.save_model(model, path, save_format="keras")

    def load_model(
        self,
        path: Path,
        what: Recognition,
        *,
        where: str,
        custom_objects: Mapping[str, Any] | None,
        compile: bool,
        safe_mode: bool,
    ) -> Any:
        if what.generation == 3 or what.format is Format.KERAS_DIRECTORY:
            raise self.other_generation(what, where)
        if not what.has_keras_metadata:
            raise self.no_keras_model(what, where)
        budget = VariableBudget(stored_bytes(path), where=where)
        with within_budget(budget) if safe_mode else nullcontext():
            model = tf_keras.models.load_model(
                path,
                custom_objects=dict(custom_objects) if custom_objects else None,
                compile=compile,
                safe_mode=safe_mode,
            )
        if what.format is Format.SAVED_MODEL:
            track_assets(model)
            if compile:
                _restore_optimizer(model, path)
        return model

    def save_weights(
        self, model: Any, path: Path, format: Format, max_shard_size: float | None
    ) -> None:
        if max_shard_size is not None:
            raise FormatError(
                "tf_keras cannot shard weights", where="max_shard_size",
                hint="Leave max_shard_size out",
            )  # fmt: skip
        model.save_weights(path)

    def load_weights(
        self, model: Any, path: Path, what: Recognition, options: WeightsOptions, *, where: str
    ) -> Any:
        if what.format in (Format.SHARDED_WEIGHTS, Format.KERAS_DIRECTORY) or (
            what.format is Format.SAVED_MODEL and what.generation == 3
        ):
            raise self.other_generation(what, where, into_model=True)
        if not what.has_keras_metadata:
            raise self.no_keras_model(what, where)
        by_name = {"by_name": True} if options.by_name else {}
        # The layouts of both generations' weights agree for most layers.
        with self.naming_generation(what, where, into_model=True):
            return model.load_weights(path, skip_mismatch=options.skip_mismatch, **by_name)

    def to_json(self, model: Any) -> str:
        text: str = model.to_json()
        return text

    def from_json(
        self, text: str, *, custom_objects: Mapping[str, Any] | None, safe_mode: bool
    ) -> Any:
        return tf_keras.models.model_from_json(
            text, custom_objects=dict(custom_objects) if custom_objects else None
        )

    def runtime(self, model: Any, *, manifest_digest: str | None = None) -> Runtime:
        function = serving_function(model)
        return GraphRuntime("keras", function, model, manifest_digest=manifest_digest)

    def export(self, model: Any, kind: str) -> bytes:
        from remote_models.frameworks._tf_exports import convert

        return convert(serving_function(model), kind)

    def describe(self, model: Any) -> ModelDescription:
        try:
            architecture = json.loads(model.to_json())
        except (NotImplementedError, TypeError, ValueError, AttributeError):
            # A subclassed model without get_config, or with one that is no JSON.
            return ModelDescription(name=model.name, variables={}, architecture=None)
        if model.optimizer is not None:
            architecture["compile_config"] = {
                "optimizer": tf_keras.optimizers.serialize(model.optimizer)
            }
        return ModelDescription(name=model.name, variables={}, architecture=architecture)


def _check(format: Format, options: SaveOptions) -> None:
    if options.signatures is not None or not options.save_traces:
        raise ArgumentError(
            "only a SavedModel has signatures and traces", where="signatures, save_traces"
        )
    if format is Format.KERAS and not options.include_optimizer:
        raise FormatError(
            "Keras always keeps the optimizer in a .keras archive",
            where="include_optimizer",
            hint="Save as .h5 or as a SavedModel",
        )


def _is_streamable(model: Any) -> bool:
    return bool(model.built) and tf.executing_eagerly()


def _fits_h5(model: Any) -> bool:
    optimizers = (tf_keras.optimizers.Optimizer, tf_keras.optimizers.legacy.Optimizer)
    return (
        isinstance(model, tf_keras.Sequential) or model._is_graph_network  # noqa: SLF001 - as save.py asks
    ) and (model.optimizer is None or isinstance(model.optimizer, optimizers))


def _restore_optimizer(model: Any, path: Path) -> None:
    """Give the optimizer the state that a SavedModel's checkpoint holds.

    Keras 2 saves iterations and slots there and never reads them back: its loader
    compiles the model with a new optimizer
    (tf_keras/src/saving/legacy/saved_model/load.py, ``load``).
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return
    if isinstance(optimizer, tf_keras.optimizers.Optimizer):
        optimizer.build(model.trainable_variables)
    elif isinstance(optimizer, tf_keras.optimizers.legacy.Optimizer):
        # Slots that are not there yet would be missing from the next save.
        optimizer._create_all_weights(model.trainable_variables)  # noqa: SLF001 - as hdf5_format.py
    checkpoint = tf.train.Checkpoint(root=model)
    checkpoint.read(str(path / "variables" / "variables")).expect_partial()
