"""Whole Keras 3 models as SavedModel directories.

A directory is what ``tf.saved_model.save`` writes: the graph that serves, and a
checkpoint that holds each variable once, under the keys that it has in a ``.weights.h5``.
In ``assets.extra`` lies what a ``.keras`` archive holds beside its weights.

Saving needs TensorFlow, on the TensorFlow or the JAX backend; loading needs neither. Of
what others keep private, ``AutoTrackable`` and ``_track_trackable`` of TensorFlow (tried
with 2.21) and ``_flatten_layers`` of Keras (tried with 3.8 to 3.15).
"""

from __future__ import annotations

import importlib.util
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from remote_models._stack import callers_level
from remote_models.errors import FormatError, RemoteModelsError
from remote_models.formats import EXTRA_FOLDER, SAVED_CONFIG, SHARED_VARIABLES, STATE
from remote_models.formats.indexing import parse_architecture
from remote_models.formats.streaming import CONFIG, METADATA
from remote_models.frameworks._framework import InferenceOnlyWarning, UnknownClassError
from remote_models.frameworks._keras_saving import model_documents
from remote_models.frameworks._keras_state import (
    HeldValue,
    Keras3AssetFolder,
    StateGroup,
    record_state,
)
from remote_models.frameworks._keras_streaming import build_and_load, load_state
from remote_models.frameworks._missing_classes import missing_classes
from remote_models.frameworks._state_stream import state_in_folder

__all__ = [
    "load_graph",
    "load_saved_model",
    "load_saved_weights",
    "refuse_backend",
    "write_saved_model",
]

_NOT_IN_SCOPES = re.compile(r"[^A-Za-z0-9_./-]")


def refuse_backend() -> None:
    """Check that this process can write SavedModels.

    Raises:
        FormatError: Keras' backend cannot.
    """
    backend = keras.backend.backend()
    can = backend == "tensorflow" or (
        backend == "jax" and importlib.util.find_spec("tensorflow") is not None
    )
    if not can:
        raise FormatError(
            "only TensorFlow writes a SavedModel, and JAX with TensorFlow installed",
            where="save_format",
            found=f"the {backend} backend",
            hint="Save it as .keras: give the URL that extension or pass save_format='keras'",
        )


def write_saved_model(
    model: Any, path: Path, *, include_optimizer: bool, signatures: Any | None
) -> None:
    """Write a whole model to the directory ``path``.

    Args:
        model: A model that is built.
        path: Where nothing is yet.
        include_optimizer: Whether the optimizer's state and what the model was compiled
            with are kept.
        signatures: As ``tf.saved_model.save`` takes them; by default ``serving_default``.

    Raises:
        FormatError: the model is not built, or it cannot be traced.
    """
    import tensorflow as tf

    if not model.built:
        raise FormatError(
            "the model is not built, so it has no weights and no graph",
            where="model",
            hint="Build it, or call it once on some data",
        )
    config, metadata = model_documents(model)
    with Keras3AssetFolder() as assets:
        groups = record_state(model, assets)
        files = dict(assets.files())
    if not include_optimizer:
        config.pop("compile_config", None)
        groups = [each for each in groups if each.path.partition("/")[0] != "optimizer"]
    state = _SavedState(groups)
    if state.shared:
        config[SHARED_VARIABLES] = state.shared
    if signatures is None:
        signatures = state.add_serving_graph(model)
    state.track_what_runs(model, signatures)
    tf.saved_model.save(state.root, str(path), signatures=signatures)
    files |= {CONFIG: json.dumps(config).encode(), METADATA: json.dumps(metadata).encode()}
    for name, data in files.items():
        file = path / EXTRA_FOLDER / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


class _SavedState:
    """The object that TensorFlow saves: the state by its keys, and the graph.

    Attributes:
        root: The object.
        shared: The keys of variables that are saved under another key, and that key.
    """

    def __init__(self, groups: Sequence[StateGroup]) -> None:
        self.root = _new_node()
        self.shared: dict[str, str] = {}
        self._nodes = {"": self.root}
        self._keys: dict[int, str] = {}
        self._saved: dict[int, Any] = {}
        self._tracked: set[Any] = set()
        self._others = 0
        for group in groups:
            for key, value in group.values.items():
                stored = value.variable if isinstance(value, HeldValue) else value
                self._add(f"{group.path}/{key}", stored)

    def add_serving_graph(self, model: Any) -> Mapping[str, Any]:
        """Trace the model, and return its signature."""
        from remote_models.frameworks._keras_serving import serving_graph

        variables = []
        if keras.backend.backend() != "tensorflow":
            for variable in model.variables:
                if id(variable) not in self._saved:  # such as a random generator's state
                    self._track_other(self._saved_variable(variable.path, variable))
                variables.append((variable, self._saved[id(variable)]))
        graph = serving_graph(model, variables)
        self.root.serve = graph.call  # what keras.layers.TFSMLayer asks for
        return {"serving_default": graph.signature}

    def track_what_runs(self, model: Any, signatures: Any) -> None:
        """Save variables and tables that the graph needs and the model's state has not."""
        import tensorflow as tf

        given = signatures.values() if isinstance(signatures, Mapping) else [signatures]
        for function in given:
            concrete = function
            if not isinstance(function, tf.types.experimental.ConcreteFunction):
                concrete = function.get_concrete_function()
            for variable in concrete.variables:
                if variable.ref() not in self._tracked:
                    self._track_other(variable)
        for layer in model._flatten_layers():  # noqa: SLF001 - see the module
            for value in vars(layer).values():
                if isinstance(value, tf.saved_model.experimental.TrackableResource):
                    self._track_other(value)

    def _add(self, key: str, value: Any) -> None:
        if id(value) in self._keys:
            self.shared[key] = self._keys[id(value)]
            return
        self._keys[id(value)] = key
        saved = self._saved_variable(key, value)
        self._tracked.add(saved.ref())
        self._track(f"{STATE}/{key}", saved)

    def _saved_variable(self, key: str, value: Any) -> Any:
        """Return what TensorFlow saves for a variable, or for an array that a layer made."""
        import tensorflow as tf

        if isinstance(value, keras.Variable):
            if keras.backend.backend() == "tensorflow":
                saved = value.value
            else:
                array = keras.ops.convert_to_numpy(value)
                saved = tf.Variable(array, trainable=value.trainable, name=_scope(value.path))
        else:
            saved = tf.Variable(value, trainable=False, name=_scope(key))
        self._saved[id(value)] = saved
        return saved

    def _track_other(self, trackable: Any) -> None:
        self._track(f"others/{self._others}", trackable)
        self._others += 1

    def _track(self, path: str, trackable: Any) -> None:
        parent, _, name = path.rpartition("/")
        if parent not in self._nodes:
            self._nodes[parent] = _new_node()
            self._track(parent, self._nodes[parent])
        self._nodes[parent]._track_trackable(trackable, name)  # noqa: SLF001 - see the module


def _new_node() -> Any:
    import tensorflow as tf

    return tf.__internal__.tracking.AutoTrackable()


def _scope(name: str) -> str:
    """Return a name that TensorFlow takes for a variable."""
    name = _NOT_IN_SCOPES.sub("_", name)
    return name if name[:1].isalnum() else f"v{name}"


def load_saved_model(
    path: Path,
    *,
    where: str,
    custom_objects: Mapping[str, Any] | None,
    compile: bool,
    safe_mode: bool,
) -> Any:
    """Return the model in a SavedModel directory of Keras 3.

    Raises:
        UnknownClassError: a class of the model is not given.
        FormatError: the directory is damaged.
        ValueError, TypeError: as Keras raises them.
    """
    architecture = _read_architecture(path, where)
    if safe_mode and (unknown := missing_classes(architecture, custom_objects)):
        raise _unknown(unknown, where)  # before any version of Keras imports their modules
    assets = path / EXTRA_FOLDER / "assets"
    try:
        return build_and_load(
            architecture,
            state_in_folder(path, architecture),
            custom_objects=dict(custom_objects) if custom_objects else None,
            compile=compile,
            safe_mode=safe_mode,
            assets=assets if assets.is_dir() else None,
        )
    except (TypeError, ValueError) as error:
        missing = missing_classes(architecture, custom_objects)
        if not missing or isinstance(error, RemoteModelsError):
            raise
        raise _unknown(missing, where) from error


def _unknown(missing: Sequence[str], where: str) -> UnknownClassError:
    return UnknownClassError(
        f"{', '.join(missing)} not given in custom_objects",
        where=where,
        hint="Pass them as custom_objects={name: class}",
    )


def load_graph(
    path: Path, *, where: str, otherwise: BaseException, reason: str | None = None
) -> Any:
    """Return a model around the graph that serves a SavedModel.

    Args:
        path: The directory, which must stay as long as the model is used.
        where: Where it came from, for messages.
        otherwise: What to raise where Keras does not run on TensorFlow.
        reason: Why it is no more than that, if it could be more.

    Raises:
        FormatError: it does not say which graph to run.
    """
    if keras.backend.backend() != "tensorflow":
        raise otherwise
    from remote_models.frameworks._graph_model import load_graph_model

    model = load_graph_model(path, where=where)
    if reason is not None:
        warnings.warn(
            f"{where}: {reason}; so the model is the graph that serves it, which predicts, "
            "but cannot be trained",
            InferenceOnlyWarning,
            stacklevel=callers_level(),
        )
    return model


def load_saved_weights(model: Any, path: Path, *, skip_mismatch: bool, where: str) -> None:
    """Give the variables of a built model the values in a SavedModel directory of Keras 3.

    Raises:
        FormatError: it is damaged.
        ValueError: the model and the weights do not fit, as Keras says it.
    """
    tensors = state_in_folder(path, _read_architecture(path, where))
    load_state(model, tensors, skip_mismatch=skip_mismatch)


def _read_architecture(path: Path, where: str) -> dict[str, Any]:
    return parse_architecture((path / SAVED_CONFIG).read_bytes(), where=f"{where}: {SAVED_CONFIG}")
