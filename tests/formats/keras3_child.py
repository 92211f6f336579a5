"""Save models of Keras 3 into the folder of the first argument, and describe them."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from formats._layer_cases import ARGUMENTS, CUBE, IMAGE, SEQUENCE, VECTOR, around, layer_cases
from formats._saved_cases import Cases, attempt, without_models

L = keras.layers
FOLDER = Path(sys.argv[1])
CASES = Cases(FOLDER)


def model_names(model: Any) -> set[str]:
    names = {model.name}
    for layer in model._flatten_layers():
        if isinstance(layer, (keras.Sequential, keras.Model)):
            names.add(layer.name)
    return names


def names_of(model: Any) -> dict[str, Any]:
    models = model_names(model)
    return {without_models(v.path, models): v for v in model.weights}


def optimizer_names(model: Any) -> dict[str, Any]:
    models = model_names(model)
    optimizer = model.optimizer
    weights = {
        v.path.replace("/", "_"): without_models(v.path, models) for v in model.trainable_variables
    }
    found = {}
    for variable in optimizer.variables:
        last = variable.path.rpartition("/")[2]
        owners = [flat for flat in weights if last.startswith(f"{flat}_")]
        flat = max(owners, key=len, default="")
        slot = f"{last[len(flat) + 1 :]}/{weights[flat]}" if flat else last
        found[f"optimizer/{slot}"] = variable
    return found


def save(name: str, model: Any, file: str, **details: Any) -> None:
    CASES.fill(model.weights)
    variables = names_of(model)
    if getattr(model, "optimizer", None) is not None:
        CASES.fill(model.optimizer.variables)
        variables |= optimizer_names(model)
    (model.save_weights if ".weights." in file else model.save)(FOLDER / file)
    CASES.add(name, file, variables, **details)


def compiled(model: Any, optimizer: Any, *, shape: tuple[int, ...] = VECTOR) -> Any:
    model.compile(optimizer, "mse", metrics=["mae"], run_eagerly=True)
    inputs = np.zeros((2, *shape), "float32")
    model.fit(inputs, np.zeros_like(model(inputs)), verbose=0)
    return model


def save_layers() -> list[str]:
    failed: list[str] = []
    used = set()
    for number, (name, (cls, arguments, shape)) in enumerate(layer_cases(keras).items()):
        used.add(cls)
        model = around(keras, cls(**arguments), shape)
        save(f"layer {name}", model, f"layer{number}.keras", layer=cls.__name__)
        model.save_weights(FOLDER / f"layer{number}.weights.h5")
    for name in sorted(dir(L)):
        cls = getattr(L, name)
        if not isinstance(cls, type) or cls in used or not issubclass(cls, L.Layer):
            continue
        used.add(cls)
        attempts = itertools.product(ARGUMENTS, (VECTOR, SEQUENCE, IMAGE, CUBE, "list"))
        for arguments, shape in attempts:
            model = attempt(lambda: around(keras, cls(*arguments), shape))  # noqa: B023
            if model is not None:
                save(f"layer {name}", model, f"other-{name}.keras", layer=name)
                break
        else:
            failed.append(name)
    return failed


def save_optimizers() -> list[str]:
    failed: list[str] = []
    options: dict[str, dict[str, Any]] = {
        "Adam amsgrad": {"amsgrad": True},
        "Adam ema": {"use_ema": True, "gradient_accumulation_steps": 2},
        "SGD momentum": {"momentum": 0.9},
        "RMSprop centered": {"centered": True, "momentum": 0.1},
        "Adam schedule": {
            "learning_rate": keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
        },
    }
    for name in sorted(dir(keras.optimizers)):
        cls = getattr(keras.optimizers, name)
        if isinstance(cls, type) and issubclass(cls, keras.optimizers.Optimizer):
            options.setdefault(name, {})
    options.pop("Optimizer")
    options["LossScaleOptimizer"] = {"inner_optimizer": keras.optimizers.Adam()}
    for number, (name, arguments) in enumerate(options.items()):
        frozen = L.Dense(4, name="frozen", trainable=False)
        model = keras.Sequential([L.Input(VECTOR), L.Dense(5), frozen, L.BatchNormalization()])
        cls = getattr(keras.optimizers, name.split()[0])
        model = attempt(lambda: compiled(model, cls(**arguments)))  # noqa: B023
        if model is None:
            failed.append(name)
        else:
            save(f"optimizer {name}", model, f"optimizer{number}.keras", optimizer=name)
    return failed


@keras.saving.register_keras_serializable()
class Subclassed(keras.Model):  # type: ignore[misc]  # Keras ships no types
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = L.Dense(3)
        self.blocks = [L.Dense(2), L.Dense(2, use_bias=False)]
        self.attention = L.MultiHeadAttention(2, 3)
        self.named = L.Dense(2, name="head")

    def call(self, inputs: Any) -> Any:
        x = self.first(inputs)
        for block in self.blocks:
            x = block(x)
        return self.named(self.attention(x[:, None], x[:, None])[:, 0])


def nested() -> Any:
    shared = L.Dense(4, name="shared")
    side = L.Input(VECTOR)
    encoder = keras.Model(side, L.BatchNormalization()(shared(L.Dense(4)(side))), name="encoder")
    lazy = keras.Sequential([L.Dense(6), L.Dropout(0.5), L.Dense(3)], name="lazy")
    inputs = L.Input(VECTOR)
    left, right = encoder(inputs), shared(L.Dense(4)(inputs))
    joined = L.Add()([left, right]) + 1.0
    return keras.Model(inputs, keras.ops.tanh(lazy(joined)), name="outer")


def save_models() -> None:
    dense = keras.Sequential([L.Input(VECTOR), L.Dense(5), L.Dense(5), L.Dense(2, name="out")])
    compiled(dense, keras.optimizers.Adam())
    for file in ("mlp.keras", "mlp.h5", "mlp.weights.h5"):
        save(file, dense, file)
    CASES.fill(dense.weights)
    dense.save_weights(FOLDER / "mlp.weights.json", max_shard_size=0.0000002)
    CASES.add("mlp.weights.json", "mlp.weights.json", names_of(dense) | optimizer_names(dense))

    convolutional = keras.Sequential(
        [L.Input(IMAGE), L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU(), L.Conv2D(4, 3),
         L.BatchNormalization(scale=False), L.GlobalAveragePooling2D(), L.Dense(2)]
    )  # fmt: skip
    compiled(convolutional, keras.optimizers.SGD(momentum=0.9), shape=IMAGE)
    words = L.Input((6,), dtype="int32")
    x = L.LSTM(5, return_sequences=True)(L.Embedding(11, 4, name="words")(words))
    x = L.Bidirectional(L.LSTM(3))(L.LayerNormalization()(L.MultiHeadAttention(2, 3)(x, x)))
    text = compiled(keras.Model(words, L.Dense(1)(x)), keras.optimizers.AdamW(), shape=(6,))
    for name, model in (("convolutional", convolutional), ("text", text)):
        save(f"{name}.keras", model, f"{name}.keras")
        save(f"{name}.h5", model, f"{name}.h5")
    save("nested.keras", compiled(nested(), "adam"), "nested.keras")
    keras.backend.clear_session()
    save("nested.h5", compiled(nested(), "adam"), "nested.h5")

    subclassed = Subclassed()
    subclassed(np.zeros((2, 4), "float32"))
    save("subclassed.keras", subclassed, "subclassed.keras")
    save("subclassed.weights.h5", subclassed, "subclassed.weights.h5")

    for policy in ("bfloat16", "mixed_bfloat16", "float16"):
        keras.config.set_dtype_policy(policy)
        model = keras.Sequential([L.Input(VECTOR), L.Dense(5), L.BatchNormalization()])
        for file in (f"{policy}.keras", f"{policy}.h5", f"{policy}.weights.h5"):
            save(file, model, file)
    keras.config.set_dtype_policy("float32")

    normalization = L.Normalization()
    normalization.adapt(np.arange(8.0).reshape(2, 4))
    numbers = keras.Sequential([L.Input(VECTOR), normalization, L.Dense(2)])
    save("normalization.keras", numbers, "normalization.keras")
    for mode in ("int8", "int4", "float8"):
        quantised = keras.Sequential([L.Input((8,)), L.Dense(4), L.Dense(4)])
        quantised.quantize(mode)
        quantised.save(FOLDER / f"{mode}.keras")
        quantised.save_weights(FOLDER / f"{mode}.weights.h5")
        CASES.add(f"{mode}.keras", f"{mode}.keras", names_of(quantised))


save_models()
CASES.cases["failed"] = {
    "layers": save_layers(), "optimizers": save_optimizers(), "version": keras.__version__,
}  # fmt: skip
CASES.cases["snake"] = {
    name: keras.src.utils.naming.to_snake_case(name) for name in dir(L) if name[0].isupper()
}
CASES.write()
