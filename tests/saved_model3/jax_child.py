"""Run with Keras 3 on JAX, TensorFlow installed: a model as a SavedModel and back.

``jax_child.py FOLDER``. Prints one JSON object, and uses nothing of pytest.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import keras
import numpy as np

import remote_models as rm

L = keras.layers

X = np.random.default_rng(0).random((32, 8), dtype="float32")
Y = X.sum(1, keepdims=True)


def made() -> Any:
    model = keras.Sequential(
        [L.Input((8,), name="features"), L.Dense(16, activation="relu", name="hidden"),
         L.BatchNormalization(), L.Dropout(0.5), L.Dense(1, name="answer")]
    )  # fmt: skip
    model.compile("adam", "mean_squared_error")
    model.fit(X, Y, epochs=2, verbose=0, shuffle=False)
    return model


def losses(model: Any) -> list[float]:
    """Train on without the random layer, which begins anew in a loaded model."""
    model.layers[2].rate = 0.0
    return [float(model.train_on_batch(X, Y)) for _ in range(3)]


def state(model: Any) -> list[Any]:
    return [np.asarray(each) for each in model.optimizer.variables]


def main(folder: str) -> None:
    model = made()
    rm.save_model(model, f"{folder}/model")
    loaded = rm.load_model(f"{folder}/model")
    answers = np.asarray(model(X))
    found = {
        "case": "jax",
        "backend": keras.backend.backend(),
        "predictions": bool(np.array_equal(answers, loaded(X))),
        "optimizer": all(
            np.array_equal(left, right)
            for left, right in zip(state(model), state(loaded), strict=True)
        ),
        "slots": len(state(loaded)),
        "fit": losses(model) == losses(loaded),
    }
    import tensorflow as tf

    program = tf.saved_model.load(f"{folder}/model")
    for rows in (1, 5, 32):  # a batch of any size
        served = program.signatures["serving_default"](features=tf.constant(X[:rows]))
        found[f"served {rows}"] = float(np.max(np.abs(served["answer"] - answers[:rows])))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
