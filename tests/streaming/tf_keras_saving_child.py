"""Run in a process of its own: what tf_keras models are saved as, beside its own files.

Prints one JSON object per case, and uses nothing of pytest.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

import remote_models as rm
from remote_models.frameworks import _tf_keras_saving
from streaming.saved_files import (
    close,
    contents,
    members,
    read_back,
    refuse_copies,
    same,
    saved,
)

L = tf_keras.layers

X = np.random.default_rng(0).random((16, 8), dtype="float32")
Y = X.sum(1, keepdims=True)


def trained(model: Any, optimizer: Any = "adam", data: Any = X) -> Any:
    model.compile(optimizer, "mse", metrics=["mae"], run_eagerly=True)
    model.fit(data, Y, epochs=1, verbose=0)
    return model


def mlp() -> Any:
    return trained(
        tf_keras.Sequential(
            [L.Input((8,)), L.Dense(64, activation="relu", name="hidden"), L.Dropout(0.2, seed=7),
             L.Dense(33), L.Dense(1)]
        )
    )  # fmt: skip


def images() -> Any:
    model = tf_keras.Sequential(
        [L.Input((8,)), L.Reshape((2, 2, 2)), L.Conv2D(40, 2, padding="same"),
         L.BatchNormalization(), L.DepthwiseConv2D(2), L.Flatten(), L.Dense(1)]
    )  # fmt: skip
    return trained(model, tf_keras.optimizers.legacy.SGD(0.01, momentum=0.9))


def recurrent() -> Any:
    inputs = tf_keras.Input((8,))
    x = L.Embedding(50, 24)(inputs)
    x = L.Bidirectional(L.LSTM(12, return_sequences=True))(x)
    x = L.MultiHeadAttention(2, 24)(x, x)
    model = tf_keras.Model(inputs, L.Dense(1)(L.GRU(6)(x)))
    return trained(model, "rmsprop", np.floor(X * 50))


def shared_and_nested() -> Any:
    inner = tf_keras.Sequential([L.Input((8,)), L.Dense(40), L.Dense(8)], name="inner")
    inputs = tf_keras.Input((8,))
    shared = L.Dense(8, name="shared")
    return trained(tf_keras.Model(inputs, L.Dense(1)(inner(shared(shared(inputs))))), "nadam")


def mixed() -> Any:
    tf_keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        return mlp()  # compiled with a LossScaleOptimizer
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")


def normalization() -> Any:
    layer = L.Normalization()
    layer.adapt(X)
    return trained(tf_keras.Sequential([L.Input((8,)), layer, L.Dense(1)]))


def text() -> Any:
    layer = L.TextVectorization(output_mode="multi_hot")
    layer.adapt([f"word{number} or other" for number in range(40)])
    return tf_keras.Sequential([tf_keras.Input((), dtype="string"), layer, L.Dense(1)])


@tf_keras.saving.register_keras_serializable("tests")
class Scale(tf_keras.layers.Layer):  # type: ignore[misc]
    """Stores more than its variables, and looks at what it has stored."""

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

    def call(self, x: Any) -> Any:
        return x * self.scale

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        store["extra"] = np.arange(2000.0)
        assert store["extra"].shape == (2000,)

    def load_own_variables(self, store: Any) -> None:
        self.scale.assign(store["0"])


def custom() -> Any:
    model = tf_keras.Sequential([L.Input((8,)), L.Dense(300), Scale(), L.Dense(1)])
    return trained(model, tf_keras.optimizers.AdamW(use_ema=True))


def uncompiled() -> Any:
    return tf_keras.Sequential([L.Input((8,)), L.Dense(200), L.Dense(1)])


CASES: Mapping[str, tuple[Callable[[], Any], str]] = {
    "mlp": (mlp, "wlkh"),
    "images": (images, "wlkh"),
    "recurrent": (recurrent, "wlkh"),
    "shared_and_nested": (shared_and_nested, "wlkh"),
    "mixed": (mixed, "wlk"),
    "normalization": (normalization, "wlkh"),
    "text": (text, "k"),
    "custom": (custom, "wkh"),
    "uncompiled": (uncompiled, "wlkh"),
}

NAMES = {"w": "m.weights.h5", "l": "legacy.h5", "h": "m.h5", "k": "m.keras"}


def variables(model: Any) -> list[Any]:
    """What a model has of variables; vocabularies pass for some."""
    return [each for each in model.variables if isinstance(each, tf.Variable)]


def compare(case: str, folder: Path) -> Iterator[dict[str, Any]]:
    build, formats = CASES[case]
    model = build()
    before = [each.numpy() for each in variables(model)]
    for letter in formats:
        name = NAMES[letter]
        url = f"memory://saving/{case}/{name}"
        if letter == "l":
            rm.save_weights(model, url)
            ours = read_back(url)
        else:
            ours = saved(model, url)
        path = folder / name
        model.save_weights(path) if letter in "wl" else model.save(path)
        read = members if letter == "k" else contents
        (folder / f"ours-{name}").write_bytes(ours)
        yield {
            "case": f"{case} {name}",
            "same": read(ours) == read(path.read_bytes()),
            "loads": loads(model, folder / f"ours-{name}", case, weights=letter in "wl"),
            "unharmed": all(map(same, before, [each.numpy() for each in variables(model)])),
        }


def loads(model: Any, path: Path, case: str, *, weights: bool) -> bool:
    """Whether plain tf_keras makes the same model of the file."""
    if weights:
        other = tf_keras.models.clone_model(model)
        other.load_weights(path)
    else:
        other = tf_keras.models.load_model(path)
        optimizer = model.optimizer
        if isinstance(optimizer, tf_keras.optimizers.Optimizer):
            states = [each.optimizer.variables for each in (other, model)]
            if not all(same(a.numpy(), b.numpy()) for a, b in zip(*states, strict=True)):
                return False
    inputs = tf.constant(["word3 or", "other"]) if case == "text" else X
    inputs = np.floor(X * 50) if case == "recurrent" else inputs
    return close(other(inputs), model(inputs))


class BrokenError(Exception):
    """A variable that cannot be read."""


def failing(name: str) -> dict[str, Any]:
    """A save that fails half-way publishes nothing and harms nothing."""
    url = f"memory://saving/failing/{name}"
    model = mlp()
    before = saved(model, url)
    delayed = _tf_keras_saving._delayed

    def broken(*arguments: Any) -> Any:
        tensor = delayed(*arguments)
        if tensor.nbytes < 4096:
            return tensor

        def fail() -> Any:
            raise BrokenError

        return type(tensor)(name=tensor.name, dtype=tensor.dtype, shape=tensor.shape, read=fail)

    vars(_tf_keras_saving)["_delayed"] = broken
    outcome = "saved"
    try:
        (rm.save_weights if "weights" in name else rm.save_model)(model, url)
    except BrokenError:
        outcome = "broken"
    finally:
        vars(_tf_keras_saving)["_delayed"] = delayed
    return {
        "case": f"failing {name}",
        "outcome": outcome,
        "kept": read_back(url) == before and rm.verify_model(url).ok,
        "unharmed": not hasattr(model, "use_legacy_config"),
        "again": len(saved(model, url)) == len(before),
    }


def main() -> None:
    refuse_copies()
    for case in sys.argv[2:] or CASES:
        for found in compare(case, Path(sys.argv[1])):
            print(json.dumps(found), flush=True)
    if not sys.argv[2:]:
        for letter in "wkh":
            print(json.dumps(failing(NAMES[letter])), flush=True)


if __name__ == "__main__":
    main()
