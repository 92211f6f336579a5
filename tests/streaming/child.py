"""Run in a process of its own: streamed loads of Keras 3 models beside Keras' own.

Prints one JSON object per case, and uses nothing of pytest.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

import remote_models as rm
from remote_models import errors
from remote_models._api import _models

L = keras.layers

X = np.random.default_rng(0).random((32, 8), dtype="float32")
Y = X.sum(1, keepdims=True)


def mlp() -> Any:
    model = keras.Sequential(
        [L.Input((8,)), L.Dense(6, activation="relu", name="hidden"), L.BatchNormalization(),
         L.Dropout(0.2, seed=7), L.Dense(1)]
    )  # fmt: skip
    return compiled(model, "adam", metrics=["mae"])


def functional_shared() -> Any:
    inputs = keras.Input((8,))
    shared = L.Dense(8, name="shared")
    return compiled(keras.Model(inputs, L.Dense(1)(shared(shared(inputs)))), "rmsprop")


def nested() -> Any:
    inner = keras.Sequential([L.Input((8,)), L.Dense(4), L.Dense(4)], name="inner")
    inputs = keras.Input((8,))
    return compiled(keras.Model(inputs, L.Dense(1)(inner(inputs))), "nadam")


def frozen() -> Any:
    model = mlp()
    model.layers[0].trainable = False
    return compiled(model, keras.optimizers.SGD(0.01, momentum=0.9))


def ema() -> Any:
    return compiled(mlp(), keras.optimizers.Adam(use_ema=True, amsgrad=True))


def schedule() -> Any:
    rate = keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.5)
    return compiled(mlp(), keras.optimizers.AdamW(rate))


def normalization() -> Any:
    layer = L.Normalization()
    layer.adapt(X)
    return compiled(keras.Sequential([L.Input((8,)), layer, L.Dense(1)]), "adam")


def recurrent() -> Any:
    inputs = keras.Input((8,))
    x = L.Bidirectional(L.LSTM(3, return_sequences=True))(L.Reshape((4, 2))(inputs))
    x = L.MultiHeadAttention(2, 3)(x, x)
    return compiled(keras.Model(inputs, L.Dense(1)(L.GRU(3)(x))), "adam")


def bfloat16() -> Any:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        return mlp()
    finally:
        keras.config.set_dtype_policy("float32")


def float16_variables() -> Any:
    return keras.Sequential([L.Input((8,)), L.Dense(2, dtype="float16")])


def quantized() -> Any:
    model = keras.Sequential([L.Input((8,)), L.Dense(4), L.Dense(1)])
    for layer in model.layers:
        layer.quantize("int8")
    return model


def lora() -> Any:
    model = keras.Sequential([L.Input((8,)), L.Dense(4), L.Dense(1)])
    model.layers[0].enable_lora(2)
    return model


@keras.saving.register_keras_serializable("streaming")
class Subclassed(keras.Model):  # type: ignore[misc]  # Keras ships no types
    def __init__(self, units: int = 3, **options: Any) -> None:
        super().__init__(**options)
        self.units = units
        self.first = L.Dense(units)
        self.rest = [L.Dense(2), L.Dense(1)]
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, inputs: Any) -> Any:
        x = self.first(inputs)
        for layer in self.rest:
            x = layer(x)
        return x * self.scale

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


def subclassed() -> Any:
    return compiled(Subclassed(), "adam")


def compiled(model: Any, optimizer: Any, metrics: list[str] | None = None) -> Any:
    model.compile(optimizer, "mse", metrics=metrics)
    model.fit(X, Y, epochs=2, verbose=0)
    return model


CASES: tuple[Callable[[], Any], ...] = (
    mlp, functional_shared, nested, frozen, ema, schedule, normalization, recurrent, bfloat16,
    float16_variables, quantized, lora, subclassed,
)  # fmt: skip


def state(model: Any) -> list[np.ndarray[Any, Any]]:
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.variables, *(optimizer.variables if optimizer else ())]
    # Keras makes a new seed at every load where the layer was given none.
    return [
        np.asarray(keras.ops.convert_to_numpy(each)).astype("float64")
        for each in variables
        if "seed_generator" not in each.path
    ]


def equal(one: Any, other: Any) -> bool:
    pairs = list(zip(state(one), state(other), strict=True))
    return all(np.array_equal(left, right) for left, right in pairs)


def continues(one: Any, other: Any) -> bool:
    if getattr(one, "optimizer", None) is None:
        return getattr(other, "optimizer", None) is None
    losses = []
    for model in (one, other):
        keras.utils.set_random_seed(1)
        losses.append(model.fit(X, Y, epochs=2, shuffle=False, verbose=0).history["loss"])
    return bool(np.allclose(losses[0], losses[1], rtol=1e-6))


def run(make: Callable[[], Any], folder: Path) -> dict[str, Any]:
    """Save a model, load it with Keras and by stream, and compare the two."""
    streamed: list[bool] = []
    own = vars(_models)["stream_model"]

    def watched(*args: Any, **options: Any) -> Any:
        model = own(*args, **options)
        streamed.append(model is not None)
        return model

    model = make()
    path = folder / f"{make.__name__}.keras"
    rm.save_model(model, path)
    plain = keras.saving.load_model(path)
    runs = count_initialisers()
    tempfile.tempdir = str(folder / "nowhere")  # a stream needs no temporary file
    try:
        vars(_models)["stream_model"] = watched
        loaded = rm.load_model(path)
    finally:
        vars(_models)["stream_model"] = own
        tempfile.tempdir = None
    return {
        "case": make.__name__,
        "streamed": streamed == [True],
        "initialisers": runs(),
        "class": type(loaded) is type(model),
        "state": equal(plain, loaded),
        "predictions": bool(
            np.array_equal(plain.predict(X, verbose=0), loaded.predict(X, verbose=0))
        ),
        "trainable": [(v.name, v.shape) for v in plain.trainable_variables]
        == [(v.name, v.shape) for v in loaded.trainable_variables],
        "compiled": plain.compiled == loaded.compiled,
        "continues": continues(plain, loaded),
    }


def count_initialisers() -> Callable[[], int]:
    """Count from now on how often a kernel's initialiser makes values."""
    calls: list[int] = []
    kind = keras.initializers.GlorotUniform.__mro__[1]
    own = kind.__call__

    def counted(self: Any, *args: Any, **options: Any) -> Any:
        calls.append(1)
        return own(self, *args, **options)

    kind.__call__ = counted

    def stop() -> int:
        kind.__call__ = own
        return len(calls)

    return stop


def weights(folder: Path) -> dict[str, Any]:
    """Load weights into a live model, whole, sharded and from a whole model."""
    model = mlp()
    sources: dict[str, dict[str, Any]] = {
        "w.weights.h5": {},
        "s.weights.json": {"max_shard_size": 1e-6},
    }
    found = {}
    for name, options in sources.items():
        rm.save_weights(model, folder / name, **options)
        found[name] = loads_into_another(model, folder / name)
    rm.save_model(model, folder / "whole.keras")
    found["whole.keras"] = loads_into_another(model, folder / "whole.keras")
    return {"case": "weights", **found}


def loads_into_another(model: Any, path: Path) -> bool:
    other = keras.models.clone_model(model)
    other.compile("adam", "mse", metrics=["mae"])
    other.optimizer.build(other.trainable_variables)
    rm.load_weights(other, path)
    return all(
        np.array_equal(left, right)
        for left, right in zip(model.get_weights(), other.get_weights(), strict=True)
    ) and int(other.optimizer.iterations) == int(model.optimizer.iterations)


def damaged(folder: Path) -> dict[str, Any]:
    """Flip a bit of every seventh byte of the tensors in turn: each load must refuse."""
    path = folder / "damaged.keras"
    tensors = rm.save_model(keras.Sequential([L.Input((4,)), L.Dense(3)]), path).tensors
    ranges = [(p.offset, p.stop) for tensor in tensors for p in tensor.pieces]
    whole = path.read_bytes()
    refused = 0
    offsets = [offset for start, stop in ranges for offset in range(start, stop, 7)]
    for offset in offsets:
        path.write_bytes(whole[:offset] + bytes([whole[offset] ^ 1]) + whole[offset + 1 :])
        try:
            rm.load_model(path)
        except errors.IntegrityError:
            refused += 1
    return {"case": "damaged", "refused": refused, "tried": len(offsets)}


class CancelledError(Exception):
    """What a caller's own callback raises."""


def cancelled(folder: Path) -> dict[str, Any]:
    """Raise from the progress callback: the caller's exception comes back unchanged."""
    model = mlp()
    rm.save_model(model, folder / "cancel.keras")
    rm.save_weights(model, folder / "cancel.weights.h5")
    found = {}
    for kind in (
        CancelledError,
        RuntimeError,
        ValueError,
        KeyError,
        MemoryError,
        KeyboardInterrupt,
    ):
        loads: dict[str, Callable[[Any], Any]] = {
            "model": lambda cb: rm.load_model(folder / "cancel.keras", progress=cb),
            "weights": lambda cb: rm.load_weights(
                mlp(), folder / "cancel.weights.h5", skip_mismatch=True, progress=cb
            ),
        }
        for name, load in loads.items():
            try:
                load(raising(kind))
            except kind as error:
                found[f"{name} {kind.__name__}"] = str(error.args[0]) == "enough"
            else:
                found[f"{name} {kind.__name__}"] = False
    return {"case": "cancelled", **found}


def raising(kind: type[BaseException]) -> Callable[[Any], None]:
    calls: list[int] = []

    def callback(_progress: Any) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise kind("enough")

    return callback


def all_formats_in_a_row(folder: Path) -> dict[str, Any]:
    """Keras forgets the optimizer of a model that it has saved as .h5."""
    model = mlp()
    rm.save_model(model, folder / "row.h5")
    rm.save_model(model, folder / "row.keras")
    loaded = rm.load_model(folder / "row.keras")
    return {
        "case": "row",
        "optimizer": type(loaded.optimizer) is type(model.optimizer),
        "iterations": int(loaded.optimizer.iterations) == int(model.optimizer.iterations),
    }


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    target = Path(sys.argv[1])
    for case in CASES:
        print(json.dumps(run(case, target)), flush=True)
    print(json.dumps(weights(target)), flush=True)
    print(json.dumps(damaged(target)), flush=True)
    print(json.dumps(cancelled(target)), flush=True)
    print(json.dumps(all_formats_in_a_row(target)), flush=True)
