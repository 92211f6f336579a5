"""Run with tf_keras: save the cases into a folder, with inputs and what the models made of them.

``writer.py FOLDER FORMAT... CASE... [-- FOLDER...]``, a case by a part of its name. Prints
one JSON object per case; waits for a line of input before the next one if ``step`` is among
the cases.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from formats.older_saved_models import make_older

import remote_models as rm
from keras2.application_cases import application_cases
from keras2.differences import difference
from keras2.layer_cases import layer_cases
from keras2.model_cases import compiled_cases, learnt_cases, model_cases, operation_cases

TARGET = np.ones((2, 1), "float32")

ONLY_KERAS_2 = ("layer LocallyConnected1D", "layer LocallyConnected2D",
                "layer RandomFourierFeatures", "layer RandomHeight",
                "layer RandomWidth")  # fmt: skip

CALM = 2e-6

ENDS = {"h5": "model.h5", "keras": "model.keras", "tf": "model", "tf2.4": "older"}
"""The formats; ``tf2.4`` is a SavedModel as TensorFlow 2.4 and earlier wrote it."""


def makers() -> dict[str, Callable[[], Any]]:
    """Return the makers of all models by the names of their cases."""
    layers = layer_cases(keras)
    alone = {f"layer {name}": _maker(case) for name, case in layers.items()}
    functions = operation_cases(keras, tf)
    return {
        "all layers": _together({name: alone[name] for name in alone if name not in ONLY_KERAS_2}),
        "all functions": _together(functions),
        **alone,
        **model_cases(keras),
        **learnt_cases(keras),
        **functions,
        **compiled_cases(keras),
        **application_cases(keras),
    }


def _together(cases: dict[str, Callable[[], Any]]) -> Callable[[], Any]:
    """Return the maker of one model of many cases side by side: much quicker than one by one."""

    def make() -> Any:
        models = [model for maker in cases.values() if (model := _attempt(maker)) is not None]
        inputs = [each for model in models for each in tf.nest.flatten(model.input)]
        outputs = [each for model in models for each in tf.nest.flatten(model.output)]
        return keras.Model(inputs, outputs)

    return make


def _attempt(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except TypeError:  # some versions of tf_keras cannot make some of their own layers
        return None


def _maker(case: Any) -> Callable[[], Any]:
    return lambda: case.model(keras, "around")


def inputs_of(model: Any, random: np.random.Generator) -> Any:
    """Return two inputs of each of a model's, in its structure."""
    return tf.nest.map_structure(lambda each: _values(each, random), model.input)


def _values(tensor: Any, random: np.random.Generator) -> Any:
    shape = (2, *tensor.shape[1:])
    if tensor.dtype == tf.string:
        return random.choice(["a", "b", "c"], shape)
    if tensor.dtype == tf.bool:
        return np.arange(np.prod(shape)).reshape(shape) % 6 < 4
    if tensor.dtype.is_integer:
        return random.integers(0, 5, shape).astype(tensor.dtype.as_numpy_dtype)
    return random.normal(size=shape).astype(tensor.dtype.as_numpy_dtype)


def fill(model: Any, random: np.random.Generator, *, is_deep: bool) -> None:
    """Give every weight a value of its own: most biases would be zero, most scales one.

    A deep model keeps its kernels, or its numbers would grow beyond all bounds.
    """

    def filled(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        if not np.issubdtype(value.dtype, np.floating) or (is_deep and value.ndim > 1):
            return value
        start = value if is_deep else 0.1
        gaps = random.uniform(0.0, 0.02 if is_deep else 0.8, value.shape)
        return np.asarray(start + gaps, value.dtype)

    model.set_weights([filled(value) for value in model.get_weights()])


def save(name: str, make: Callable[[], Any], folder: Path, formats: list[str]) -> dict[str, Any]:
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    random = np.random.default_rng(0)
    is_deep = name.startswith("application")
    model = make()
    if not name.startswith("learnt"):
        fill(model, random, is_deep=is_deep)
    inputs = inputs_of(model, random)
    if name.startswith("application"):
        tame(model, inputs)
    if name.startswith("compiled"):
        train(model, inputs, TARGET, 2)
    folder.mkdir(parents=True)
    failed = {}
    for each in formats:
        # What each layer does is in its configuration, and takes minutes to trace.
        options = {"save_traces": False} if each.startswith("tf") else {}
        try:
            model.save(folder / ENDS[each], **options)
            if each == "tf2.4":
                make_older(folder / ENDS[each])
        except (NotImplementedError, TypeError, ValueError, RuntimeError) as error:
            failed[each] = f"{type(error).__name__}: {error}"
    return describe(name, model, folder, inputs, failed)


def describe(
    name: str,
    model: Any,
    folder: Path,
    inputs: Any,
    failed: dict[str, str],
) -> dict[str, Any]:
    """Write what a model makes of some inputs, and what its parts are called."""
    arrays = {f"x{i}": each for i, each in enumerate(tf.nest.flatten(inputs))}
    outputs = [np.asarray(each) for each in tf.nest.flatten(model(inputs, training=False))]
    arrays |= {f"y{i}": each for i, each in enumerate(outputs)}
    if name.startswith("compiled"):
        arrays["loss"] = np.asarray(train(model, inputs, TARGET, 3))
    np.savez(folder / "data.npz", **arrays)
    about = {
        "rounding": (
            rounding(model, inputs, outputs) if name.startswith(("application", "file")) else 0.0
        ),
        "layers": [layer.name for layer in model.layers],
        "outputs": [each.name for each in tf.nest.flatten(model.output)],
        "inputs": sorted(inputs) if isinstance(inputs, dict) else [],
        "trainable": [
            list(each.shape) for layer in model.layers for each in layer.trainable_weights
        ],
    }
    (folder / "model.json").write_text(json.dumps({"case": name, **about}))
    return {"case": name, "failed": failed}


def rounding(model: Any, inputs: Any, outputs: list[Any]) -> float:
    """Return how far a model's outputs move with the last bit of its inputs.

    No other implementation can be expected to come closer.
    """
    others = tf.nest.flatten(model(inputs * np.float32(1 + 2**-23), training=False))
    return max(
        difference(np.asarray(other), each) for other, each in zip(others, outputs, strict=True)
    )


def tame(model: Any, inputs: Any) -> None:
    """Let the scales of normalisations shrink until rounding does not decide what comes out.

    A deep model that was never trained may magnify the last bit of an input to any number.
    """
    gammas = [each for each in model.weights if each.name.endswith("gamma:0")]
    for _ in range(16):
        outputs = [np.asarray(each) for each in tf.nest.flatten(model(inputs, training=False))]
        if rounding(model, inputs, outputs) < CALM:
            return
        for gamma in gammas:
            gamma.assign(gamma * 0.85)


def train(model: Any, inputs: Any, target: Any, steps: int) -> list[float]:
    return [float(model.train_on_batch(inputs, target)[0]) for _ in range(steps)]


def cases(arguments: list[str]) -> Iterator[tuple[str, Callable[[], Any]]]:
    for name, make in makers().items():
        if any(each in name for each in arguments):
            yield name, make


LENGTH = 10_040
"""Of a dimension that may have any: SpliceAI cuts 10,000 off."""

PROGRAM = ["def f(x):\n    return x + 1\n", "int main() { return 0; }\n"]


def describe_existing(folder: Path) -> Iterator[dict[str, Any]]:
    """Load what others have saved, and write inputs and outputs beside it."""
    for path in sorted([*folder.glob("*/model.h5"), *folder.glob("*/model")]):
        name = f"file {path.parent.name}"
        with rm.open_model(path, verify=False) as remote:
            with_keras = remote.recognise().has_keras_metadata
        if not with_keras:
            yield describe_program(name, path)
            continue
        model = keras.models.load_model(path, compile=False)
        random = np.random.default_rng(0)
        inputs = tf.nest.map_structure(lambda each: small_numbers(each, random), model.input)  # noqa: B023
        yield describe(name, model, path.parent, inputs, {})


def small_numbers(tensor: Any, random: np.random.Generator) -> Any:
    """Return small whole numbers, which may be words for all that is known."""
    shape = (2, *(each or LENGTH for each in tensor.shape[1:]))
    return random.integers(0, 5, shape).astype(tensor.dtype.as_numpy_dtype)


def describe_program(name: str, path: Path) -> dict[str, Any]:
    """Write what a program of TensorFlow that takes texts makes of two of them."""
    run = tf.saved_model.load(str(path)).signatures["serving_default"]
    takes = sorted(run.structured_input_signature[1])
    made = run(**{each: tf.constant(PROGRAM) for each in takes})
    arrays: dict[str, Any] = {f"x{i}": np.asarray(PROGRAM) for i in range(len(takes))}
    for i, key in enumerate(sorted(made)):
        value = made[key].numpy()
        arrays[f"y{i}"] = value.astype("S") if value.dtype == object else value
    np.savez(path.parent / "data.npz", **arrays)
    about = {
        "rounding": 0.0, "layers": [], "outputs": sorted(made), "inputs": takes, "trainable": []
    }  # fmt: skip
    (path.parent / "model.json").write_text(json.dumps({"case": name, **about}))
    return {"case": name, "failed": {}}


def main(folder: Path, arguments: list[str]) -> None:
    if "existing" in arguments:
        for each in describe_existing(folder):
            print(json.dumps(each), flush=True)
        return
    formats = [each for each in arguments if each in ENDS]
    wanted = [each for each in arguments if each not in ENDS]
    for number, (name, make) in enumerate(cases(wanted)):
        try:
            made = save(name, make, folder / f"{number:03}", formats)
        except (TypeError, ValueError, NotImplementedError) as error:
            made = {"case": name, "error": f"{type(error).__name__}: {error}"}
        print(json.dumps(made), flush=True)
        if "step" in wanted:
            sys.stdin.readline()


if __name__ == "__main__":
    words = sys.argv[1:]
    while words:  # several folders are quicker than several processes
        end = words.index("--") if "--" in words else len(words)
        main(Path(words[0]), words[1:end])
        words = words[end + 1 :]
