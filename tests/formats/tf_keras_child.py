"""Save models of Keras 2 into the folder of the first argument, and describe them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras

from formats._layer_cases import IMAGE, VECTOR, around, layer_cases
from formats._saved_cases import Cases, attempt

L = keras.layers
FOLDER = Path(sys.argv[1])
CASES = Cases(FOLDER)

SLOTS = {"m": "momentum", "v": "velocity", "vhat": "velocity_hat", "u": "norm", "iter": "iteration"}


def variables_of(model: Any) -> list[Any]:
    return [v for v in model.weights if "Variable" in type(v).__name__]  # no tables of lookups


def names_of(model: Any) -> dict[str, Any]:
    own = f"{model.name}/"
    return {v.name.removesuffix(":0").removeprefix(own): v for v in variables_of(model)}


def optimizer_variables(model: Any) -> list[Any]:
    variables = model.optimizer.variables
    return list(variables() if callable(variables) else variables)


def optimizer_names(model: Any) -> dict[str, Any]:
    found = {}
    for variable in optimizer_variables(model):
        parts = variable.name.removesuffix(":0").split("/", 2)
        if len(parts) == 3 and parts[2].rpartition("/")[2] in SLOTS:  # a legacy optimizer
            parts = [
                parts[0],
                parts[2].rpartition("/")[2],
                f"{parts[1]}/{parts[2].rpartition('/')[0]}",
            ]
        name = (
            f"{SLOTS.get(parts[1], parts[1])}/{parts[2]}"
            if len(parts) == 3
            else SLOTS.get(parts[-1], parts[-1])
        )
        found[f"optimizer/{name}"] = variable
    return found


def save(name: str, model: Any, file: str, **details: Any) -> None:
    CASES.fill(variables_of(model))
    variables = names_of(model)
    if getattr(model, "optimizer", None) is not None:
        CASES.fill(optimizer_variables(model))
        if "weights" not in file:
            variables |= optimizer_names(model)
    (model.save_weights if "weights" in file else model.save)(FOLDER / file)
    CASES.add(name, file, variables, **details)


def compiled(model: Any, optimizer: Any, *, shape: tuple[int, ...] = VECTOR) -> Any:
    model.compile(optimizer, "mse", metrics=["mae"], run_eagerly=True)
    inputs = np.zeros((2, *shape), "float32")
    model.fit(inputs, np.zeros_like(model(inputs)), verbose=0)
    return model


def save_layers() -> list[str]:
    failed: list[str] = []
    for number, (name, (cls, arguments, shape)) in enumerate(layer_cases(keras).items()):
        model = attempt(lambda: around(keras, cls(**arguments), shape))  # noqa: B023
        if model is None:
            failed.append(name)
        else:
            save(f"layer {name}", model, f"layer{number}.keras", layer=cls.__name__)
    for name in ("PReLU", "Normalization", "RMSNormalization"):
        cls = getattr(L, name, None)
        if cls is not None:
            save(f"layer {name}", around(keras, cls(), VECTOR), f"other-{name}.keras", layer=name)
    return failed


def save_optimizers() -> None:
    options: dict[str, dict[str, Any]] = {
        "Adam amsgrad": {"amsgrad": True},
        "Adam ema": {"use_ema": True},
        "SGD momentum": {"momentum": 0.9},
        "RMSprop centered": {"centered": True, "momentum": 0.1},
    }
    for name in ("Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lion", "Nadam",
                 "RMSprop", "SGD"):  # fmt: skip
        if hasattr(keras.optimizers, name):
            options[name] = {}
    for number, (name, arguments) in enumerate(options.items()):
        frozen = L.Dense(4, name="frozen", trainable=False)
        model = keras.Sequential([L.Input(VECTOR), L.Dense(5), frozen, L.BatchNormalization()])
        compiled(model, getattr(keras.optimizers, name.split()[0])(**arguments))
        save(f"optimizer {name}", model, f"optimizer{number}.keras", optimizer=name)
        save(f"legacy {name}", model, f"optimizer{number}.h5")


class Subclassed(keras.Model):  # type: ignore[misc]  # tf_keras ships no types
    def __init__(self) -> None:
        super().__init__()
        self.first = L.Dense(3)
        self.blocks = [L.Dense(2), L.Dense(2, use_bias=False)]

    def call(self, inputs: Any) -> Any:
        x = self.first(inputs)
        for block in self.blocks:
            x = block(x)
        return x


def nested() -> Any:
    side = L.Input(VECTOR)
    encoder = keras.Model(side, L.BatchNormalization()(L.Dense(4)(side)), name="encoder")
    lazy = keras.Sequential([L.Dense(6), L.Dropout(0.5), L.Dense(3)], name="lazy")
    inputs = L.Input(VECTOR)
    joined = L.Add()([encoder(inputs), L.Dense(4)(inputs)]) + 1.0
    return keras.Model(inputs, lazy(joined), name="outer")


def save_models() -> None:
    dense = keras.Sequential([L.Input(VECTOR), L.Dense(5), L.Dense(5), L.Dense(2, name="out")])
    words = L.Input((6,), dtype="int32")
    x = L.LSTM(5, return_sequences=True)(L.Embedding(11, 4, name="words")(words))
    x = L.Bidirectional(L.LSTM(3))(L.LayerNormalization()(L.MultiHeadAttention(2, 3)(x, x)))
    convolutional = keras.Sequential(
        [L.Input(IMAGE), L.Conv2D(4, 3), L.BatchNormalization(), L.DepthwiseConv2D(2),
         L.BatchNormalization(scale=False), L.GlobalAveragePooling2D(), L.Dense(2)]
    )  # fmt: skip
    models = {
        "mlp": compiled(dense, "adam"),
        "text": compiled(keras.Model(words, L.Dense(1)(x)), "adam", shape=(6,)),
        "convolutional": compiled(convolutional, "rmsprop", shape=IMAGE),
        "nested": compiled(nested(), "adam"),
    }
    for name, model in models.items():
        for file in (f"{name}.keras", f"{name}.h5", f"{name}_weights.h5"):
            save(file, model, file)
    legacy = keras.Sequential([L.Input(VECTOR), L.Dense(5), L.Dense(2)])
    save("old.h5", compiled(legacy, keras.optimizers.legacy.Adam()), "old.h5")
    subclassed = Subclassed()
    subclassed(np.zeros((2, 4), "float32"))
    save("subclassed_weights.h5", subclassed, "subclassed_weights.h5")
    # The names of one layer take more than HDF5 allows in one attribute.
    many = keras.Sequential([L.Input(VECTOR), *(L.Dense(4, name=f"{i:0300}") for i in range(120))])
    outer = keras.Sequential([L.Input(VECTOR), many])
    save("split_weights.h5", outer, "split_weights.h5")
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    mixed = keras.Sequential([L.Input(VECTOR), L.Dense(5), L.BatchNormalization()])
    save("mixed.h5", mixed, "mixed.h5")
    keras.mixed_precision.set_global_policy("float32")


save_models()
save_optimizers()
CASES.cases["failed"] = {"layers": save_layers()}
CASES.write()
