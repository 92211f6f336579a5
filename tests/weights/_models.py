"""What both children share: models of every kind, and what their variables hold.

A child saves each model in every format of its generation through remote_models, and
writes the arrays that the framework itself sees beside them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

WORDS = ["one", "two", "three"]


def mlp(keras: Any) -> Any:
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((8,)),
            layers.Dense(16, activation="relu", name="hidden"),
            layers.Dropout(0.5),
            layers.Dense(4, name="out"),
        ],
        name="mlp",
    )
    return trained(model, "adam", np.ones((4, 8), "float32"))


def convolutional(keras: Any) -> Any:
    layers = keras.layers
    inputs = layers.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, padding="same", name="conv1")(inputs)
    x = first = layers.ReLU()(layers.BatchNormalization(name="bn1")(x))
    for number in (2, 3):
        x = layers.Conv2D(8, 3, padding="same", use_bias=False, name=f"conv{number}")(x)
        x = layers.ReLU()(layers.BatchNormalization(name=f"bn{number}")(x))
    x = layers.GlobalAveragePooling2D()(layers.Add()([x, first]))
    model = keras.Model(inputs, layers.Dense(2, name="head")(x), name="convolutional")
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9)
    return trained(model, optimizer, np.ones((2, 16, 16, 3), "float32"))


def text(keras: Any) -> Any:
    layers = keras.layers
    inputs = layers.Input((6,), dtype="int32")
    x = layers.Embedding(50, 8, name="embedding")(inputs)
    x = layers.LSTM(8, return_sequences=True, name="lstm")(x)
    x = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = layers.LayerNormalization(name="norm")(x)
    model = keras.Model(inputs, layers.Dense(1, name="out")(x), name="text")
    return trained(model, "adam", np.arange(12).reshape(2, 6))


def with_policy(keras: Any, policy: str) -> Any:
    before = keras.mixed_precision.global_policy() if hasattr(
        keras.mixed_precision, "global_policy"
    ) else keras.mixed_precision.dtype_policy()  # fmt: skip
    set_policy: Callable[[Any], None] = (
        getattr(keras.mixed_precision, "set_global_policy", None)
        or keras.mixed_precision.set_dtype_policy
    )
    set_policy(policy)
    try:
        layers = keras.layers
        model = keras.Sequential(
            [layers.Input((8,)), layers.Dense(5, name="a"), layers.Dense(2, name="b")],
            name=policy,
        )
        model(np.ones((1, 8), "float32"))
    finally:
        set_policy(before)
    return model


def subclassed(keras: Any) -> Any:
    layers = keras.layers

    class Subclassed(keras.Model):  # type: ignore[misc]  # Keras ships no types
        def __init__(self) -> None:
            super().__init__(name="subclassed")
            self.first = layers.Dense(6, name="first")
            self.blocks = [layers.Dense(6, name="block_0"), layers.Dense(3, name="block_1")]

        def call(self, inputs: Any) -> Any:
            x = self.first(inputs)
            for block in self.blocks:
                x = block(x)
            return x

    model = Subclassed()
    model(np.ones((2, 4), "float32"))
    return model


def preprocessing(keras: Any) -> Any:
    layers = keras.layers
    scale = layers.Normalization(name="scale")
    scale.adapt(np.arange(12, dtype="float32").reshape(4, 3))
    inputs = layers.Input((3,))
    return keras.Model(inputs, layers.Dense(2, name="out")(scale(inputs)), name="preprocessing")


def lookups(keras: Any) -> Any:
    layers = keras.layers
    word = layers.Input((1,), dtype="string", name="word")
    sentence = layers.Input((1,), dtype="string", name="sentence")
    vectors = layers.TextVectorization(output_sequence_length=4, name="vectors")
    vectors.adapt(np.array([" ".join(WORDS)]))
    looked = layers.StringLookup(vocabulary=WORDS, name="lookup")(word)
    x = layers.Embedding(6, 3, name="words")(looked)
    y = layers.Embedding(6, 3, name="sentences")(vectors(sentence))
    joined = layers.Concatenate(axis=1)([x, y])
    return keras.Model([word, sentence], layers.Dense(1, name="out")(joined), name="lookups")


def trained(model: Any, optimizer: Any, inputs: Any) -> Any:
    """Train for a step, so that nothing is zero any more."""
    model.compile(optimizer, "mse")
    targets = np.random.default_rng(0).random(model(inputs).shape).astype("float32")
    model.fit(inputs, targets, verbose=0)
    return model


class Expected:
    """Says of each saved artifact what its tensors hold, bit by bit."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cases: dict[str, Any] = {}

    def add(
        self,
        case: str,
        url: str,
        weights: Mapping[str, Any],
        optimizer: Mapping[str, Any] | None = None,
        *,
        others: bool = False,
    ) -> None:
        """Record a case.

        Args:
            case: Its name.
            url: Where it was saved.
            weights: The model's variables by the names that docs/names.md gives them.
            optimizer: The optimizer's, if the format holds them.
            others: Whether there may be weights besides.
        """
        arrays = {**weights, **(optimizer or {})}
        np.savez(
            self._folder / f"{case.replace('/', '-')}.npz",
            **{
                str(number): np.ascontiguousarray(array).reshape(-1).view("uint8")
                for number, array in enumerate(arrays.values())
            },  # type: ignore[arg-type]  # mypy takes them for allow_pickle
        )
        self._cases[case] = {
            "url": url,
            "weights": list(weights),
            "optimizer": list(optimizer or {}),
            "others": others,
            "arrays": [
                [name, array.dtype.name, list(array.shape)] for name, array in arrays.items()
            ],
        }

    def write(self) -> None:
        (self._folder / "expected.json").write_text(json.dumps(self._cases))


def arrays_of(variables: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {name: np.asarray(variable.numpy()) for name, variable in variables}
