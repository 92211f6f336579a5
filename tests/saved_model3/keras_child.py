"""Run in a process of its own: Keras 3 models saved as SavedModels and loaded back.

Prints one JSON object per case, and uses nothing of pytest.
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import remote_models as rm
from remote_models.errors import FormatError, IntegrityError, RemoteModelsError

L = keras.layers

X = np.random.default_rng(0).random((32, 8), dtype="float32")
Y = X.sum(1, keepdims=True)
WORDS = np.array([["red or blue"], ["green"], ["word"], [""]])


def compiled(model: Any, optimizer: Any = "adam") -> Any:
    """Compile and train a little, so that no state is what it was at first."""
    model.compile(optimizer, "mean_squared_error", metrics=["mae"])
    model.fit(X, Y, epochs=1, verbose=0, shuffle=False)
    return model


def big() -> Any:
    """What is measured: 2.2 MB of weights and twice that of optimizer state."""
    return compiled(
        keras.Sequential(
            [L.Input((8,), name="features"), L.Dense(700, activation="relu", name="hidden"),
             L.Dense(768), L.BatchNormalization(), L.Dense(1, name="answer")]
        )
    )  # fmt: skip


def functional() -> Any:
    left, right = keras.Input((8,), name="left"), keras.Input((3,), name="right")
    joined = L.Concatenate()([L.Dense(5)(left), right])
    return keras.Model([left, right], [L.Dense(2, name="p")(joined), L.Dense(1, name="q")(left)])


def by_name() -> Any:
    x, y = keras.Input((8,), name="x"), keras.Input((2,), name="y")
    return keras.Model({"x": x, "y": y}, {"sum": L.Dense(2)(x) + y, "first": L.Dense(1)(x)})


def mixed() -> Any:
    policy = keras.DTypePolicy("mixed_bfloat16")
    model = keras.Sequential(
        [L.Input((8,)), L.Dense(40, dtype=policy), L.Dense(1, dtype="float32")]
    )
    return compiled(model)


def loss_scale() -> Any:
    """An optimizer whose variables the model's state names twice."""
    model = keras.Sequential([L.Input((8,)), L.Dense(40), L.Dense(1)])
    return compiled(model, keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()))


def lora() -> Any:
    """State that is not the variables that the graph reads."""
    model = keras.Sequential([L.Input((8,)), L.Dense(20), L.Dense(1)])
    model.layers[0].enable_lora(2)
    model.build((None, 8))
    return compiled(model)


def recurrent() -> Any:
    inputs = keras.Input((None,), dtype="int32", name="tokens")
    x = L.Embedding(50, 12)(inputs)
    x = L.Bidirectional(L.LSTM(6, return_sequences=True))(x)
    return keras.Model(inputs, L.Dense(1)(L.GRU(4)(L.MultiHeadAttention(2, 6)(x, x))))


def text() -> Any:
    layer = L.TextVectorization(output_mode="multi_hot")
    layer.adapt(["red green", "green blue"])
    return keras.Sequential([keras.Input((1,), dtype="string"), layer, L.Dense(2)])


def lookup() -> Any:
    """A vocabulary and a tensor that is no variable."""
    layer = L.IntegerLookup(output_mode="tf_idf")
    layer.adapt(np.arange(40).reshape(8, 5))
    inputs = keras.Input((8,), dtype="int64")
    return keras.Model(inputs, L.Dense(1)(layer(inputs)))


def without_weights() -> Any:
    return keras.Sequential([L.Input((8,)), L.Rescaling(2.0)])


@keras.saving.register_keras_serializable("tests")
class Noise(L.Layer):  # type: ignore[misc,name-defined]
    """Random when it is served, too: its generator's state is in no weights file."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seed = keras.random.SeedGenerator(1)

    def call(self, x: Any) -> Any:
        return x + keras.random.normal(keras.ops.shape(x), seed=self.seed)


@keras.saving.register_keras_serializable("tests")
class Again(L.Layer):  # type: ignore[misc,name-defined]
    """Uses a kernel that another layer has made."""

    kernel: Any

    def call(self, x: Any) -> Any:
        return keras.ops.matmul(x, self.kernel)


@keras.saving.register_keras_serializable("tests")
class Tied(keras.Model):  # type: ignore[misc]
    """Subclassed; takes a dict; two layers keep one variable; a name has a dot."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.first, self.second = L.Dense(4, name="a.b"), Again()

    def build(self, shape: Any) -> None:
        self.first.build(shape["x"])
        self.second.kernel = self.first.kernel

    def call(self, inputs: Any, training: bool = False) -> Any:
        return {"out": self.first(inputs["x"]) + 2 * self.second(inputs["x"])}


def tied() -> Any:
    model = Tied()
    model({"x": X})
    return model


@keras.saving.register_keras_serializable("tests")
class TwoArguments(keras.Model):  # type: ignore[misc]
    """Tells in ``build`` what each of its arguments is like."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.dense = L.Dense(3)

    def build(self, a_shape: Any, b_shape: Any) -> None:
        self.dense.build(a_shape)

    def call(self, a: Any, b: Any) -> Any:
        return self.dense(a) * b


MODELS: dict[str, tuple[Callable[[], Any], Any]] = {
    "big": (big, X),
    "functional": (functional, [X, X[:, :3]]),
    "by_name": (by_name, {"x": X, "y": X[:, :2]}),
    "mixed": (mixed, X),
    "loss_scale": (loss_scale, X),
    "lora": (lora, X),
    "recurrent": (recurrent, np.floor(X * 50).astype("int32")),
    "text": (text, tf.constant(WORDS)),
    "lookup": (lookup, np.floor(X * 40).astype("int64")),
    "without_weights": (without_weights, X),
    "tied": (tied, {"x": X}),
}


def arrays(outputs: Any) -> list[Any]:
    return [np.asarray(each, "float64") for each in keras.tree.flatten(outputs)]


def same(left: Any, right: Any) -> bool:
    pairs = list(zip(arrays(left), arrays(right), strict=True))
    return all(np.array_equal(one, other) for one, other in pairs)


def served(url: str, data: Any, count: int | None = None) -> Any:
    """Run the signature on the first rows of data, as TensorFlow Serving would."""
    program = tf.saved_model.load(url)
    signature = program.signatures["serving_default"]
    specs = signature.structured_input_signature[1]
    if isinstance(data, dict):
        inputs = data
    elif isinstance(data, list):
        inputs = dict(zip(("left", "right"), data, strict=True))
    else:
        inputs = dict.fromkeys(specs, data)
    return signature(**{name: tf.constant(inputs[name])[:count] for name in specs})


def roundtrip(case: str, folder: str) -> dict[str, Any]:
    build, data = MODELS[case]
    model = build()
    url = f"{folder}/{case}"
    manifest = rm.save_model(model, url)
    loaded = rm.load_model(url)
    outputs = model(data)
    found = served(url, data)
    if isinstance(outputs, list):
        by_name = dict(zip(model.output_names, outputs, strict=True))
    else:
        by_name = outputs if isinstance(outputs, dict) else dict.fromkeys(found, outputs)
    few = served(url, data, 3)
    result = {
        "case": case,
        "type": type(loaded) is type(model),
        "predictions": same(model(data), loaded(data)),
        "config": configuration(model) == configuration(loaded),
        "served": all(
            np.allclose(one, other, rtol=1e-5, atol=0.05 if case == "mixed" else 1e-6)
            for one, other in zip(arrays(by_name), arrays(found), strict=True)
        ),
        "any batch": all(len(each) == 3 for each in few.values()),
        "outputs": sorted(found),
        "variables": sum(
            1 for each in rm.open_model(url).weights.values() if not each.key.startswith("_")
        ),
        "files": sorted(str(each.path) for each in manifest.files),
    }
    optimizer = getattr(model, "optimizer", None)
    if optimizer is not None:
        result["optimizer"] = same(optimizer.variables, loaded.optimizer.variables)
        if case != "lora":  # Keras merges its two kernels into the first when it saves
            result["fit"] = trains_alike(model, loaded)
    return result


def configuration(model: Any) -> Any:
    return json.loads(json.dumps(keras.saving.serialize_keras_object(model)))


def trains_alike(model: Any, loaded: Any) -> bool:
    histories = []
    for each in (model, loaded):
        keras.utils.set_random_seed(1)
        histories.append(each.fit(X, Y, epochs=2, verbose=0, shuffle=False).history)
    return histories[0] == histories[1] and same(model.variables, loaded.variables)


def noise(folder: str) -> dict[str, Any]:
    model = keras.Sequential([L.Input((8,)), Noise(), L.Dense(1)])
    rm.save_model(model, f"{folder}/noise")
    signature = tf.saved_model.load(f"{folder}/noise").signatures["serving_default"]
    (name,) = signature.structured_input_signature[1]
    one, two = (next(iter(signature(**{name: tf.constant(X)}).values())) for _ in range(2))
    loaded = rm.load_model(f"{folder}/noise")
    return {
        "case": "noise",
        "two calls differ": not same(one, two),
        "loaded": same(model.layers[-1].kernel, loaded.layers[-1].kernel),
    }


def arguments(folder: str) -> dict[str, Any]:
    model = TwoArguments()
    model(X, X[:, :3])
    rm.save_model(model, f"{folder}/arguments")
    found = served(f"{folder}/arguments", {"a": X, "b": X[:, :3]})
    loaded = rm.load_model(f"{folder}/arguments")
    return {
        "case": "arguments",
        "served": same(found, model(X, X[:, :3])),
        "loaded": same(loaded(X, X[:, :3]), model(X, X[:, :3])),
    }


def options(folder: str) -> dict[str, Any]:
    model = big()
    rm.save_model(model, f"{folder}/plain", include_optimizer=False, save_traces=False)
    plain = rm.load_model(f"{folder}/plain")

    @tf.function(input_signature=[tf.TensorSpec([None, 8], tf.float32, name="rows")])  # type: ignore[untyped-decorator,unused-ignore]
    def doubled(rows: Any) -> Any:
        return {"twice": 2 * model(rows, training=False)}

    rm.save_model(model, f"{folder}/signed", signatures={"double": doubled})
    program = tf.saved_model.load(f"{folder}/signed")
    uncompiled = rm.load_model(f"{folder}/signed", compile=False)
    weights = big()
    rm.load_weights(weights, f"{folder}/signed")
    copied = big()
    Path(folder, "signed/manifest.json").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rm.UnverifiedModelWarning)
        rm.load_weights(copied, f"{folder}/signed")
    return {
        "case": "options",
        "without optimizer": getattr(plain, "optimizer", None) is None,
        "no optimizer's tensors": not any(
            name.startswith("optimizer") for name in rm.open_model(f"{folder}/plain").weights
        ),
        "same": same(plain(X), model(X)),
        "signatures": sorted(program.signatures),
        "own signature": np.allclose(
            program.signatures["double"](rows=tf.constant(X))["twice"], 2 * model(X)
        ),
        "uncompiled": getattr(uncompiled, "optimizer", None) is None,
        "weights": same(weights(X), model(X)),
        "weights without a manifest": same(copied(X), model(X)),
    }


def unserved(folder: str) -> dict[str, Any]:
    """Models that cannot be saved, and what is left at the URL."""
    reasons = {}

    class Untraceable(keras.Model):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return float(np.asarray(inputs).sum()) * inputs

    untraceable = Untraceable()
    untraceable(X)
    unbuilt = keras.Sequential([L.Dense(1)])
    for name, model in {"untraceable": untraceable, "unbuilt": unbuilt}.items():
        try:
            rm.save_model(model, f"{folder}/{name}")
        except FormatError as error:
            reasons[name] = str(error)
    backend = keras.backend.backend
    keras.backend.backend = lambda: "torch"
    try:
        rm.save_model(big(), f"{folder}/torch")
    except FormatError as error:
        reasons["torch"] = str(error)
    finally:
        keras.backend.backend = backend
    left = [name for name in reasons if Path(folder, name).exists()]
    return {"case": "unserved", "reasons": reasons, "left": left}


def damaged(folder: str) -> Iterator[dict[str, Any]]:
    """Change a saved model that no manifest vouches for; then one that has a manifest."""
    config = Path(folder, "functional/assets.extra/keras/config.json")
    good = config.read_bytes()
    manifest = Path(folder, "functional/manifest.json")
    trusted = manifest.read_bytes()
    for name, bad in {
        "no JSON": b"{",
        "no model": b"{}",
        "shared nonsense": json.dumps(
            {**json.loads(good), "shared_variables": {"a": 1, "b": "c", "layers/dense/vars/0": "x"}}
        ).encode(),
    }.items():
        config.write_bytes(bad)
        yield {"case": f"vouched {name}", "error": error_of(str(config.parents[2]))}
        manifest.unlink()
        yield {"case": f"bare {name}", "error": error_of(str(config.parents[2]))}
        manifest.write_bytes(trusted)
    config.write_bytes(good)
    yield {"case": "whole again", "error": error_of(str(config.parents[2]))}


def error_of(url: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rm.UnverifiedModelWarning)
        try:
            rm.load_model(url)
        except IntegrityError:
            return "IntegrityError"
        except RemoteModelsError as error:
            return type(error).__name__
    return ""


def main() -> None:
    folder, base = sys.argv[1:]
    model = big()
    rm.save_model(model, f"{base}/big", metadata={"step": 1})
    tempfile.tempdir = f"{folder}/nowhere"  # it takes no copy
    loaded = rm.load_model(f"{base}/big")
    tempfile.tempdir = None
    answers = arrays(loaded(X[:2]))[0].tolist()
    print(
        json.dumps(
            {
                "case": "remote",
                "predictions": same(model(X), loaded(X)),
                "optimizer": same(model.optimizer.variables, loaded.optimizer.variables),
                "fit": trains_alike(model, loaded),
                "answers": answers,
            }
        )
    )
    np.save(f"{folder}/x.npy", X[:2])
    rm.save_model(loaded, f"{base}/again")
    for case in MODELS:
        print(json.dumps(roundtrip(case, folder)))
    for check in (noise, arguments, options, unserved):
        print(json.dumps(check(folder)))
    for each in damaged(folder):
        print(json.dumps(each))


if __name__ == "__main__":
    main()
