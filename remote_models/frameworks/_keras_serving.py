"""The graph that a Keras 3 model is served by, on the TensorFlow and JAX backends.

Public functions only. Tried with Keras 3.8 to 3.15, TensorFlow 2.21 and JAX 0.10.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from remote_models.errors import FormatError

__all__ = ["ServingGraph", "serving_graph"]

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]")

_BOLD = re.compile(r"\x1b\[[0-9;]*m")
"""How Keras makes a message bold on a terminal."""

_MAX_CAUSE = 400
"""Characters of the framework's own message that an error of ours repeats."""

_HINT = (
    "Pass signatures={'serving_default': f}, where f is a tf.function with an "
    "input_signature that calls the model, or save it as .keras"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ServingGraph:
    """A traced model.

    Attributes:
        call: Takes the model's inputs in the structure that the model takes them in.
        signature: The same with one tensor for each name, in and out.
    """

    call: Any
    signature: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class _Argument:
    """One argument of a model's call: its name, ``None`` for the first, and its specs."""

    name: str | None
    specs: Any


def serving_graph(model: Any, variables: Sequence[tuple[Any, tf.Variable]]) -> ServingGraph:
    """Trace a model for a batch of any size.

    Args:
        model: A model that is built.
        variables: Each of the model's variables with the one that TensorFlow saves for
            it; needed on JAX alone.

    Raises:
        FormatError: it is not known what the model takes, or it cannot be traced.
    """
    arguments = _arguments(model)
    specs = [each.specs for each in arguments]
    run = _model_call(model, [each.name for each in arguments])
    if keras.backend.backend() == "jax":
        run = _through_jax(run, specs, variables)
    call = tf.function(run, input_signature=specs, autograph=False)

    def named(*flat: Any) -> dict[str, Any]:
        return _named_outputs(model, call(*keras.tree.pack_sequence_as(specs, list(flat))))

    signature = tf.function(named, input_signature=keras.tree.flatten(specs), autograph=False)
    try:
        signature.get_concrete_function()
    except (TypeError, ValueError, NotImplementedError, tf.errors.OpError) as error:
        cause = " ".join(_BOLD.sub("", str(error)).split())[:_MAX_CAUSE].rstrip(".")
        raise FormatError(
            f"the model cannot be traced for serving: {cause}", where="model", hint=_HINT
        ) from error
    return ServingGraph(call=call, signature=signature)


def _model_call(model: Any, names: Sequence[str | None]) -> Callable[..., Any]:
    def run(*arguments: Any) -> Any:
        pairs = list(zip(names, arguments, strict=True))
        first = [each for name, each in pairs if name is None]
        by_name = {name: each for name, each in pairs if name is not None}
        return model(*first, **by_name, training=False)

    return run


def _arguments(model: Any) -> list[_Argument]:
    """Return what a model takes: as it says itself, else as it was built."""
    symbols = _symbolic_inputs(model)
    if symbols is not None:
        return [_Argument(name=None, specs=_with_names(symbols))]
    built = model.get_build_config() or {}
    arguments: dict[str | None, Any] = {}
    if "input_shape" in built:
        arguments[None] = built["input_shape"]
    for name, shapes in (built.get("shapes_dict") or {}).items():
        arguments[name.removesuffix("_shape")] = shapes
    found = [
        _Argument(name=name, specs=_specs_of_shapes(shapes, name or "inputs", model.input_dtype))
        for name, shapes in arguments.items()
    ]
    if not found or any(each is None for each in keras.tree.flatten([f.specs for f in found])):
        raise FormatError(
            "it is not known what the model takes",
            where="model",
            hint=f"Call the model once on some data. {_HINT}",
        )
    return found


def _symbolic_inputs(model: Any) -> Any | None:
    """Return the inputs of a model that is made of them, in the structure that it takes."""
    taken = getattr(model, "inputs", None)
    if not taken or not all(isinstance(each, keras.KerasTensor) for each in taken):
        return None
    return taken[0] if isinstance(model, keras.Sequential) else model.input


def _with_names(structure: Any) -> Any:
    """Return a TensorSpec for each symbolic input, its first dimension open."""
    flat = keras.tree.flatten(structure)
    names = _unique(each.name for each in flat)
    specs = [
        tf.TensorSpec((None, *each.shape[1:]), each.dtype, name=name)
        for each, name in zip(flat, names, strict=True)
    ]
    return keras.tree.pack_sequence_as(structure, specs)


def _specs_of_shapes(shapes: Any, name: str, dtype: str) -> Any:
    """Return a TensorSpec for each shape in a structure, in the same structure."""
    if isinstance(shapes, Mapping):
        return {key: _specs_of_shapes(each, str(key), dtype) for key, each in shapes.items()}
    if not isinstance(shapes, (list, tuple)) or not shapes:
        return None
    if all(each is None or isinstance(each, int) for each in shapes):
        return tf.TensorSpec((None, *shapes[1:]), dtype, name=_clean(name))
    return [_specs_of_shapes(each, f"{name}_{at}", dtype) for at, each in enumerate(shapes)]


def _named_outputs(model: Any, outputs: Any) -> dict[str, Any]:
    """Give each output a name: its key, the layer that it comes from, or a number."""
    found = list(_with_paths(outputs, ""))
    layers = getattr(model, "output_names", None)
    if layers is None and isinstance(model, keras.Sequential):
        layers = [model.layers[-1].name]
    if not isinstance(outputs, Mapping) and layers is not None and len(layers) == len(found):
        names = list(layers)
    else:
        names = [path if isinstance(outputs, Mapping) else f"output_{path}" for path, _ in found]
    return dict(zip(_unique(names), [each for _, each in found], strict=True))


def _with_paths(structure: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(structure, Mapping):
        pairs: Iterable[tuple[Any, Any]] = structure.items()
    elif isinstance(structure, (list, tuple)):
        pairs = enumerate(structure)
    else:
        if structure is not None:
            yield path or "0", structure
        return
    for key, each in pairs:
        yield from _with_paths(each, f"{path}_{key}" if path else str(key))


def _unique(names: Iterable[str]) -> list[str]:
    """Return names that TensorFlow takes for arguments, each once."""
    found: list[str] = []
    for name in map(_clean, names):
        numbered = (f"{name}_{number}" for number in itertools.count(1))
        found.append(next(each for each in itertools.chain([name], numbered) if each not in found))
    return found


def _clean(name: str) -> str:
    name = _NOT_IN_NAMES.sub("_", name)
    return name if name[:1].isalpha() else f"arg_{name}"


def _through_jax(
    run: Callable[..., Any], specs: Sequence[Any], variables: Sequence[tuple[Any, tf.Variable]]
) -> Callable[..., Any]:
    """Return a function of TensorFlow that computes what ``run`` does with JAX.

    Variables go in as arguments and what becomes of them comes out, since JAX knows no
    state: of a random generator, for one.
    """
    from jax.experimental import jax2tf

    own = [variable for variable, _ in variables]

    def stateless(values: list[Any], *arguments: Any) -> tuple[Any, list[Any]]:
        with keras.StatelessScope(state_mapping=list(zip(own, values, strict=True))) as scope:
            outputs = run(*arguments)
        changed = [scope.get_current_value(each) for each in own if not each.trainable]
        return outputs, changed

    shapes = [_polymorphic(each, f"x{number}") for number, each in enumerate(specs)]
    converted = jax2tf.convert(stateless, polymorphic_shapes=[None, *shapes], with_gradient=False)

    def call(*arguments: Any) -> Any:
        outputs, changed = converted([saved for _, saved in variables], *arguments)
        fixed = [saved for variable, saved in variables if not variable.trainable]
        for saved, value in zip(fixed, changed, strict=True):
            saved.assign(tf.cast(value, saved.dtype))
        return outputs

    return call


def _polymorphic(specs: Any, name: str) -> Any:
    """Return the shapes in jax2tf's words, a letter for each length that is open."""
    numbers = itertools.count()

    def words(spec: Any) -> str:
        lengths = [
            "batch" if at == 0 else f"{name}_{next(numbers)}" if length is None else str(length)
            for at, length in enumerate(spec.shape)
        ]
        return f"({', '.join(lengths)})"

    return keras.tree.map_structure(words, specs)
