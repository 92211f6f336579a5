"""Functions of TensorFlow in a functional model as operations of Keras 3: one table.

Keras 2 wraps ``tf.concat([x, y], -1)``, ``x * 2`` and ``x[:, 0]`` into layers
``TFOpLambda`` and ``SlicingOpLambda`` that carry the function's public name. Keras 3 keeps
operations of its own in the same place, which it finds by the names of their modules below
``keras.src.ops``. Tried with Keras 3.15.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from remote_models.frameworks._keras2._calls import Calls, constant
from remote_models.frameworks._keras2._context import Context
from remote_models.frameworks._keras2._decoding import mapping, text

__all__ = ["is_operation", "translate_operation"]

_OPERATION, _SLICING = "TFOpLambda", "SlicingOpLambda"

_OTHERS = ("ClassMethod", "InstanceMethod", "InstanceProperty", "TensorFlowOpLayer",
           "ModuleWrapper")  # fmt: skip
"""Layers that wrap other things of TensorFlow, for which Keras 3 has nothing."""

_AS_IT_IS: Callable[[Any], Any] = lambda value: value  # noqa: E731 - a default of a field


@dataclass(frozen=True, slots=True)
class _Setting:
    """An argument of a TensorFlow function that is one of the operation's constructor."""

    name: str
    convert: Callable[[Any], Any] = _AS_IT_IS


@dataclass(frozen=True, slots=True)
class _Row:
    """What stands for one function.

    Attributes:
        operation: The module below ``keras.src.ops`` and the class.
        inputs: The function's arguments that hold tensors, the first one first.
        settings: Its other arguments, and what they are called in Keras 3.
        fixed: Arguments of the constructor whose defaults differ.
        neutral: Arguments that have no match, and the values with which they say nothing.
    """

    operation: str
    inputs: tuple[str, ...]
    settings: Mapping[str, _Setting] = field(default_factory=dict)
    fixed: Mapping[str, object] = field(default_factory=dict)
    neutral: Mapping[str, tuple[object, ...]] = field(default_factory=dict)


def _sections(sizes: Any) -> Any:
    """Return where to split for TensorFlow's sizes; a number of equal parts stays one."""
    return list(accumulate(sizes[:-1])) if isinstance(sizes, list) else sizes


def _same(*names: str) -> dict[str, _Setting]:
    return {name: _Setting(name) for name in names}


def _unary(module: str, argument: str, names: Mapping[str, str]) -> dict[str, _Row]:
    return {name: _Row(f"{module}.{cls}", (argument,)) for name, cls in names.items()}


def _reduction(cls: str, module: str = "numpy") -> _Row:
    return _Row(f"{module}.{cls}", ("input_tensor",), _same("axis", "keepdims"))


_CHANNELS_LAST = {"data_format": ("NHWC",)}

_ROWS: dict[str, _Row] = {
    **_unary("numpy", "x", {
        "math.abs": "Absolute", "math.negative": "Negative", "math.exp": "Exp", "math.log": "Log",
        "math.sqrt": "Sqrt", "math.square": "Square", "math.sin": "Sin", "math.cos": "Cos",
        "math.tan": "Tan", "math.tanh": "Tanh", "math.sign": "Sign", "math.floor": "Floor",
        "math.ceil": "Ceil", "math.round": "Round", "math.log1p": "Log1p", "math.expm1": "Expm1",
        "math.reciprocal": "Reciprocal", "math.logical_not": "LogicalNot",
    }),
    **_unary("nn", "x", {"math.sigmoid": "Sigmoid"}),
    **_unary("math", "x", {"math.rsqrt": "Rsqrt", "math.erf": "Erf"}),
    **_unary("nn", "features", {
        "nn.relu": "Relu", "nn.relu6": "Relu6", "nn.elu": "Elu", "nn.selu": "Selu",
        "nn.softsign": "Softsign", "math.softplus": "Softplus",
    }),
    **_unary("numpy", "input", {"zeros_like": "ZerosLike", "ones_like": "OnesLike"}),
    **{
        name: _Row(f"numpy.{cls}", ("x", "y"))
        for name, cls in {
            "__operators__.add": "Add", "math.add": "Add", "math.subtract": "Subtract",
            "math.multiply": "Multiply", "math.divide": "Divide", "math.truediv": "TrueDivide",
            "math.floordiv": "FloorDivide", "math.floormod": "Mod", "math.maximum": "Maximum",
            "math.minimum": "Minimum", "math.pow": "Power", "math.equal": "Equal",
            "__operators__.eq": "Equal", "math.not_equal": "NotEqual",
            "__operators__.ne": "NotEqual", "math.greater": "Greater",
            "math.greater_equal": "GreaterEqual", "math.less": "Less",
            "math.less_equal": "LessEqual", "math.logical_and": "LogicalAnd",
            "math.logical_or": "LogicalOr",
        }.items()
    },
    "math.reduce_all": _reduction("All"),
    "math.reduce_any": _reduction("Any"),
    "math.reduce_logsumexp": _reduction("Logsumexp", "math"),
    "math.reduce_max": _reduction("Max"),
    "math.reduce_mean": _reduction("Mean"),
    "math.reduce_min": _reduction("Min"),
    "math.reduce_prod": _reduction("Prod"),
    "math.reduce_std": _reduction("Std"),
    "math.reduce_sum": _reduction("Sum"),
    "math.reduce_variance": _reduction("Var"),
    "math.argmax": _Row("numpy.Argmax", ("input",), _same("axis"),
                        neutral={"output_type": ("int64", "int32")}),
    "math.argmin": _Row("numpy.Argmin", ("input",), _same("axis"),
                        neutral={"output_type": ("int64", "int32")}),
    "math.cumsum": _Row("numpy.Cumsum", ("x",), _same("axis"), {"axis": 0},
                        {"exclusive": (False,), "reverse": (False,)}),
    "math.l2_normalize": _Row(
        # TensorFlow bounds the square of the norm, Keras the norm.
        "nn.Normalize", ("x",),
        {"axis": _Setting("axis"), "epsilon": _Setting("epsilon", math.sqrt)},
        {"order": 2, "epsilon": 1e-6},
    ),
    "linalg.matmul": _Row(
        "numpy.Matmul", ("a", "b"),
        neutral=dict.fromkeys(("transpose_a", "transpose_b", "adjoint_a", "adjoint_b",
                               "a_is_sparse", "b_is_sparse"), (False,)),
    ),
    "nn.gelu": _Row("nn.Gelu", ("features",), _same("approximate"), {"approximate": False}),
    "nn.leaky_relu": _Row("nn.LeakyRelu", ("features",), {"alpha": _Setting("negative_slope")},
                          {"negative_slope": 0.2}),
    "nn.log_softmax": _Row("nn.LogSoftmax", ("logits",), _same("axis"), {"axis": -1}),
    "nn.silu": _Row("nn.Silu", ("features",), neutral={"beta": (1.0,)}),
    "nn.softmax": _Row("nn.Softmax", ("logits",), _same("axis"), {"axis": -1}),
    "nn.depth_to_space": _Row("nn.DepthToSpace", ("input",), _same("block_size"),
                              {"data_format": "channels_last"}, _CHANNELS_LAST),
    "nn.space_to_depth": _Row("nn.SpaceToDepth", ("input",), _same("block_size"),
                              {"data_format": "channels_last"}, _CHANNELS_LAST),
    "broadcast_to": _Row("numpy.BroadcastTo", ("input",), _same("shape")),
    "cast": _Row("core.Cast", ("x",), _same("dtype")),
    "clip_by_value": _Row("numpy.Clip", ("t",), {"clip_value_min": _Setting("x_min"),
                                                 "clip_value_max": _Setting("x_max")}),
    "concat": _Row("numpy.Concatenate", ("values",), _same("axis")),
    "expand_dims": _Row("numpy.ExpandDims", ("input",), _same("axis")),
    "gather": _Row("numpy.Take", ("params", "indices"), _same("axis"), {"axis": 0},
                   {"batch_dims": (0,), "validate_indices": (None,)}),
    "identity": _Row("numpy.Copy", ("input",)),
    "image.resize": _Row(
        "image.Resize", ("images",),
        {"size": _Setting("size"), "method": _Setting("interpolation"),
         "antialias": _Setting("antialias")},
        {"data_format": "channels_last"}, {"preserve_aspect_ratio": (False,)},
    ),
    "one_hot": _Row("nn.OneHot", ("indices",), {"depth": _Setting("num_classes"),
                                                **_same("axis", "dtype")}),
    "pad": _Row(
        "numpy.Pad", ("tensor",),
        {"paddings": _Setting("pad_width"), "mode": _Setting("mode", lambda mode: mode.lower())},
        neutral={"constant_values": (0, 0.0)},
    ),
    "reshape": _Row("numpy.Reshape", ("tensor",), {"shape": _Setting("newshape")}),
    "split": _Row("numpy.Split", ("value",),
                  {"num_or_size_splits": _Setting("indices_or_sections", _sections),
                   "axis": _Setting("axis")}),
    "squeeze": _Row("numpy.Squeeze", ("input",), _same("axis")),
    "stack": _Row("numpy.Stack", ("values",), _same("axis")),
    "stop_gradient": _Row("core.StopGradient", ("input",)),
    "tile": _Row("numpy.Tile", ("input",), {"multiples": _Setting("repeats")}),
    "transpose": _Row("numpy.Transpose", ("a",), {"perm": _Setting("axes")},
                      neutral={"conjugate": (False,)}),
    "floor_div": _Row("numpy.FloorDivide", ("x", "y")),
    "where": _Row("numpy.Where", ("condition", "x", "y")),
}  # fmt: skip


_OLD = "compat.v1."
"""What some functions have before their names, since TensorFlow 2's call TensorFlow 1's."""


def is_operation(layer: Mapping[str, Any]) -> bool:
    """Whether a layer is a function of TensorFlow in disguise."""
    return layer.get("class_name") in (_OPERATION, _SLICING, *_OTHERS)


def translate_operation(layer: Mapping[str, Any], calls: Calls, context: Context) -> dict[str, Any]:
    """Return an operation of Keras 3 that does the same, with its calls.

    Raises:
        GenerationError: there is none, or not with these arguments.
    """
    function = text(mapping(layer.get("config")).get("function"))
    if layer.get("class_name") in _OTHERS or not function:
        raise context.refusal(
            "part of the model is TensorFlow's own, for which Keras 3 has nothing",
            layer.get("class_name"),
        )
    nodes = layer.get("inbound_nodes") or []
    if layer.get("class_name") == _SLICING:
        made = [_slicing(*calls.arguments(node, context), context) for node in nodes]
    else:
        made = [_call(function, *calls.arguments(node, context), context) for node in nodes]
    if not made:
        raise context.refusal("a function that is never called", function)
    operation, config, _ = made[0]
    if any((other, settings) != (operation, config) for other, settings, _ in made):
        raise context.refusal("a function that is called in two ways", function)
    module, _, class_name = operation.rpartition(".")
    return {
        "module": f"keras.src.ops.{module}",
        "class_name": class_name,
        "config": {**config, "name": context.layer},
        "registered_name": class_name,
        "inbound_nodes": [{"args": args, "kwargs": {}} for _, _, args in made],
    }


_Made = tuple[str, dict[str, Any], list[Any]]
"""The operation, its constructor's arguments and the inputs of one call."""


def _call(function: str, first: Any, others: Mapping[str, Any], context: Context) -> _Made:
    row = _ROWS.get(function) or _ROWS.get(function.removeprefix(_OLD))
    if row is None:
        raise context.refusal(
            "Keras 3 has no operation for this function of TensorFlow", f"tf.{function}"
        )
    arguments = {row.inputs[0]: first, **others}
    config = dict(row.fixed)
    for name, value in arguments.items():
        if name in row.inputs or name == "name" or value is None:
            continue
        if name in row.settings:
            if _is_tensor(value):
                raise context.refusal(
                    f"tf.{function} with a {name} that is computed", f"{name}: a tensor"
                )
            setting = row.settings[name]
            config[setting.name] = setting.convert(value)
        elif value not in row.neutral.get(name, ()):
            raise context.refusal(
                f"Keras 3 has nothing for this argument of tf.{function}", f"{name}={value!r}"
            )
    if any(arguments.get(name) is None for name in row.inputs):
        raise context.refusal(f"tf.{function} without all of its inputs", sorted(arguments))
    return row.operation, config, [_input(arguments[name]) for name in row.inputs]


def _slicing(tensor: Any, others: Mapping[str, Any], context: Context) -> _Made:
    spec = others.get("slice_spec")
    if _is_tensor(spec):
        raise context.refusal("a slice between bounds that are computed")
    items = spec if isinstance(spec, list) else [spec]
    return "numpy.GetItem", {}, [tensor, [_slice(each) for each in items]]


def _slice(item: Any) -> Any:
    if isinstance(item, Mapping) and "start" in item:
        bounds = {name: item.get(name) for name in ("start", "stop", "step")}
        return {"class_name": "__slice__", "config": bounds}
    return item


def _input(value: Any) -> Any:
    return value if _is_tensor(value) else constant(value)


def _is_tensor(value: Any) -> bool:
    if isinstance(value, list):
        return any(_is_tensor(each) for each in value)
    if isinstance(value, Mapping):
        return value.get("class_name") == "__keras_tensor__" or any(
            _is_tensor(each) for each in value.values()
        )
    return False
