"""Keras 3, on any backend. Tried with Keras 3.3 to 3.15; public functions only."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Container, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from remote_models.errors import ArgumentError, FormatError, MissingDependencyError
from remote_models.formats import Format, Recognition
from remote_models.frameworks._framework import (
    Framework,
    SaveOptions,
    TensorStream,
    UnknownClassError,
    WeightsOptions,
)
from remote_models.frameworks._given_objects import GivenObjects
from remote_models.frameworks._h5_optimizer import keeping_compile_config, restore_optimizer
from remote_models.frameworks._keras2_loading import (
    build_architecture,
    build_translated,
    load_translated,
    load_translated_weights,
)
from remote_models.frameworks._keras_h5_streaming import build_and_load_h5, load_h5_weights
from remote_models.frameworks._keras_saved_model import (
    load_graph,
    load_saved_model,
    load_saved_weights,
    refuse_backend,
    write_saved_model,
)
from remote_models.frameworks._keras_saving import stream_archive, stream_h5, stream_weights
from remote_models.frameworks._keras_state import record_state, variable_paths
from remote_models.frameworks._keras_streaming import build_and_load, load_state
from remote_models.frameworks._keras_unfilled import check_variables
from remote_models.frameworks._streamed_save import ModelDescription, StreamedSave
from remote_models.frameworks._variable_budget import VariableBudget, stored_bytes
from remote_models.remote_model import RemoteModel
from remote_models.storage import Location, open_store

if TYPE_CHECKING:
    from remote_models.formats.streaming import StreamedFile
    from remote_models.frameworks._named_tensors import NamedTensors
    from remote_models.frameworks._training import Training
    from remote_models.runtimes import Runtime

__all__ = ["Keras3"]

_ONLY_BY_NAME = (Format.SAVED_MODEL, Format.CHECKPOINT)
"""Formats of Keras 2 whose weights Keras 3 cannot read by itself."""

_BACKEND_PACKAGES = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}


class Keras3(Framework):
    """Keras 3."""

    name = "keras"
    generation = 3
    streams = True
    translates = True

    def __init__(self) -> None:
        if keras.__version__.partition(".")[0] == "2":
            raise MissingDependencyError(
                f"the installed keras {keras.__version__} is Keras 2",
                hint="pip install 'keras>=3.3' for Keras 3, or tf_keras for Keras 2 models",
            )

    def given(self, custom_objects: Mapping[str, Any] | None) -> Container[str]:
        return GivenObjects(keras.saving.get_registered_object, custom_objects)

    def imports_modules_of(self, what: Recognition) -> bool:
        # What is translated names only what is Keras' or given; of a SavedModel the graph
        # runs where a class is not known.
        return what.generation != 2 and what.format is not Format.SAVED_MODEL

    @property
    def runs_graphs(self) -> bool:
        return bool(keras.backend.backend() == "tensorflow")

    def training(self, model: Any) -> Training:
        from remote_models.frameworks._keras_training import Keras3Training

        return Keras3Training(model)

    def versions(self) -> Mapping[str, str]:
        backend = keras.backend.backend()
        versions = {"keras": keras.__version__, "backend": backend}
        package = _BACKEND_PACKAGES.get(backend)
        if package is not None:
            versions[package] = importlib.metadata.version(package)
        return versions

    def stream_model(self, model: Any, format: Format, options: SaveOptions) -> StreamedSave | None:
        self._check(format, options)
        if not model.built:  # Keras has words for it
            return None
        if format is Format.SAVED_MODEL:  # TensorFlow writes to disk only
            return None
        if format is Format.KERAS:
            return self._streamed(model, *stream_archive(model))
        return self._streamed(
            model, stream_h5(model, include_optimizer=options.include_optimizer), {}
        )

    def stream_weights(self, model: Any, format: Format) -> StreamedSave | None:
        own = type(model).save_weights is not keras.Model.save_weights
        if format is not Format.KERAS_WEIGHTS or not model.built or own:
            return None
        return self._streamed(model, *stream_weights(model))

    def _streamed(
        self, model: Any, file: StreamedFile, variables: Mapping[str, str]
    ) -> StreamedSave:
        return StreamedSave(
            file=file,
            description=ModelDescription(name=model.name, variables=variables, architecture=None),
        )

    def save_model(self, model: Any, path: Path, format: Format, options: SaveOptions) -> None:
        self._check(format, options)
        if format is Format.SAVED_MODEL:
            write_saved_model(
                model,
                path,
                include_optimizer=options.include_optimizer,
                signatures=options.signatures,
            )
            return
        if format is Format.KERAS:
            keras.saving.save_model(model, path)
            return
        with keeping_compile_config(model):
            keras.saving.save_model(model, path, include_optimizer=options.include_optimizer)

    def _check(self, format: Format, options: SaveOptions) -> None:
        if format is Format.SAVED_MODEL:
            refuse_backend()
            return
        if options.signatures is not None or not options.save_traces:
            raise ArgumentError(
                "only a SavedModel has signatures and traces", where="signatures, save_traces"
            )
        if format is Format.KERAS and not options.include_optimizer:
            raise FormatError(
                "Keras always keeps the optimizer in a .keras archive",
                where="include_optimizer",
                hint="Save as .h5, or remove the optimizer from the model first",
            )

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
        if not what.has_keras_metadata:
            return load_graph(path, where=where, otherwise=self.no_keras_model(what, where))
        if what.generation == 2 or what.format is Format.SAVED_MODEL:
            load = load_translated if what.generation == 2 else load_saved_model
            try:
                return load(
                    path,
                    where=where,
                    custom_objects=custom_objects,
                    compile=compile,
                    safe_mode=safe_mode,
                )
            except UnknownClassError as error:
                if what.format is not Format.SAVED_MODEL:
                    raise
                otherwise = error.__cause__ or error
                return load_graph(path, where=where, otherwise=otherwise, reason=error.reason)
        with self.naming_generation(what, where):
            if safe_mode:
                _check_variables(path, what.format, custom_objects, where)
            model = keras.saving.load_model(
                path,
                custom_objects=dict(custom_objects) if custom_objects else None,
                compile=compile,
                safe_mode=safe_mode,
            )
        if what.format is Format.H5 and what.generation == self.generation:
            restore_optimizer(model, path)
        return model

    def load_model_from_tensors(
        self,
        architecture: Mapping[str, Any],
        tensors: TensorStream,
        format: Format,
        *,
        custom_objects: Mapping[str, Any] | None,
        compile: bool,
        safe_mode: bool,
    ) -> Any:
        load = build_and_load_h5 if format is Format.H5 else build_and_load
        return load(
            architecture,
            tensors,
            custom_objects=dict(custom_objects) if custom_objects else None,
            compile=compile,
            safe_mode=safe_mode,
        )

    def translate_model(
        self,
        architecture: Mapping[str, Any],
        tensors: NamedTensors,
        *,
        custom_objects: Mapping[str, Any] | None,
        compile: bool,
        safe_mode: bool,
    ) -> Any:
        return build_translated(
            architecture,
            tensors,
            custom_objects=custom_objects,
            compile=compile,
            safe_mode=safe_mode,
        )

    def translate_architecture(
        self,
        architecture: Mapping[str, Any],
        *,
        where: str,
        custom_objects: Mapping[str, Any] | None,
        safe_mode: bool,
    ) -> Any:
        return build_architecture(
            architecture, where=where, custom_objects=custom_objects, safe_mode=safe_mode
        )

    def load_model_lazily(
        self,
        architecture: Mapping[str, Any],
        tensors: TensorStream,
        format: Format,
        *,
        custom_objects: Mapping[str, Any] | None,
        compile: bool,
        safe_mode: bool,
        prefetch: int | bool,
    ) -> Any:
        if keras.backend.backend() != "tensorflow":
            raise FormatError(
                "Keras loads models lazily on TensorFlow only",
                where="lazy",
                found=keras.backend.backend(),
                hint="Pass lazy=False",
            )
        from remote_models.frameworks._keras_lazy import load_lazily

        return load_lazily(
            architecture,
            tensors,
            format,
            custom_objects=dict(custom_objects) if custom_objects else None,
            compile=compile,
            safe_mode=safe_mode,
            prefetch=prefetch,
        )

    def load_weights_from_tensors(
        self, model: Any, tensors: TensorStream, format: Format, *, skip_mismatch: bool
    ) -> None:
        if format is Format.H5:
            load_h5_weights(model, tensors)
        else:
            load_state(model, tensors, skip_mismatch=skip_mismatch)

    def save_weights(
        self, model: Any, path: Path, format: Format, max_shard_size: float | None
    ) -> None:
        if format in (Format.CHECKPOINT, Format.H5_WEIGHTS):
            raise FormatError(
                f"Keras 3 cannot save {format.description}",
                where="url",
                hint="Give the URL the extension .weights.h5",
            )
        if max_shard_size is None:
            model.save_weights(path)
        else:
            model.save_weights(path, max_shard_size=max_shard_size)

    def load_weights(
        self, model: Any, path: Path, what: Recognition, options: WeightsOptions, *, where: str
    ) -> Any:
        if not what.has_keras_metadata:
            raise self.no_keras_model(what, where)
        if what.format is Format.SAVED_MODEL and what.generation == self.generation:
            return load_saved_weights(model, path, skip_mismatch=options.skip_mismatch, where=where)
        if what.generation == 2 and self._loads_by_name(model, what, options):
            try:
                return load_translated_weights(model, path, where=where)
            except FormatError:
                if what.format in _ONLY_BY_NAME:
                    raise
                # Keras goes by the order of layers, whatever they are called.
        by_name = {"by_name": True} if options.by_name else {}
        with self.naming_generation(what, where, into_model=True):
            return model.load_weights(path, skip_mismatch=options.skip_mismatch, **by_name)

    def _loads_by_name(self, model: Any, what: Recognition, options: WeightsOptions) -> bool:
        """Whether to look for the tensors that a model's variables are called like."""
        if not options.skip_mismatch and not options.by_name and model.built:
            return True
        if what.format in _ONLY_BY_NAME:
            raise FormatError(
                f"{what.title}: Keras 3 takes all of it or nothing, into a model that is built",
                where="skip_mismatch, by_name" if model.built else "model",
                hint="Leave the arguments out" if model.built else "Build it, or call it once",
            )
        return False

    def to_json(self, model: Any) -> str:
        text: str = model.to_json()
        return text

    def from_json(
        self, text: str, *, custom_objects: Mapping[str, Any] | None, safe_mode: bool
    ) -> Any:
        return keras.saving.deserialize_keras_object(
            json.loads(text),
            custom_objects=dict(custom_objects) if custom_objects else None,
            safe_mode=safe_mode,
        )

    def runtime(self, model: Any, *, manifest_digest: str | None = None) -> Runtime:
        if not self.runs_graphs:
            from remote_models.frameworks._keras_runtime import KerasRuntime

            return KerasRuntime(model, manifest_digest=manifest_digest)
        from remote_models.frameworks._graph_runtime import GraphRuntime

        function = self._serving_function(model)
        return GraphRuntime("keras", function, model, manifest_digest=manifest_digest)

    def export(self, model: Any, kind: str) -> bytes:
        if not self.runs_graphs:
            raise FormatError(
                "exports are made with TensorFlow",
                where="exports",
                found=f"the {keras.backend.backend()} backend",
                hint=(
                    "Save the model without exports=, load it in a process with "
                    "KERAS_BACKEND=tensorflow, and save it from there"
                ),
            )
        from remote_models.frameworks._tf_exports import convert

        return convert(self._serving_function(model), kind)

    def _serving_function(self, model: Any) -> Any:
        from remote_models.frameworks._keras_serving import serving_graph

        return serving_graph(model, ()).signature.get_concrete_function()

    def describe(self, model: Any) -> ModelDescription:
        variables = variable_paths(record_state(model))
        return ModelDescription(name=model.name, variables=variables, architecture=None)


def _check_variables(
    path: Path, format: Format, custom_objects: Mapping[str, Any] | None, where: str
) -> None:
    """Refuse a model whose variables would take more than is stored."""
    location = Location.parse(path)
    architecture = RemoteModel.open(open_store(location), location, verify=False).architecture
    check_variables(
        architecture or {},
        format,
        VariableBudget(stored_bytes(path), where=where),
        custom_objects=custom_objects,
        safe_mode=True,
    )
