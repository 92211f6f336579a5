"""Run in a process of its own: SavedModels in Keras 3 without the classes that they need.

Prints one JSON object per case, and uses nothing of pytest.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import remote_models as rm
from remote_models.errors import RemoteModelsError

L = keras.layers

X = np.random.default_rng(0).random((70, 8), dtype="float32")


class Twice(L.Layer):  # type: ignore[misc,name-defined]
    """A class of one's own that nobody registers."""

    def __init__(self, factor: float = 2.0, **options: Any) -> None:
        super().__init__(**options)
        self.factor = factor

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

    def call(self, x: Any) -> Any:
        return x * self.scale * self.factor

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


def cubed(x: Any) -> Any:
    return x**3


class Program(tf.Module):  # type: ignore[misc]
    """No Keras at all: a table, a variable, two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = tf.Variable(2.0, name="outer/factor")
        numbers = tf.constant([1, 2], tf.int64)
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(["a", "b"], numbers), -1
        )

    @tf.function(  # type: ignore[untyped-decorator,unused-ignore]
        input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([None], tf.float32)]
    )
    def score(self, word: Any, weight: Any) -> Any:
        known = tf.cast(self.table.lookup(word), tf.float32)
        return {"score": known * weight * self.factor, "known": known > 0}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])  # type: ignore[untyped-decorator,unused-ignore]
    def length(self, word: Any) -> Any:
        return tf.strings.length(word)


def error_of(do: Callable[[], Any]) -> str:
    try:
        do()
    except RemoteModelsError as error:
        return f"{type(error).__name__}: {error}"
    except (TypeError, ValueError) as error:
        return f"{type(error).__name__}"
    return ""


def loaded_with_warnings(url: str, **options: Any) -> tuple[Any, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = rm.load_model(url, **options)
    return model, [
        f"{Path(each.filename).name} {each.category.__name__} {each.message}"
        for each in caught
        if issubclass(each.category, rm.InferenceOnlyWarning)
    ]


def without_a_class(base: str) -> dict[str, Any]:
    inputs = keras.Input((8,))
    model = keras.Model(inputs, L.Dense(2, activation=cubed)(Twice()(L.Dense(4)(inputs))))
    model.compile("adam", "mse")
    model.train_on_batch(X, X[:, :2])
    url = f"{base}/custom"
    rm.save_model(model, url)
    given = rm.load_model(url, custom_objects={"Twice": Twice, "cubed": cubed})
    graph, warned = loaded_with_warnings(url)
    partly, partly_warned = loaded_with_warnings(url, custom_objects={"Twice": Twice})
    del partly
    graph.compile("adam", "mean_squared_error")
    expected = model.predict(X, verbose=0)
    refused = {
        "fit": error_of(lambda: graph.fit(X, expected, verbose=0)),
        "train_on_batch": error_of(lambda: graph.train_on_batch(X, expected)),
        "trainable": error_of(lambda: setattr(graph, "trainable", True)),
        "get_config": error_of(graph.get_config),
        "saved": error_of(lambda: rm.save_model(graph, f"{base}/again")),
        "saved as .keras": error_of(lambda: rm.save_model(graph, f"{base}/again.keras")),
        "saved as .h5": error_of(lambda: rm.save_model(graph, f"{base}/again.h5")),
    }
    rm.save_weights(graph, f"{base}/again.weights.h5")
    weights = graph.get_weights()
    graph.set_weights([each * 0 for each in weights])
    zeros = not np.any(graph.predict(X, verbose=0))
    rm.load_weights(graph, f"{base}/again.weights.h5")
    return {
        "case": "without a class",
        "given": type(given) is type(model),
        "given predicts": np.array_equal(given.predict(X, verbose=0), expected),
        "predict": np.array_equal(graph.predict(X, verbose=0), expected),
        "call": np.allclose(graph(X[:3]), expected[:3], atol=1e-6),
        "double": np.allclose(graph(X[:3].astype("float64")), expected[:3], atol=1e-6),
        "listed": np.allclose(graph([tf.constant(X[:3])]), expected[:3], atol=1e-6),
        "evaluate": graph.evaluate(X, expected, verbose=0) < 1e-12,
        "zeros": zeros,
        "parameters": [graph.count_params(), model.count_params()],
        "trainable": [graph.trainable, len(graph.trainable_variables), len(graph.variables)],
        "warned": warned,
        "partly": partly_warned,
        "refused": refused,
        "left": [each.path for each in rm.list_models(base) if "again" in each.path],
        "elsewhere": on_jax(lambda: rm.load_model(url)),
    }


def other_program(folder: str, base: str) -> dict[str, Any]:
    program = Program()
    names = {"one": program.score, "two": {"a": program.length, "b": program.score}}
    for name, signatures in names.items():
        tf.saved_model.save(program, f"{folder}/{name}", signatures=signatures)
        rm.push_model(f"{folder}/{name}", f"{base}/{name}")
    tf.saved_model.save(program, f"{folder}/none")
    rm.push_model(f"{folder}/none", f"{base}/none")
    model, warned = loaded_with_warnings(f"{base}/one")
    words, weights = np.array(["a", "z", "b"]), np.array([1.0, 2.0, 3.0])
    found = model({"word": words, "weight": weights})
    return {
        "case": "other program",
        "score": found["score"].numpy().tolist(),
        "known": found["known"].numpy().tolist(),
        "weights": [each.name for each in model.weights],
        "warned": warned,
        "list": error_of(lambda: model([words, weights])),
        "wrong name": error_of(lambda: model({"word": words, "weights": weights})),
        "two": error_of(lambda: rm.load_model(f"{base}/two")),
        "none": error_of(lambda: rm.load_model(f"{base}/none")),
        "weights into a model": error_of(
            lambda: rm.load_weights(keras.Sequential([L.Input((2,)), L.Dense(1)]), f"{base}/one")
        ),
    }


def copies(base: str) -> dict[str, Any]:
    """The copy on disk lives as long as the model that may read it again."""
    before = set(Path(tempfile.gettempdir()).iterdir())
    model, _ = loaded_with_warnings(f"{base}/custom")
    during = set(Path(tempfile.gettempdir()).iterdir()) - before
    expected = model(X)
    alive = np.array_equal(model(X), expected)
    del model, expected
    gc.collect()
    after = set(Path(tempfile.gettempdir()).iterdir()) - before
    return {"case": "copies", "during": len(during), "alive": alive, "after": len(after)}


def of_keras_2(base: str) -> Iterator[dict[str, Any]]:
    import tf_keras

    class Half(tf_keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x / 2

    class Own(tf_keras.Model):  # type: ignore[misc]
        def __init__(self, units: int) -> None:  # so that it has no configuration
            super().__init__()
            self.dense = tf_keras.layers.Dense(units)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    layers = tf_keras.layers
    functional = tf_keras.Sequential([layers.Input((8,)), Half(), layers.Dense(3)])
    for name, model in {"custom layer": functional, "no configuration": Own(2)}.items():
        expected = model.predict(X, verbose=0)
        url = f"{base}/keras 2 {name}".replace(" ", "_")
        rm.save_model(model, url)
        with_manifest, warned = loaded_with_warnings(url, framework="keras")
        yield {
            "case": f"keras 2, {name}",
            "type": type(with_manifest).__name__,
            "predict": np.allclose(with_manifest.predict(X, verbose=0), expected, atol=1e-6),
            "trainable": with_manifest.trainable,
            "warned": warned,
            "elsewhere": on_jax(partial(rm.load_model, url, framework="keras")),
        }
    rm.save_model(functional, f"{base}/custom.h5")
    yield {
        "case": "keras 2, .h5",
        "error": error_of(lambda: rm.load_model(f"{base}/custom.h5", framework="keras")),
    }


def on_jax(do: Callable[[], Any]) -> str:
    """Do something with a Keras that says it runs on JAX, and return the error."""
    backend = keras.backend.backend
    keras.backend.backend = lambda: "jax"
    try:
        return error_of(do)
    finally:
        keras.backend.backend = backend


def main() -> None:
    folder, base = sys.argv[1:]
    for each in (without_a_class(base), other_program(folder, base), copies(base)):
        print(json.dumps(each))
    for each in of_keras_2(base):  # last, since tf_keras is the first choice once it is there
        print(json.dumps(each))


if __name__ == "__main__":
    main()
