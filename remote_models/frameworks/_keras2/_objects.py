"""What layers are configured with: initialisers, regularisers, constraints, activations.

The tables were read from tf_keras/src/ (tf_keras 2.21, and Keras 2.0 to 2.3 for the old
names) and keras/src/ (Keras 3.15).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from remote_models.frameworks._keras2._context import Context
from remote_models.frameworks._keras2._decoding import mapping, text

__all__ = [
    "KERAS_2_FUNCTIONS",
    "keras_object",
    "registered_name",
    "translate_activation",
    "translate_argument",
    "translate_policy",
]

KERAS_2_FUNCTIONS = {"hard_sigmoid": "remote_models>hard_sigmoid"}
"""Functions that compute something else in Keras 3, and the registered name of the old one."""

_ACTIVATIONS = frozenset(
    ("elu", "exponential", "gelu", "leaky_relu", "linear", "log_softmax", "mish", "relu", "relu6",
     "selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "swish", "tanh")
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class _Kind:
    """Objects of one sort.

    Attributes:
        module: Where Keras 3 exports them.
        classes: Their classes there, in both generations.
        aliases: Other names that Keras 2 writes, in lower case.
        ignored: Arguments that mean nothing in Keras 3.
    """

    title: str
    module: str
    classes: tuple[str, ...]
    aliases: Mapping[str, str]
    ignored: tuple[str, ...] = ()

    def class_of(self, name: str) -> str | None:
        """Return Keras 3's class for a class, a function or a short name of Keras 2."""
        if name in self.classes:
            return name
        plain = name.lower().replace("_", "")
        known = {each.lower(): each for each in self.classes}
        return known.get(plain) or self.aliases.get(plain)


_INITIALIZERS = _Kind(
    title="initializer",
    module="keras.initializers",
    classes=(
        "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity",
        "LecunNormal", "LecunUniform", "Ones", "Orthogonal", "RandomNormal", "RandomUniform",
        "TruncatedNormal", "VarianceScaling", "Zeros",
    ),
    aliases={
        "normal": "RandomNormal", "uniform": "RandomUniform", "one": "Ones", "zero": "Zeros",
        "identityinitializer": "Identity", "orthogonalinitializer": "Orthogonal",
    },
    ignored=("dtype", "partition_info"),
)  # fmt: skip

_REGULARIZERS = _Kind(
    title="regularizer",
    module="keras.regularizers",
    classes=("L1", "L1L2", "L2", "OrthogonalRegularizer"),
    aliases={},
)

_CONSTRAINTS = _Kind(
    title="constraint",
    module="keras.constraints",
    classes=("MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"),
    aliases={"nonnegative": "NonNeg"},
)

_BY_SUFFIX = {
    "initializer": _INITIALIZERS,
    "regularizer": _REGULARIZERS,
    "constraint": _CONSTRAINTS,
}


def keras_object(module: str, class_name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object of Keras' own as Keras 3 serialises it."""
    return {
        "module": module,
        "class_name": class_name,
        "config": dict(config),
        "registered_name": None,
    }


def registered_name(described: Mapping[str, Any]) -> str:
    """Return the name under which a class is registered, ``package>Name`` or plain ``Name``.

    Keras 2 puts it in the place of the class, and ``Custom>`` before its optimizers.
    """
    registered = text(described.get("registered_name"))
    return registered or text(described.get("class_name"))


def translate_argument(name: str, value: Any, context: Context) -> Any:
    """Translate one argument of a layer by its name; any that holds no object stays as it is."""
    if value is None:
        return None
    if name.endswith("activation"):
        return translate_activation(value, context)
    kind = _BY_SUFFIX.get(name.rpartition("_")[2])
    return value if kind is None else _translate(kind, value, context)


def _translate(kind: _Kind, value: Any, context: Context) -> Any:
    described = {"class_name": value, "config": {}} if isinstance(value, str) else mapping(value)
    name = registered_name(described)
    if not name:  # such as a number where an initialiser may stand
        return value
    if name in context.custom:
        return _custom(described, name)
    class_name = kind.class_of(name.rpartition(">")[2])
    if class_name is None:
        raise context.unknown(kind.title, name)
    config = {
        key: each
        for key, each in mapping(described.get("config")).items()
        if key not in kind.ignored
    }
    if class_name == "VarianceScaling" and config.get("distribution") == "normal":
        config["distribution"] = "truncated_normal"  # as Keras 2 takes it
    return keras_object(kind.module, class_name, config)


def translate_activation(
    value: Any,
    context: Context,
    translate_layer: Callable[[Mapping[str, Any], Context], dict[str, Any]] | None = None,
) -> Any:
    """Translate an activation: a name, a function, or a layer.

    Args:
        value: What Keras 2 wrote.
        context: Where it stands.
        translate_layer: Translates a layer that serves as an activation.
    """
    described = mapping(value)
    is_function = described.get("class_name") == "function"
    name = text(described.get("config")) if is_function else text(value)
    if not name and translate_layer is not None and described:
        return translate_layer(described, context)
    if name in context.custom:
        return _function(name)
    name = name.rpartition(">")[2]
    if name in KERAS_2_FUNCTIONS:
        return _function(KERAS_2_FUNCTIONS[name])
    if name not in _ACTIVATIONS:
        raise context.unknown("activation", name or value)
    return name


def _function(name: str) -> dict[str, Any]:
    """Return a function that the caller or this library has registered."""
    return {"module": "builtins", "class_name": "function", "config": name, "registered_name": name}


def _custom(described: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**described, "module": None, "registered_name": name}


def translate_policy(value: Any, context: Context) -> Any:
    """Translate a dtype policy, which Keras 3 takes by its name."""
    if not isinstance(value, Mapping):
        return value
    class_name, name = text(value.get("class_name")), mapping(value.get("config")).get("name")
    if class_name in ("Policy", "PolicyV1", "DTypePolicy") and isinstance(name, str):
        return None if name == "_infer" else name
    raise context.unknown("dtype policy", class_name or value)
