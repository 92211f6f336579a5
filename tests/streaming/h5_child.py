"""Run in a process of its own: streamed loads of Keras 3's ``.h5`` beside the copying loader.

Prints one JSON object per case, and uses nothing of pytest.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

import remote_models as rm
from remote_models import errors
from remote_models._api import _models
from streaming import child
from streaming.child import X, Y

L = keras.layers

# Keras 3 does not find a loss by a short name when it loads an .h5.
LOSS = "mean_squared_error"


def compiled(model: Any, optimizer: Any, metrics: list[str] | None = None) -> Any:
    model.compile(optimizer, LOSS, metrics=["mean_absolute_error"] if metrics else None)
    model.fit(X, Y, epochs=2, verbose=0)
    return model


child.compiled = compiled


@keras.saving.register_keras_serializable("streaming")
class Named(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """A layer whose own layers have the same names each time."""

    def build(self, shape: Any) -> None:
        self.inside = L.Dense(4, name="inside")
        self.inside.build(shape)
        self.shift = self.add_weight(shape=(4,), name="shift")

    def call(self, inputs: Any) -> Any:
        return self.inside(inputs) + self.shift


@keras.saving.register_keras_serializable("streaming")
class Unnamed(Named):
    """A layer whose own layer is called otherwise each time: only its place tells."""

    def build(self, shape: Any) -> None:
        self.inside = L.Dense(4)
        self.inside.build(shape)

    def call(self, inputs: Any) -> Any:
        return self.inside(inputs)


def custom() -> Any:
    return compiled(keras.Sequential([L.Input((8,)), Named(), L.Dense(1)]), "adam")


def unnamed() -> Any:
    return compiled(keras.Sequential([L.Input((8,)), Unnamed(), L.Dense(1)]), "adam")


def shared_by_models() -> Any:
    """A layer that is in two models, of which Keras makes two when it loads them."""
    inputs = keras.Input((8,))
    shared = L.Dense(8, name="shared")
    inner = keras.Model(inputs, shared(inputs), name="inner")
    other = keras.Input((8,))
    return keras.Model(other, L.Dense(1)(shared(inner(other))))


def called_as_a_whole() -> Any:
    """The variables are named after the model, which they are not when it is loaded."""
    model = keras.Sequential([L.Dense(4), L.Dense(1)], name="whole")
    model(X)
    return compiled(model, "rmsprop")


def uncompiled() -> Any:
    return keras.Sequential([L.Input((8,)), L.Dense(2)])


def float16_scaled() -> Any:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return child.mlp()
    finally:
        keras.config.set_dtype_policy("float32")


CASES: tuple[Callable[[], Any], ...] = (
    child.mlp, child.functional_shared, child.nested, child.frozen, child.ema, child.schedule,
    child.normalization, child.recurrent, child.bfloat16, child.quantized, child.lora,
    custom, unnamed, shared_by_models, called_as_a_whole, uncompiled, float16_scaled,
)  # fmt: skip


@contextmanager
def no_temporary_folder() -> Iterator[None]:
    tempfile.tempdir = "/nowhere"
    try:
        yield
    finally:
        tempfile.tempdir = None


@contextmanager
def copies_only() -> Iterator[None]:
    own = vars(_models)["may_stream"]
    vars(_models)["may_stream"] = lambda _remote: False
    try:
        yield
    finally:
        vars(_models)["may_stream"] = own


def run(make: Callable[[], Any], folder: Path) -> dict[str, Any]:
    model = make()
    path = folder / f"{make.__name__}.h5"
    rm.save_model(model, path)
    with copies_only():
        copied = rm.load_model(path)
    runs = child.count_initialisers()
    try:
        with no_temporary_folder():
            loaded = rm.load_model(path)
        streamed = True
    except FileNotFoundError:
        loaded, streamed = rm.load_model(path), False
    return {
        "case": make.__name__,
        "streamed": streamed,
        "initialisers": runs(),
        "class": type(loaded) is type(model),
        "state": child.equal(copied, loaded),
        "optimizer": slots(model) == slots(loaded),
        "predictions": bool(
            np.array_equal(model.predict(X, verbose=0), loaded.predict(X, verbose=0))
        ),
        "trainable": [(v.name, v.shape) for v in copied.trainable_variables]
        == [(v.name, v.shape) for v in loaded.trainable_variables],
        "compiled": copied.compiled == loaded.compiled,
        "continues": child.continues(copied, loaded),
    }


def slots(model: Any) -> list[tuple[int, ...]]:
    optimizer = getattr(model, "optimizer", None)
    return [tuple(each.shape) for each in optimizer.variables] if optimizer else []


def weights(folder: Path) -> dict[str, Any]:
    """Load weights into live models: one with the same names, and one with others."""
    model = child.mlp()
    rm.save_model(model, folder / "weights.h5")
    same = keras.models.clone_model(model)
    with no_temporary_folder():
        rm.load_weights(same, folder / "weights.h5")
    other = child.mlp()
    rm.load_weights(other, folder / "weights.h5")
    twice = shared_by_models()  # the file has the layer's variables twice
    rm.save_model(twice, folder / "twice.h5")
    before = twice.get_weights()
    twice.set_weights([np.zeros_like(each) for each in before])
    with no_temporary_folder():
        rm.load_weights(twice, folder / "twice.h5")
    smaller = keras.Sequential([L.Input((8,)), L.Dense(6, name="hidden"), L.Dense(2)])
    try:
        rm.load_weights(smaller, folder / "weights.h5")
    except ValueError as error:
        refusal = str(error)
    return {
        "case": "weights",
        "same": equal_weights(model, same),
        "other": equal_weights(model, other),
        "twice": all(map(np.array_equal, before, twice.get_weights())),
        "smaller": "Layer count mismatch" in refusal,
    }


def equal_weights(one: Any, other: Any) -> bool:
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(left, right) for left, right in pairs)


def without_state(folder: Path) -> dict[str, Any]:
    model = child.mlp()
    rm.save_model(model, folder / "bare.h5", include_optimizer=False)
    rm.save_model(model, folder / "whole.h5")
    with no_temporary_folder():
        bare = rm.load_model(folder / "bare.h5")
        uncompiled = rm.load_model(folder / "whole.h5", compile=False)
    return {
        "case": "without_state",
        "bare": not bare.compiled and equal_weights(model, bare),
        "uncompiled": not uncompiled.compiled and equal_weights(model, uncompiled),
    }


def short_loss(folder: Path) -> dict[str, Any]:
    """Keras cannot load this, and says so in its own words."""
    model = uncompiled()
    model.compile("adam", "mse")
    rm.save_model(model, folder / "short.h5")
    try:
        rm.load_model(folder / "short.h5")
    except (ValueError, TypeError) as error:
        return {"case": "short_loss", "refused": "mse" in str(error)}
    return {"case": "short_loss", "refused": False}


def lambdas(folder: Path) -> dict[str, Any]:
    model = keras.Sequential([L.Input((8,)), L.Lambda(lambda x: x * 2), L.Dense(1)])
    rm.save_model(model, folder / "lambda.h5")
    try:
        rm.load_model(folder / "lambda.h5")
    except ValueError:
        refused = True
    else:
        refused = False
    with no_temporary_folder():
        loaded = rm.load_model(folder / "lambda.h5", safe_mode=False)
    return {"case": "lambdas", "refused": refused, "loaded": equal_weights(model, loaded)}


def damaged(folder: Path) -> dict[str, Any]:
    """Flip a bit of every seventh byte of the tensors in turn: each load must refuse."""
    path = folder / "damaged.h5"
    model = keras.Sequential([L.Input((4,)), L.Dense(3)])
    tensors = rm.save_model(model, path).tensors
    ranges = [(p.offset, p.stop) for tensor in tensors for p in tensor.pieces]
    whole = path.read_bytes()
    offsets = [offset for start, stop in ranges for offset in range(start, stop, 7)]
    refused = 0
    for offset in offsets:
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :])
        try:
            rm.load_model(path)
        except errors.IntegrityError:
            refused += 1
    return {"case": "damaged", "refused": refused, "tried": len(offsets)}


def cancelled(folder: Path) -> dict[str, Any]:
    rm.save_model(child.mlp(), folder / "cancel.h5")
    found = {}
    for kind in (child.CancelledError, ValueError, KeyboardInterrupt):
        try:
            rm.load_model(folder / "cancel.h5", progress=child.raising(kind))
        except kind as error:
            found[kind.__name__] = str(error.args[0]) == "enough"
        else:
            found[kind.__name__] = False
    return {"case": "cancelled", **found}


if __name__ == "__main__":
    target = Path(sys.argv[1])
    for case in CASES:
        print(json.dumps(run(case, target)), flush=True)
    for check in (weights, without_state, short_loss, lambdas, damaged, cancelled):
        print(json.dumps(check(target)), flush=True)
