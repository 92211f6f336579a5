"""The variables that Keras' own layers store, in the order in which they store them.

Keras 3's files number a layer's variables and do not name them. The tables were read
from keras/src/layers/ (Keras 3.15) and tf_keras/src/layers/ (tf_keras 2.21): a layer
saves its trainable variables and then the others, each in the order of creation
(``Layer.save_own_variables``). The truth that they are tested against is
``variable.path`` of live models.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

__all__ = [
    "LAYERS_WITH_VARIABLES",
    "LayerVariable",
    "SubLayer",
    "class_of_name",
    "guess_variables",
    "layer_variables",
    "numbered",
    "snake_case",
    "sub_layer_class",
    "sub_layers",
]


@dataclass(frozen=True, slots=True)
class LayerVariable:
    """A variable that a layer stores.

    Attributes:
        name: Its name; ``None`` for a second copy of another layer's variable.
        flag: The argument of the layer that decides whether it exists; ``None`` for a
            variable that always does.
        default: The argument's value where the configuration does not say.
        value: The argument's value with which the variable exists.
        trainable: Whether an optimizer keeps slots for it.
    """

    name: str | None
    flag: str | None = None
    default: object = True
    value: object = True
    trainable: bool = True

    def exists(self, config: Mapping[str, Any]) -> bool:
        """Whether a layer with this configuration has the variable."""
        return self.flag is None or bool(config.get(self.flag, self.default) == self.value)


@dataclass(frozen=True, slots=True)
class SubLayer:
    """A layer inside a layer.

    Attributes:
        key: Where the outer layer keeps it: the path of attributes in the file.
        described: Its class and configuration, as Keras serialises an object.
        name: Its name; empty if it is not in the names of its variables, ``None`` if only
            the file can tell.
    """

    key: str
    described: Mapping[str, Any]
    name: str | None


def _fixed(name: str) -> LayerVariable:
    return LayerVariable(name, trainable=False)


_BIAS = LayerVariable("bias", "use_bias")
_KERNEL = (LayerVariable("kernel"), _BIAS)
_SEPARABLE = (LayerVariable("depthwise_kernel"), LayerVariable("pointwise_kernel"), _BIAS)
_CELL = (LayerVariable("kernel"), LayerVariable("recurrent_kernel"), _BIAS)
_AFFINE = (LayerVariable("gamma", "scale"), LayerVariable("beta", "center"))

_VARIABLES: dict[str, tuple[LayerVariable, ...]] = {
    "AdditiveAttention": (LayerVariable("scale", "use_scale"),),
    "Attention": (
        LayerVariable("scale", "use_scale", default=False),
        LayerVariable("concat_score_weight", "score_mode", default="dot", value="concat"),
    ),
    "BatchNormalization": (
        *_AFFINE,
        _fixed("moving_mean"),
        _fixed("moving_variance"),
        *(
            LayerVariable(name, "renorm", default=False, trainable=False)
            for name in ("moving_stddev", "renorm_mean", "renorm_stddev")
        ),
    ),
    "Conv1D": _KERNEL,
    "Conv1DTranspose": _KERNEL,
    "Conv2D": _KERNEL,
    "Conv2DTranspose": _KERNEL,
    "Conv3D": _KERNEL,
    "Conv3DTranspose": _KERNEL,
    "ConvLSTMCell": _CELL,
    "Dense": _KERNEL,
    "DepthwiseConv1D": _KERNEL,
    "DepthwiseConv2D": _KERNEL,
    "EinsumDense": _KERNEL,
    "Embedding": (LayerVariable("embeddings"),),
    "GRUCell": _CELL,
    "GroupNormalization": _AFFINE,
    "LSTMCell": _CELL,
    "LayerNormalization": _AFFINE,
    "LayerScale": (LayerVariable("gamma"),),  # in the applications ConvNeXt only
    "LocallyConnected1D": _KERNEL,
    "LocallyConnected2D": _KERNEL,
    "Normalization": tuple(
        # Given as an argument, the mean is a constant and nothing is stored.
        LayerVariable(name, "mean", default=None, value=None, trainable=False)
        for name in ("mean", "variance", "count")
    ),
    "PReLU": (LayerVariable("alpha"),),
    "RMSNormalization": (LayerVariable("scale"),),
    "ReversibleEmbedding": (
        LayerVariable("embeddings"),
        LayerVariable("reverse_embeddings", "tie_weights", value=False),
    ),
    "SeparableConv1D": _SEPARABLE,
    "SeparableConv2D": _SEPARABLE,
    "SimpleRNNCell": _CELL,
    "SyncBatchNormalization": (*_AFFINE, _fixed("moving_mean"), _fixed("moving_variance")),
    # The kernel of the wrapped layer is stored with the wrapper a second time.
    "SpectralNormalization": (LayerVariable(None), _fixed("vector_u")),
}

_KERAS_2_KERNELS = {
    "DepthwiseConv1D": "depthwise_kernel",
    "DepthwiseConv2D": "depthwise_kernel",
}
"""Keras 2's name of a layer's first variable where it differs."""

_CELLS = {
    "ConvLSTM1D": ("ConvLSTMCell", "conv_lstm_cell"),
    "ConvLSTM2D": ("ConvLSTMCell", "conv_lstm_cell"),
    "ConvLSTM3D": ("ConvLSTMCell", "conv_lstm_cell"),
    "GRU": ("GRUCell", "gru_cell"),
    "LSTM": ("LSTMCell", "lstm_cell"),
    "SimpleRNN": ("SimpleRNNCell", "simple_rnn_cell"),
}

_ATTENTION = ("MultiHeadAttention", "GroupedQueryAttention", "GroupQueryAttention")

_PROJECTIONS = {
    "query_dense": "query",
    "key_dense": "key",
    "gate_dense": "gate",
    "value_dense": "value",
    "output_dense": "attention_output",
}
"""Attributes of the attention layers in the order of creation, and their layers' names."""

_WRAPPERS = ("SpectralNormalization", "TimeDistributed", "Wrapper")

LAYERS_WITH_VARIABLES = (
    *_VARIABLES,
    *_CELLS,
    *_ATTENTION,
    *_WRAPPERS,
    "Bidirectional",
    "RNN",
    "StackedRNNCells",
)
"""Classes that are known; any other either stores no variables or is named by keys."""

_BEFORE_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])")

_COUNTER = re.compile(r"_\d+$")


def snake_case(class_name: str) -> str:
    """Return the name that Keras derives from a class (keras/src/utils/naming.py).

    >>> snake_case("Conv2DTranspose")
    'conv2d_transpose'
    """
    return _BEFORE_CAPITAL.sub("_", re.sub(r"\W", "", class_name)).lower()


_CLASS_BY_NAME = {snake_case(name): name for name in LAYERS_WITH_VARIABLES} | {
    "functional": "Functional",
    "sequential": "Sequential",
}


def class_of_name(name: str) -> str | None:
    """Return the class after which Keras gives a layer this name by itself.

    >>> class_of_name("conv2d_3")
    'Conv2D'
    """
    return _CLASS_BY_NAME.get(_COUNTER.sub("", name))


def layer_variables(
    class_name: str, config: Mapping[str, Any], *, keras_2: bool = False
) -> Sequence[LayerVariable] | None:
    """Return the variables that a layer itself stores, in the order of storage.

    ``None`` where that is not known: for classes of others, and for quantised layers,
    whose variables depend on the version.
    """
    if class_name not in _VARIABLES or _is_quantised(config) or config.get("rms_scaling"):
        return None
    if class_name == "EinsumDense":
        config = {"use_bias": config.get("bias_axes") is not None}
    variables = [each for each in _VARIABLES[class_name] if each.exists(config)]
    if keras_2 and class_name in _KERAS_2_KERNELS:
        return [replace(variables[0], name=_KERAS_2_KERNELS[class_name]), *variables[1:]]
    return variables


def guess_variables(class_name: str, count: int) -> Sequence[LayerVariable] | None:
    """Return the ``count`` variables that a layer of unknown configuration stores.

    ``None`` if another set of its variables has as many.
    """
    known = _VARIABLES.get(class_name, ())
    flags = sorted({each.flag for each in known if each.flag is not None})
    found: Sequence[LayerVariable] | None = None
    for choice in itertools.product((False, True), repeat=len(flags)):
        present = dict(zip(flags, choice, strict=True))
        variables = [each for each in known if each.flag is None or present[each.flag]]
        if len(variables) != count:
            continue
        if found is not None:
            return None
        found = variables
    return found


def sub_layers(
    class_name: str, config: Mapping[str, Any], *, keras_2: bool = False
) -> Iterator[SubLayer]:
    """Yield the layers inside a layer of Keras, in the order of creation.

    Models that contain layers are not treated here.
    """
    if class_name in _CELLS:
        cell, name = _CELLS[class_name]
        # Keras 2 builds this cell in the scope of the layer around it.
        name = "" if keras_2 and cell == "ConvLSTMCell" else name
        yield SubLayer("cell", {"class_name": cell, "config": config}, name)
    elif class_name in _ATTENTION:
        yield from _projections(config)
    elif class_name == "RNN":
        yield from _described("cell", config.get("cell"))
    elif class_name == "StackedRNNCells":
        yield from _described_list("cells", config.get("cells"))
    elif class_name in _WRAPPERS:
        for layer in _described("layer", config.get("layer")):
            # So it does with what is inside TimeDistributed.
            yield replace(layer, name="") if keras_2 else layer
    elif class_name == "Bidirectional":
        yield from _directions(config, keras_2=keras_2)


def sub_layer_class(class_name: str, key: str) -> str | None:
    """Return the class of the layer that a layer of Keras keeps under ``key``."""
    if key == "cell" and class_name in _CELLS:
        return _CELLS[class_name][0]
    return "EinsumDense" if class_name in _ATTENTION and key in _PROJECTIONS else None


def _projections(config: Mapping[str, Any]) -> Iterator[SubLayer]:
    dense = {
        "bias_axes": "" if config.get("use_bias", True) else None,
        "dtype": config.get("dtype"),
    }
    for key, name in _PROJECTIONS.items():
        if key != "gate_dense" or config.get("use_gate"):
            yield SubLayer(key, {"class_name": "EinsumDense", "config": dense}, name)


def _directions(config: Mapping[str, Any], *, keras_2: bool) -> Iterator[SubLayer]:
    backward = config.get("backward_layer")
    for layer in _described("forward_layer", config.get("layer")):
        yield SubLayer("forward_layer", layer.described, _direction("forward_", layer.name))
        if backward is None:
            name = _direction("backward_", layer.name)
            yield SubLayer("backward_layer", layer.described, name)
    for layer in _described("backward_layer", backward):
        # Keras 3 leaves the name of a given layer as it is.
        name = _direction("backward_", layer.name) if keras_2 else layer.name
        yield SubLayer("backward_layer", layer.described, name)


def _direction(prefix: str, name: str | None) -> str | None:
    """Return the name of one direction's layer; Keras 3's configuration may bear it already."""
    return None if name is None else prefix + name.removeprefix("forward_")


def _described(key: str, value: object) -> Iterator[SubLayer]:
    """Yield the layer that a serialised object describes, if it is one."""
    if not isinstance(value, Mapping):
        return
    config = value.get("config")
    if isinstance(value.get("class_name"), str) and isinstance(config, Mapping):
        name = config.get("name")
        yield SubLayer(key, value, name if isinstance(name, str) else None)


def _described_list(key: str, values: object) -> Iterator[SubLayer]:
    used: dict[str, int] = {}
    for value in values if isinstance(values, list) else ():
        for layer in _described(key, value):
            name = numbered(snake_case(layer.described["class_name"]), used)
            yield SubLayer(f"{key}/{name}", layer.described, layer.name)


def numbered(name: str, used: dict[str, int]) -> str:
    """Return ``name``, or ``name_1``, ``name_2``, … where it is used already."""
    count = used.get(name)
    used[name] = 0 if count is None else count + 1
    return name if count is None else f"{name}_{used[name]}"


def _is_quantised(config: Mapping[str, Any]) -> bool:
    """Whether a layer's dtype policy is one of quantisation (keras/src/dtype_policies/)."""
    policy = config.get("dtype")
    if isinstance(policy, str):
        return "_from_" in policy
    inner = policy.get("config") if isinstance(policy, Mapping) else None
    return isinstance(inner, Mapping) and "mode" in inner
