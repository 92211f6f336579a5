"""Load a Keras 3 model in the legacy ``.h5`` layout without a file.

The only place that touches these private names of Keras: ``saving_utils``,
``json_utils`` and ``saving_options`` of ``keras.src.legacy.saving``, and
``SafeModeScope`` of ``serialization_lib``. Tried with Keras 3.15.

Keras gives the datasets of a file to variables by their order alone, which the
attributes ``layer_names`` and ``weight_names`` of the file tell. A manifest lists the
tensors in that order. Here each tensor has to have the name and the shape of its
variable besides: where the least thing differs, Keras itself must decide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras.src.backend.common import global_state
from keras.src.legacy.saving import json_utils, saving_options, saving_utils
from keras.src.saving import serialization_lib

from remote_models.frameworks._framework import TensorSpec, UnmatchedTensorsError
from remote_models.frameworks._keras_streaming import LoadingScope, build_optimizer
from remote_models.frameworks._lent_array import LentArray

if TYPE_CHECKING:
    from remote_models.frameworks._framework import TensorStream

__all__ = ["build_and_load_h5", "build_h5", "load_h5_weights"]

_LAYERS = "model_weights"
_OPTIMIZER = "optimizer_weights"
_TRAINING_CONFIG = "training_config"

_UNNAMED = re.compile(r"([a-z]+_)?variable(_\d+)?")
"""How Keras calls a variable that has got no name, as one of Nadam's has not."""


def build_and_load_h5(
    architecture: Mapping[str, Any],
    tensors: TensorStream,
    *,
    custom_objects: Mapping[str, Any] | None,
    compile: bool,
    safe_mode: bool,
    scope: type[LoadingScope] = LoadingScope,
) -> Any:
    """Return the model that ``architecture`` describes, its variables from ``tensors``.

    No initialiser runs for a variable that gets its value from a tensor.

    Args:
        architecture: The configuration; ``training_config`` in it is what it was
            compiled with.
        tensors: The model's state by the names of the datasets.
        custom_objects: As Keras takes them.
        compile: Whether to compile it as it was when saved.
        safe_mode: Whether Keras refuses to deserialise lambdas.
        scope: Gives values to variables.

    Raises:
        UnmatchedTensorsError: it is not certain which tensor is whose.
        RemoteModelsError: reading a tensor failed.
        ValueError, TypeError: as Keras raises them.
    """
    config = dict(architecture)
    training = config.pop(_TRAINING_CONFIG, None)
    known = _known_objects(custom_objects)
    # First, since Keras may not know them, and nothing has been transferred yet.
    compile_arguments = _compile_arguments(training, known) if compile and training else None
    with scope():
        model = build_h5(config, custom_objects=custom_objects, safe_mode=safe_mode)
        load_h5_weights(model, tensors)
    if compile_arguments is not None:
        model.compile(**compile_arguments)
        if any(_is_of_optimizer(key) for key in tensors.keys):
            build_optimizer(model)
            with scope():
                _load_optimizer(model, tensors)
    return model


def build_h5(
    architecture: Mapping[str, Any],
    *,
    custom_objects: Mapping[str, Any] | None,
    safe_mode: bool,
) -> Any:
    """Return the model that ``architecture`` describes, with fresh weights.

    Raises:
        ValueError, TypeError: as Keras raises them.
    """
    config = {key: value for key, value in architecture.items() if key != _TRAINING_CONFIG}
    with (
        saving_options.keras_option_scope(use_legacy_config=True),
        serialization_lib.SafeModeScope(safe_mode),
    ):
        return saving_utils.model_from_config(
            _decoded(config), custom_objects=_known_objects(custom_objects)
        )


def load_h5_weights(model: Any, tensors: TensorStream) -> None:
    """Give the variables of a built model the values in ``tensors``, the optimizer's apart.

    Raises:
        UnmatchedTensorsError: it is not certain which tensor is whose; nothing has
            been changed.
        RemoteModelsError: reading a tensor failed.
    """
    layers = [layer for layer in model.layers if layer.weights]
    _assign(_matched_weights(model, layers, tensors.specs), tensors)
    for layer in layers:
        if hasattr(layer, "finalize_state"):  # as Keras' own loader does
            layer.finalize_state()


def _matched_weights(
    model: Any, layers: Sequence[Any], specs: Mapping[str, TensorSpec]
) -> Mapping[str, Any]:
    """Return the variable of each tensor below ``model_weights``."""
    stored: dict[str, list[str]] = {}
    for key in specs:
        root, _, rest = key.partition("/")
        if root == _LAYERS:
            stored.setdefault(rest.partition("/")[0], []).append(key)
    if list(stored) != [layer.name for layer in layers]:
        raise UnmatchedTensorsError("the file has other layers than the model")
    matched: dict[str, Any] = {}
    for layer in layers:
        variables = [*layer.trainable_weights, *layer.non_trainable_weights]
        below = len(f"{_LAYERS}/{layer.name}/")
        for key, variable in _pairs(stored[layer.name], variables):
            if not _is_same_path(key[below:], variable.path):
                raise UnmatchedTensorsError(f"{key} is not the name of {variable.path}")
            matched[key] = variable
    _refuse_others(matched.values(), model.weights)
    return _matching_shapes(matched, specs)


def _is_same_path(stored: str, live: str) -> bool:
    """Whether two paths name one variable.

    A variable that was created in a call of the model is named after the model, too:
    ``sequential/dense/kernel``, though not once the model is loaded again.
    """
    return f"/{stored}".endswith(f"/{live}") or f"/{live}".endswith(f"/{stored}")


def _refuse_others(matched: Collection[Any], weights: Sequence[Any]) -> None:
    """Refuse a model that has variables outside its layers."""
    known = {id(variable) for variable in matched}
    if any(id(variable) not in known for variable in weights):
        raise UnmatchedTensorsError("the model has variables of its own")


def _load_optimizer(model: Any, tensors: TensorStream) -> None:
    """Give the built optimizer the saved state, which Keras itself fails to do.

    See ``_h5_optimizer``.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return
    keys = [key for key in tensors.keys if _is_of_optimizer(key)]
    matched: dict[str, Any] = {}
    for key, variable in _pairs(keys, optimizer.variables):
        if not _is_same_slot(key.removeprefix(f"{_OPTIMIZER}/"), variable.path):
            raise UnmatchedTensorsError(f"{key} is not the name of {variable.path}")
        matched[key] = variable
    _assign(_matching_shapes(matched, tensors.specs), tensors)


def _is_of_optimizer(key: str) -> bool:
    return key.startswith(f"{_OPTIMIZER}/")


def _is_same_slot(stored: str, live: str) -> bool:
    """Whether two paths name one slot, each with what stood around it when it was created.

    ``outer/adam/sequential_dense_kernel_momentum`` may be ``adam/dense_kernel_momentum``.
    """
    optimizer, _, slot = stored.rpartition("/")
    live_optimizer, _, live_slot = live.rpartition("/")
    if _UNNAMED.fullmatch(slot) and _UNNAMED.fullmatch(live_slot):
        return True
    return _is_same_path(optimizer, live_optimizer) and f"_{slot}".endswith(f"_{live_slot}")


def _pairs(keys: Sequence[str], variables: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    if len(keys) != len(variables):
        raise UnmatchedTensorsError(f"{len(keys)} tensors are no {len(variables)} variables")
    return zip(keys, variables, strict=True)


def _matching_shapes(
    matched: Mapping[str, Any], specs: Mapping[str, TensorSpec]
) -> Mapping[str, Any]:
    for key, variable in matched.items():
        if tuple(variable.shape) != specs[key].shape:
            raise UnmatchedTensorsError(f"{key} has another shape than {variable.path}")
    return matched


def _assign(variables: Mapping[str, Any], tensors: TensorStream) -> None:
    # Keras writes a layer that is in two models twice, and lets the last one win.
    last = {id(variable): key for key, variable in variables.items()}
    for key, array in tensors.read(list(last.values())):
        is_array = isinstance(array, np.ndarray)  # else a variable that stands for one
        variables[key].assign(LentArray.of(array) if is_array else array)


def _known_objects(custom_objects: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the custom objects in the order in which Keras' own loader looks them up."""
    scoped = global_state.get_global_attribute("custom_objects_scope_dict", {})
    return {**(custom_objects or {}), **keras.saving.get_custom_objects(), **scoped}


def _compile_arguments(training: Mapping[str, Any], known: Mapping[str, Any]) -> Mapping[str, Any]:
    arguments: Mapping[str, Any] = saving_utils.compile_args_from_training_config(
        _decoded(training), known
    )
    return arguments


def _decoded(config: Mapping[str, Any]) -> Any:
    """Return a configuration with its tuples, shapes and bytes, which Keras may change."""
    return json_utils.decode(json.dumps(config))
