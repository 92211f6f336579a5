"""The calls of a functional model's layers, from Keras 2's form into Keras 3's.

Keras 2 (``Node.serialize`` in tf_keras/src/engine/node.py): the first argument, each tensor
``[layer, call, output, the other arguments]``. Keras 3 (``deserialize_node`` in
keras/src/models/functional.py): ``args`` and ``kwargs`` with ``__keras_tensor__`` inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from remote_models.frameworks._keras2._context import Context
from remote_models.frameworks._keras2._decoding import mapping, text

__all__ = ["Calls"]

_CONSTANT = "_CONSTANT_VALUE"

_MODELS = ("Functional", "Model", "Sequential", "Network")

_WITH_STATE = ("RNN", "LSTM", "GRU", "SimpleRNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D",
               "ConvLSTM3D")  # fmt: skip
"""Layers that take their initial state as further inputs in Keras 2."""


class Calls:
    """The calls in one functional model.

    Args:
        layers: The model's layers by their names.
    """

    def __init__(self, layers: Mapping[str, Mapping[str, Any]]) -> None:
        self._layers = layers
        self._first = {name: self._first_call(name) for name in layers if self._is_model(name)}

    def node(
        self, node: Any, layer: Mapping[str, Any], context: Context
    ) -> dict[str, list[Any] | dict[str, Any]]:
        """Return one call of a layer as Keras 3 writes it."""
        inputs, arguments = self.arguments(node, context)
        if isinstance(inputs, list) and len(inputs) == 1:
            inputs = inputs[0]
        kwargs = {key: value for key, value in arguments.items() if value is not None}
        if layer.get("class_name") in _WITH_STATE and isinstance(inputs, list):
            inputs, *kwargs["initial_state"] = inputs
        return {"args": [inputs], "kwargs": kwargs}

    def arguments(self, node: Any, context: Context) -> tuple[Any, dict[str, Any]]:
        """Return the first argument of a call and the others by name."""
        others: Any = next(iter(self._others(node)), {})
        return self._inputs(node, context), {
            key: self._value(each, context) for key, each in mapping(others).items()
        }

    def ends(self, ends: Any, context: Context) -> Any:
        """Return a model's inputs or outputs, in which Keras 3 counts a model's calls from 1."""
        if self._is_tensor(ends):
            name, call, output = ends[:3]
            return [name, self._call(name, call, context) + self._is_functional(name), output]
        if isinstance(ends, list):
            return [self.ends(each, context) for each in ends]
        if isinstance(ends, Mapping):
            return {key: self.ends(each, context) for key, each in ends.items()}
        raise context.refusal("the model's inputs or outputs are malformed", ends)

    def _inputs(self, node: Any, context: Context) -> Any:
        if self._is_tensor(node):
            return self._tensor(node, context)
        if _is_constant(node):
            return constant(node[2])
        if isinstance(node, list):
            return [self._inputs(each, context) for each in node]
        if isinstance(node, Mapping):
            return {key: self._inputs(each, context) for key, each in node.items()}
        raise context.refusal("the inputs of a layer are malformed", node)

    def _others(self, node: Any) -> Iterator[Any]:
        """Yield the other arguments, which stand with every tensor of the first."""
        if self._is_tensor(node) or _is_constant(node):
            if len(node) > 3:
                yield node[3]
        elif isinstance(node, list | Mapping):
            for each in node.values() if isinstance(node, Mapping) else node:
                yield from self._others(each)

    def _value(self, value: Any, context: Context) -> Any:
        if self._is_tensor(value):
            return self._tensor(value, context)
        if isinstance(value, list) and any(self._holds_tensor(each) for each in value):
            return [self._value(each, context) for each in value]
        return value

    def _holds_tensor(self, value: Any) -> bool:
        if isinstance(value, list):
            return self._is_tensor(value) or any(self._holds_tensor(each) for each in value)
        return False

    def _tensor(self, reference: list[Any], context: Context) -> dict[str, Any]:
        name, call, output = reference[:3]
        history = [name, self._call(name, call, context), output]
        # The shape and the dtype stand for nothing: Keras 3 puts the layer's output there.
        return {
            "class_name": "__keras_tensor__",
            "config": {"shape": [], "dtype": "float32", "keras_history": history},
        }

    def _call(self, name: str, call: int, context: Context) -> int:
        number = call - self._first.get(name, 0)
        if number < 0:
            raise context.refusal(f"there is no call {call} of layer {name!r}")
        return number

    def _is_tensor(self, value: Any) -> bool:
        return (
            isinstance(value, list)
            and len(value) in (3, 4)
            and isinstance(value[0], str)
            and value[0] in self._layers
            and all(type(each) is int for each in value[1:3])
        )

    def _is_model(self, name: str) -> bool:
        layer = self._layers[name]
        return layer.get("class_name") in _MODELS or "input_layers" in mapping(layer.get("config"))

    def _is_functional(self, name: str) -> bool:
        """Whether Keras 3 makes an object of it that has a call of its own from the beginning."""
        return self._is_model(name) and self._layers[name].get("class_name") != "Sequential"

    def _first_call(self, name: str) -> int:
        """Return the number of a nested model's first call.

        It is 1, since the model's own graph is call 0, except for a Sequential model that
        knew no input shape when it was called (``_should_skip_first_node``).
        """
        layers = mapping(self._layers[name].get("config")).get("layers")
        first = mapping(layers[0]) if isinstance(layers, list) and layers else {}
        return int(
            text(first.get("class_name")) == "InputLayer"
            or "batch_input_shape" in mapping(first.get("config"))
        )


def constant(value: Any) -> Any:
    """Return a constant as Keras 3 writes it; a list stands for an array."""
    if not isinstance(value, list):
        return value
    flat = list(_flat(value))
    dtype = "float32"
    if flat and all(type(each) is bool for each in flat):
        dtype = "bool"
    elif flat and all(type(each) is int for each in flat):
        dtype = "int32"
    return {"class_name": "__numpy__", "config": {"value": value, "dtype": dtype}}


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _flat(each)
    else:
        yield value


def _is_constant(value: Any) -> bool:
    return isinstance(value, list) and len(value) in (3, 4) and value[0] == _CONSTANT
