"""Whole models of Keras 2 as Keras 3 serialises them.

A functional model is a list of layers and, for each, of its calls. Layout:
``get_network_config`` in tf_keras/src/engine/functional.py and ``functional_from_config``
in keras/src/models/functional.py.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from remote_models.errors import GenerationError
from remote_models.frameworks._keras2._calls import Calls
from remote_models.frameworks._keras2._context import Context
from remote_models.frameworks._keras2._decoding import decoded, mapping, text
from remote_models.frameworks._keras2._layer_names import without_slashes
from remote_models.frameworks._keras2._layers import is_custom, layer_name, translate_layer
from remote_models.frameworks._keras2._objects import (
    KERAS_2_FUNCTIONS,
    keras_object,
    registered_name,
)
from remote_models.frameworks._keras2._operations import is_operation, translate_operation
from remote_models.frameworks._keras2._training import translate_training

__all__ = ["KERAS_2_FUNCTIONS", "translate_architecture"]

_MALFORMED = (TypeError, ValueError, KeyError, IndexError, AttributeError, RecursionError)
"""What comes of values that Keras 2 never writes."""

_FUNCTIONAL = ("Functional", "Model", "Network")


def translate_architecture(
    architecture: Mapping[str, Any], *, custom: Collection[str], url: str
) -> dict[str, Any]:
    """Return a model's configuration as Keras 3 would have written it.

    Layers keep their names, but for a ``/``, which Keras 3 does not allow. What the model
    was compiled with is in ``compile_config``.

    Args:
        architecture: What Keras 2 wrote, in any of its formats.
        custom: The names of classes and functions that the caller knows.
        url: The artifact, for messages.

    Raises:
        GenerationError: Keras 3 has nothing that does the same; the message names the
            layer, the argument and what to do.
    """
    context = Context(url=url, custom=custom)
    try:
        return _translate_all(architecture, context)
    except GenerationError:
        raise
    except _MALFORMED as error:
        raise context.refusal("the model's configuration is malformed", repr(error)) from error


def _translate_all(architecture: Mapping[str, Any], context: Context) -> dict[str, Any]:
    described = without_slashes(decoded(architecture))
    model = _translate(described, context)
    shape = described.get("build_input_shape")
    if shape is not None and is_custom(described, context):
        model["build_config"] = {"input_shape": shape}
    training = translate_training(described, _outputs(described), context)
    if training is not None:
        model["compile_config"] = training
    return model


def _translate(described: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Translate a layer or a model."""
    class_name = registered_name(described).rpartition(">")[2]
    config = described.get("config")
    if class_name == "Sequential" and not is_custom(described, context):
        return _sequential(described, context.within(layer_name(described)))
    if isinstance(config, Mapping) and "layers" in config and "input_layers" in config:
        return _functional(described, context.within(layer_name(described)))
    if class_name in _FUNCTIONAL and not is_custom(described, context):
        raise context.refusal("a model without layers", class_name)
    return translate_layer(described, context, _translate)


def _sequential(described: Mapping[str, Any], context: Context) -> dict[str, Any]:
    config = described.get("config")
    if isinstance(config, list):  # before Keras 2.2.3
        config = {"name": text(described.get("name")) or "sequential", "layers": config}
    config = dict(mapping(config))
    layers = [mapping(each) for each in config.get("layers") or ()]
    translated = [_translate(layer, context) for layer in layers]
    first = mapping(layers[0].get("config")) if layers else {}
    shape = first.get("batch_input_shape")
    if shape is not None and layers[0].get("class_name") != "InputLayer":
        translated.insert(0, _input_of(first, shape))
    config["layers"] = translated
    if shape is not None:
        config.pop("build_input_shape", None)
    return keras_object("keras", "Sequential", config)


def _input_of(first: Mapping[str, Any], shape: Any) -> dict[str, Any]:
    """Return the input that an older Sequential model has in its first layer's arguments."""
    config = {"batch_shape": shape, "name": f"{text(first.get('name')) or 'layer'}_input"}
    if isinstance(first.get("dtype"), str):
        config["dtype"] = first["dtype"]
    return keras_object("keras.layers", "InputLayer", config)


def _functional(described: Mapping[str, Any], context: Context) -> dict[str, Any]:
    config = dict(mapping(described.get("config")))
    layers = [mapping(each) for each in config["layers"]]
    calls = Calls({layer_name_of(each): each for each in layers})
    config["layers"] = [_member(layer, calls, context) for layer in layers]
    for end in ("input_layers", "output_layers"):
        config[end] = calls.ends(config[end], context)
    if is_custom(described, context):
        name = registered_name(described)
        return {"module": None, "class_name": name, "config": config, "registered_name": name}
    return keras_object("keras", "Model", config)


def _member(layer: Mapping[str, Any], calls: Calls, context: Context) -> dict[str, Any]:
    """Translate a layer of a functional model together with its calls."""
    name = layer_name_of(layer)
    if is_operation(layer) and not is_custom(layer, context):
        translated = translate_operation(layer, calls, context.within(name))
    else:
        translated = _translate(layer, context)
        nodes = layer.get("inbound_nodes") or []
        translated["inbound_nodes"] = [
            calls.node(node, layer, context.within(name)) for node in nodes
        ]
    return {**translated, "name": name}


def layer_name_of(member: Mapping[str, Any]) -> str:
    """Return the name by which other layers of a functional model know one."""
    return text(member.get("name")) or layer_name(member)


def _outputs(described: Mapping[str, Any]) -> Sequence[str]:
    """Return the names of the layers whose outputs are the model's, if there are several."""
    ends = mapping(described.get("config")).get("output_layers")
    if not isinstance(ends, list) or len(ends) < 2:
        return ()
    return [text(each[0]) for each in ends if isinstance(each, list) and each]
