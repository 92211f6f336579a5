"""A model of Keras 2 as a model of Keras 3: translated, built, filled by name, compiled.

The only place besides ``_keras_streaming`` that touches ``SafeModeScope`` of Keras' private
``serialization_lib``. Tried with Keras 3.15.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
from keras.src.saving import serialization_lib

from remote_models.errors import GenerationError, RemoteModelsError
from remote_models.formats.indexing import with_vocabularies, without_training
from remote_models.frameworks._checkpoint_variables import checkpoint_variables
from remote_models.frameworks._framework import UnknownClassError
from remote_models.frameworks._keras2 import KERAS_2_FUNCTIONS, translate_architecture
from remote_models.frameworks._keras_streaming import UNBUILDABLE, LoadingScope, build_model
from remote_models.frameworks._named_loading import load_optimizer, load_weights
from remote_models.frameworks._named_tensors import NamedTensors, named_tensors
from remote_models.frameworks._numbered_variables import numbered_variables
from remote_models.remote_model import RemoteModel
from remote_models.storage import Location, open_store

__all__ = ["build_architecture", "build_translated", "load_translated", "load_translated_weights"]


_FRAMES_PER_LAYER = 3
"""Calls inside calls of Keras for each layer behind another; ResNetRS420 has 1,500 layers."""


@keras.saving.register_keras_serializable("remote_models")  # type: ignore[untyped-decorator]
def hard_sigmoid(x: Any) -> Any:
    """Compute Keras 2's hard sigmoid, which is steeper than that of Keras 3."""
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def load_translated(
    path: Path,
    *,
    where: str,
    custom_objects: Mapping[str, Any] | None,
    compile: bool,
    safe_mode: bool,
) -> Any:
    """Return the Keras 3 model of the artifact of Keras 2 at ``path``, which came from ``where``.

    Raises:
        GenerationError: Keras 3 has nothing for a part of it, or it has no configuration.
        FormatError: it is damaged, or variables and tensors do not match.
    """
    location = Location.parse(path)
    remote = RemoteModel.open(open_store(location), location, verify=False)
    if remote.architecture is None:
        raise UnknownClassError(
            "saved by Keras 2 without a configuration from which Keras 3 could be built",
            where=where,
            hint="Load it with tf_keras: pip install tf_keras, then pass framework='tf_keras'",
        )
    return build_translated(
        with_vocabularies(remote.architecture, path, remote.recognise(), where=where),
        named_tensors(remote.weights, remote.weights.stream, where=where),
        custom_objects=custom_objects,
        compile=compile,
        safe_mode=safe_mode,
    )


def build_translated(
    architecture: Mapping[str, Any],
    tensors: NamedTensors,
    *,
    custom_objects: Mapping[str, Any] | None,
    compile: bool,
    safe_mode: bool,
) -> Any:
    """Return the Keras 3 model that does what a model of Keras 2 did.

    Args:
        architecture: What Keras 2 wrote.
        tensors: The weights and the optimizer's state.
        custom_objects: The caller's classes and functions by name.
        compile: Whether to compile it as it was when saved, with the optimizer's state.
        safe_mode: Whether Keras refuses to deserialise lambdas.

    Raises:
        GenerationError: Keras 3 has nothing for a part of it.
        FormatError: variables and tensors do not match.
        RemoteModelsError: reading a tensor failed.
    """
    described = architecture if compile else without_training(architecture)
    translated = _translated(described, tensors.where, custom_objects)
    training = translated.pop("compile_config", None)
    with keras.saving.custom_object_scope(dict(custom_objects or {})):
        with LoadingScope():
            model = _built(translated, tensors.where, custom_objects, safe_mode)
            weights = load_weights(
                model, tensors, by_key=_variables_by_key(model, architecture, tensors)
            )
        if training is not None:
            try:
                with serialization_lib.SafeModeScope(safe_mode):
                    model.compile_from_config(training)
            except UNBUILDABLE as error:
                raise _refused(error, tensors.where, "Pass compile=False. ") from error
            load_optimizer(model, tensors, weights)
            _restore_product(model.optimizer)
    return model


def build_architecture(
    architecture: Mapping[str, Any],
    *,
    where: str,
    custom_objects: Mapping[str, Any] | None,
    safe_mode: bool,
) -> Any:
    """Return the Keras 3 model that an architecture of Keras 2 describes, with new weights.

    Raises:
        GenerationError: Keras 3 has nothing for a part of it.
    """
    translated = _translated(without_training(architecture), where, custom_objects)
    with keras.saving.custom_object_scope(dict(custom_objects or {})):
        return _built(translated, where, custom_objects, safe_mode)


def load_translated_weights(model: Any, path: Path, *, where: str) -> None:
    """Give the variables of a Keras 3 model what Keras 2 stored for them, by their names.

    All match, one to one, or nothing is loaded. The optimizer's state stays as it is.

    Raises:
        FormatError: it is damaged, or variables and tensors do not match.
    """
    location = Location.parse(path)
    remote = RemoteModel.open(open_store(location), location, verify=False)
    tensors = named_tensors(remote.weights, remote.weights.stream, where=where)
    by_key = _variables_by_key(model, remote.architecture or {}, tensors)
    load_weights(model, tensors, by_key=by_key)


def _translated(
    architecture: Mapping[str, Any], where: str, custom_objects: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the configuration as Keras 3 would have written it."""
    known = {**keras.saving.get_custom_objects(), **(custom_objects or {})}
    custom = known.keys() - set(KERAS_2_FUNCTIONS.values())
    return translate_architecture(architecture, custom=custom, url=where)


def _built(
    translated: Mapping[str, Any],
    where: str,
    custom_objects: Mapping[str, Any] | None,
    safe_mode: bool,
) -> Any:
    with _deep_graphs(translated):
        try:
            return build_model(translated, custom_objects=custom_objects, safe_mode=safe_mode)
        except UNBUILDABLE as error:
            raise _refused(error, where) from error


def _variables_by_key(
    model: Any, architecture: Mapping[str, Any], tensors: NamedTensors
) -> dict[str, Any]:
    """Return the variable of each key that tells it, in whichever format."""
    keys = [each.key for each in tensors.tensors]
    return {
        **numbered_variables(model, architecture, keys),
        **checkpoint_variables(model, architecture, keys),
    }


@contextmanager
def _deep_graphs(translated: Mapping[str, Any]) -> Iterator[None]:
    """Let Keras go through a graph as deep as it has layers, which it does by recursion."""
    before = sys.getrecursionlimit()
    layers = translated["config"].get("layers", ())
    sys.setrecursionlimit(max(before, _FRAMES_PER_LAYER * len(layers)))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _restore_product(optimizer: Any) -> None:
    """Give Nadam the product of its momenta so far, which Keras 2 does not save."""
    product = getattr(optimizer, "_u_product", None)
    if product is not None:
        steps = range(1, int(optimizer.iterations) + 1)
        value = math.prod(optimizer.beta_1 * (1 - 0.5 * 0.96**step) for step in steps)
        product.assign(value)


def _refused(error: Exception, where: str, hint: str = "") -> Exception:
    """Return the error for a translated configuration that Keras 3 does not take."""
    if isinstance(error, RemoteModelsError):
        return error
    cause: BaseException = error  # the first one names the matter, those after it the way
    while (earlier := cause.__cause__ or cause.__context__) is not None:
        cause = earlier
    text = " ".join(str(cause).split()) or type(cause).__name__
    return GenerationError(
        f"saved by Keras 2, and Keras 3 does not take it: {text[:400]}",
        where=where,
        hint=f"{hint}Load it with tf_keras: pip install tf_keras, then pass framework='tf_keras'",
    )
