"""Layers of Keras 2 as layers of Keras 3: one table, and what is done to each argument.

Read from ``get_config`` in tf_keras/src/layers/ (tf_keras 2.21) and the constructors in
keras/src/layers/ (Keras 3.15). docs/keras2.md lists every class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from remote_models.frameworks._framework import NotInConfigurationError
from remote_models.frameworks._keras2._context import Context
from remote_models.frameworks._keras2._decoding import mapping, text
from remote_models.frameworks._keras2._objects import (
    keras_object,
    registered_name,
    translate_activation,
    translate_argument,
    translate_policy,
)

__all__ = ["is_custom", "layer_name", "translate_layer"]

_ANY = object()
"""Stands for every value: what the argument says has no meaning in Keras 3."""


@dataclass(frozen=True, slots=True)
class _Dropped:
    """An argument that Keras 3 does not take, and the values with which it says nothing."""

    name: str
    neutral: tuple[object, ...]

    def apply(self, config: dict[str, Any], class_name: str, context: Context) -> None:
        value = config.pop(self.name, _ANY)
        if value is _ANY or _ANY in self.neutral:
            return
        if not any(value == each and type(value) is type(each) for each in self.neutral):
            raise context.argument(class_name, self.name, value)


@dataclass(frozen=True, slots=True)
class _Renamed:
    """An argument that Keras 3 calls otherwise."""

    name: str
    new: str

    def apply(self, config: dict[str, Any], class_name: str, context: Context) -> None:
        if self.name in config:
            config[self.new] = config.pop(self.name)


@dataclass(frozen=True, slots=True)
class _Filled:
    """An argument that older versions did not write, whose default has changed since."""

    name: str
    value: object

    def apply(self, config: dict[str, Any], class_name: str, context: Context) -> None:
        config.setdefault(self.name, self.value)


@dataclass(frozen=True, slots=True)
class _Unlisted:
    """An axis that Keras 2 writes as a list of one."""

    name: str

    def apply(self, config: dict[str, Any], class_name: str, context: Context) -> None:
        value = config.get(self.name)
        if isinstance(value, list) and len(value) == 1:
            config[self.name] = value[0]


@dataclass(frozen=True, slots=True)
class _Required:
    """An argument that must say something: else what it stands for is not in the configuration."""

    name: str
    reason: str

    def apply(self, config: dict[str, Any], class_name: str, context: Context) -> None:
        if config.get(self.name) is None:
            raise context.refusal(
                f"{class_name}: {self.reason}", f"{self.name}=None", kind=NotInConfigurationError
            )


_Rule = _Dropped | _Renamed | _Filled | _Unlisted | _Required

_DEPTHWISE = (_Dropped("groups", (1,)),)
_KERNEL_OF_BASE = (
    "kernel_initializer", "kernel_regularizer", "kernel_constraint", "groups",
)  # fmt: skip
# A separable convolution writes those of its base class, which it has no kernel for.
_SEPARABLE = tuple(_Dropped(name, (_ANY,)) for name in _KERNEL_OF_BASE)
_IMPLEMENTATION = _Dropped("implementation", (_ANY,))  # how, not what, it computes
_TIME_MAJOR = _Dropped("time_major", (False,))
_RECURRENT = (_TIME_MAJOR, _IMPLEMENTATION, _Dropped("input_length", (_ANY,)),
              _Dropped("input_dim", (_ANY,)))  # fmt: skip
_CONV_RECURRENT = (*_RECURRENT, _Dropped("unroll", (False,)))
_RANDOM = (_Dropped("rng_type", (_ANY,)),)
# Before 2.3 there was nothing else, and the configuration did not say it.
_RESET_BEFORE = _Filled("reset_after", False)
_LOOKUP = (
    _Dropped("vocabulary_size", (_ANY,)),  # follows from the vocabulary
    _Dropped("has_input_vocabulary", (_ANY,)),
    _Required("vocabulary", "what it has learnt is not in the configuration, but in a table"),
)
_TRAINABLE = _Dropped("trainable", (_ANY,))  # of a layer without a variable
_NORMALIZATION = (
    _Dropped("synchronized", (_ANY,)),  # how replicas train, and for TensorFlow only
    _Unlisted("axis"),
    _Dropped("fused", (_ANY,)),  # how, not what, it computes
    _Dropped("virtual_batch_size", (None,)),
    _Dropped("adjustment", (None,)),
)

_RULES: dict[str, tuple[_Rule, ...]] = {
    **dict.fromkeys((
            "Activation", "ActivityRegularization", "Add", "AdditiveAttention", "AlphaDropout",
            "Attention", "Average", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D",
            "CategoryEncoding", "CenterCrop", "Concatenate", "Conv1D", "Conv2D", "Conv3D",
            "Cropping1D", "Cropping2D", "Cropping3D", "CustomScaleLayer", "Dense", "Dot", "Dropout",
            "ELU", "EinsumDense", "Flatten", "GaussianDropout", "GaussianNoise",
            "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D",
            "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D",
            "GroupNormalization", "HashedCrossing", "Hashing", "Identity", "Masking",
            "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "Maximum", "Minimum", "Multiply",
            "Normalization", "PReLU", "Permute", "ReLU", "RepeatVector", "Rescaling", "Reshape",
            "Resizing", "Softmax", "SpectralNormalization", "StackedRNNCells", "Subtract",
            "TimeDistributed", "UnitNormalization", "UpSampling1D", "UpSampling2D",
            "UpSampling3D", "Wrapper", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
    ), ()),
    "BatchNormalization": _NORMALIZATION,
    "Bidirectional": (_Dropped("time_major", (False,)),),
    "Conv1DTranspose": _DEPTHWISE,
    "Conv2DTranspose": _DEPTHWISE,
    "Conv3DTranspose": _DEPTHWISE,
    "ConvLSTM1D": _CONV_RECURRENT,
    "ConvLSTM2D": _CONV_RECURRENT,
    "ConvLSTM3D": _CONV_RECURRENT,
    "DepthwiseConv1D": _DEPTHWISE,
    "DepthwiseConv2D": _DEPTHWISE,
    "Discretization": (_TRAINABLE,),
    "Embedding": (_Dropped("input_length", (_ANY,)),),  # a check of the input's shape
    "GRU": (*_RECURRENT, _RESET_BEFORE),
    "GRUCell": (_IMPLEMENTATION, _RESET_BEFORE),
    "IntegerLookup": _LOOKUP,
    "LSTM": _RECURRENT,
    "LSTMCell": (_IMPLEMENTATION,),
    "LayerNormalization": (_Unlisted("axis"),),
    "LayerScale": (),
    "LeakyReLU": (_Renamed("alpha", "negative_slope"),),
    "MultiHeadAttention": (
        _Dropped("query_shape", (_ANY,)),  # the graph tells
        _Dropped("key_shape", (_ANY,)),
        _Dropped("value_shape", (_ANY,)),
        _Dropped("softmax_robust_masking", (_ANY,)),  # how, not what, it computes
    ),
    "RNN": (_TIME_MAJOR, _Dropped("input_length", (_ANY,)), _Dropped("input_dim", (_ANY,)),
            _Dropped("num_constants", (None, 0))),
    "RandomBrightness": _RANDOM,
    "RandomContrast": _RANDOM,
    "RandomCrop": _RANDOM,
    "RandomFlip": _RANDOM,
    "RandomRotation": _RANDOM,
    "RandomTranslation": _RANDOM,
    "RandomZoom": _RANDOM,
    "SeparableConv1D": _SEPARABLE,
    "SeparableConv2D": _SEPARABLE,
    "SimpleRNN": _RECURRENT,
    "SimpleRNNCell": (),
    "SpatialDropout1D": (_TRAINABLE, _Dropped("noise_shape", (None,))),
    "SpatialDropout2D": (_TRAINABLE, _Dropped("noise_shape", (None,))),
    "SpatialDropout3D": (_TRAINABLE, _Dropped("noise_shape", (None,))),
    "StringLookup": _LOOKUP,
    "SyncBatchNormalization": _NORMALIZATION,
    "TextVectorization": _LOOKUP,
    "ThresholdedReLU": (_Renamed("theta", "threshold"),),
}  # fmt: skip

_CLASSES = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "ThresholdedReLU": "ReLU",
}
"""A layer of Keras 2 and another of Keras 3 that does the same."""

_MODULES = {
    "CustomScaleLayer": "keras.src.applications.inception_resnet_v2",
    "LayerScale": "keras.src.applications.convnext",
}
"""Where Keras 3 has a layer that it does not export."""

_ALIASES = {
    **{f"{short}Pool{n}D": f"{long}Pooling{n}D" for n in (1, 2, 3)
       for short, long in (("Avg", "Average"), ("Max", "Max"), ("GlobalAvg", "GlobalAverage"),
                           ("GlobalMax", "GlobalMax"))},
    **{f"{kind}Convolution{n}D{end}": f"{kind}Conv{n}D{end}" for n in (1, 2, 3)
       for kind, end in (("", ""), ("", "Transpose"), ("Separable", ""), ("Depthwise", ""))},
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
}  # fmt: skip
"""Other names of the same class, as in Keras 2's own modules."""

_BASE = (
    _Dropped("batch_input_shape", (_ANY,)),  # the models around it have seen to it
    _Dropped("input_shape", (_ANY,)),
    _Dropped("autocast", (_ANY,)),
    _Dropped("dynamic", (False,)),
)

_INPUT = (
    _Renamed("batch_input_shape", "batch_shape"),
    _Dropped("ragged", (False, None)),
    _Dropped("type_spec", (None,)),
    _Dropped("input_tensor", (None,)),
)

_LISTS_OF_LAYERS = ("cells",)
_LAYERS = ("layer", "backward_layer", "cell")

_Translate = Callable[[Mapping[str, Any], Context], dict[str, Any]]


def is_custom(described: Mapping[str, Any], context: Context) -> bool:
    """Whether the caller knows a class of this name, which then goes before Keras' own."""
    name = registered_name(described)
    return name in context.custom or text(described.get("class_name")) in context.custom


def layer_name(described: Mapping[str, Any]) -> str:
    """Return the name of a layer, or its class where it has none."""
    name = mapping(described.get("config")).get("name", described.get("name"))
    return text(name) or text(described.get("class_name"))


def translate_layer(
    described: Mapping[str, Any], context: Context, translate: _Translate
) -> dict[str, Any]:
    """Return a layer that is no model as Keras 3 serialises it.

    Args:
        described: Its class and configuration, decoded.
        context: Where it stands; the layer's own name is put in.
        translate: Translates a layer or model inside it.

    Raises:
        GenerationError: Keras 3 has no such layer, or nothing for one of its arguments.
    """
    context = context.within(layer_name(described))
    config = dict(mapping(described.get("config")))
    if "dtype" in config:
        config["dtype"] = translate_policy(config["dtype"], context)
    if is_custom(described, context):
        return _custom_layer(described, config)
    class_name = registered_name(described).rpartition(">")[2]
    if class_name == "InputLayer":
        _apply(_INPUT, config, class_name, context)
        return keras_object("keras.layers", class_name, config)
    if class_name == "Lambda":
        return keras_object("keras.layers", class_name, _lambda_config(config, context))
    class_name = _ALIASES.get(class_name, class_name)
    if class_name not in _RULES:
        raise context.unknown("layer", class_name)
    _apply((*_BASE, *_RULES[class_name]), config, class_name, context)
    for name, value in config.items():
        config[name] = _translated(name, value, context, translate)
    module = _MODULES.get(class_name, "keras.layers")
    return keras_object(module, _CLASSES.get(class_name, class_name), config)


def _apply(
    rules: tuple[_Rule, ...], config: dict[str, Any], class_name: str, context: Context
) -> None:
    for rule in rules:
        rule.apply(config, class_name, context)


def _translated(name: str, value: Any, context: Context, translate: _Translate) -> Any:
    if name in _LAYERS and isinstance(value, Mapping):
        return translate(value, context)
    if name in _LISTS_OF_LAYERS and isinstance(value, list):
        return [translate(mapping(each), context) for each in value]
    if name == "activation":
        return None if value is None else translate_activation(value, context, translate)
    return translate_argument(name, value, context)


def _custom_layer(described: Mapping[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """Return a layer of the caller's, whose arguments only its class understands."""
    config.pop("batch_input_shape", None)
    name = registered_name(described)
    return {"module": None, "class_name": name, "config": config, "registered_name": name}


def _lambda_config(config: dict[str, Any], context: Context) -> dict[str, Any]:
    """Return the configuration of a Lambda layer.

    Its code is run by Keras, and by nobody where ``safe_mode`` is on.
    """
    config.pop("batch_input_shape", None)
    for argument in ("function", "output_shape", "mask"):
        kind = config.pop(f"{argument}_type", "raw" if argument != "function" else "lambda")
        config.pop("module" if argument == "function" else f"{argument}_module", None)
        value = config.get(argument)
        if value is None:
            config.pop(argument, None)
        elif kind == "lambda":
            config[argument] = _code(value, context)
        elif kind == "function":
            if text(value) not in context.custom:
                raise context.unknown("function", value)
            config[argument] = {
                "module": "builtins", "class_name": "function", "config": value,
                "registered_name": value,
            }  # fmt: skip
    return config


def _code(value: Any, context: Context) -> dict[str, Any]:
    parts = mapping(value).get("config", value)
    if isinstance(parts, Mapping):
        parts = [parts.get("code"), parts.get("defaults"), parts.get("closure")]
    if not isinstance(parts, list) or len(parts) != 3:
        raise context.refusal("a Lambda layer's code is malformed", value)
    code, defaults, closure = parts
    return {
        "class_name": "__lambda__",
        "config": {"code": code, "defaults": defaults, "closure": closure},
    }
