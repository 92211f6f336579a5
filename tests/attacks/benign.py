"""Models that nobody made to harm: of every kind, and none may be refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

__all__ = ["Model", "custom_objects", "makers"]

Model = Any

WORDS = ["one", "two", "three"]

NUMBERS = np.arange(12, dtype="float32").reshape(3, 4)


def custom_objects(keras: Any) -> dict[str, Any]:
    """What the caller gives to load the models."""

    class Doubled(keras.layers.Dense):  # type: ignore[misc]  # Keras ships no types
        def call(self, inputs: Any) -> Any:
            return super().call(inputs) * 2

    def halved(inputs: Any) -> Any:
        return inputs / 2

    return {"Doubled": Doubled, "halved": halved}


def makers(  # noqa: C901 - one each
    keras: Any, given: dict[str, Any]
) -> dict[str, Callable[[], Model]]:
    """Return the makers of models by name."""
    L = keras.layers  # noqa: N806 - as everybody calls it

    def of(*layers: Any, shape: Any = (4,), dtype: str = "float32") -> Model:
        return keras.Sequential([L.Input(shape, dtype=dtype), *layers])

    def compiled() -> Model:
        model = of(L.Dense(3, activation="relu"), L.Dense(1))
        model.compile(
            keras.optimizers.Adam(0.01), keras.losses.MeanSquaredError(),
            metrics=["mae", keras.metrics.RootMeanSquaredError()],
        )  # fmt: skip
        model.fit(NUMBERS, np.ones((3, 1)), verbose=0)
        return model

    def scheduled() -> Model:
        model = of(L.Dense(2, activation="softmax"))
        schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
        model.compile(keras.optimizers.SGD(schedule, momentum=0.9), "categorical_crossentropy")
        return model

    def nested() -> Model:
        inner = of(L.Dense(3), L.BatchNormalization())
        x = keras.Input((4,))
        return keras.Model(x, L.Dense(2)(inner(x)))

    def shared() -> Model:
        layer, x = L.Dense(4), keras.Input((4,))
        return keras.Model(x, L.Add()([layer(x), layer(layer(x))]))

    def several() -> Model:
        x, y = keras.Input((4,), name="x"), keras.Input((4,), name="y")
        model = keras.Model([x, y], [L.Dense(2, name="a")(x), L.Concatenate(name="b")([x, y])])
        model.compile("adam", {"a": "mse", "b": "mae"}, loss_weights={"a": 1.0, "b": 0.5})
        return model

    def attention() -> Model:
        x = keras.Input((5, 8))
        return keras.Model(x, L.MultiHeadAttention(2, 4)(x, x))

    def text() -> Model:
        layer = L.TextVectorization(output_sequence_length=4)
        layer.adapt(["one two", "two three"])
        return of(layer, L.Embedding(10, 3), shape=(1,), dtype="string")

    def lookup() -> Model:
        return of(
            L.StringLookup(vocabulary=WORDS, output_mode="one_hot"), shape=(1,), dtype="string"
        )

    def integers() -> Model:
        return of(L.IntegerLookup(vocabulary=[3, 5, 8]), shape=(1,), dtype="int64")

    def normalised() -> Model:
        layer = L.Normalization()
        layer.adapt(NUMBERS)
        return of(layer, L.Dense(1))

    def operations() -> Model:
        x = keras.Input((4,))
        y = keras.ops.concatenate([x * 2 + 1, x[:, :2]], axis=1) if hasattr(keras, "ops") else None
        if y is None:
            y = tf.math.reduce_sum(tf.concat([x * 2 + 1, x[:, :2]], 1), axis=1, keepdims=True)
        return keras.Model(x, L.Dense(2)(y))

    def decided() -> Model:
        return of(
            L.Dense(
                3,
                kernel_initializer=keras.initializers.VarianceScaling(2.0),
                kernel_regularizer=keras.regularizers.L1L2(0.1, 0.2),
                kernel_constraint=keras.constraints.MaxNorm(2.0),
                activity_regularizer=keras.regularizers.L2(0.1),
            )
        )

    def stacked() -> Model:
        return of(L.RNN([L.LSTMCell(3), L.GRUCell(2)]), shape=(5, 4))

    def half() -> Model:
        return of(L.Dense(3, dtype="mixed_float16"), L.Dense(1, dtype="float32"))

    def images() -> Model:
        return of(
            L.Rescaling(1 / 255), L.RandomFlip("horizontal"), L.RandomRotation(0.1),
            L.CenterCrop(6, 6), L.Conv2D(2, 3), shape=(8, 8, 3),
        )  # fmt: skip

    initialiser = "zeros" if hasattr(keras, "ops") else tf.constant_initializer(0.5)
    makers: dict[str, Callable[[], Model]] = {
        "function of TensorFlow": lambda: of(L.Dense(3, activation=tf.nn.relu)),
        "initialiser of TensorFlow": lambda: of(L.Dense(3, bias_initializer=initialiser)),
        "dense": lambda: of(L.Dense(3), L.ReLU(), L.Dense(2, activation="gelu")),
        "embedding": lambda: of(L.Embedding(9, 3), L.GlobalAveragePooling1D(), dtype="int32"),
        "lstm": lambda: of(L.LSTM(3, return_sequences=True), L.LSTM(2), shape=(5, 4)),
        "bidirectional": lambda: of(L.Bidirectional(L.GRU(3)), shape=(5, 4)),
        "time distributed": lambda: of(L.TimeDistributed(L.Dense(3)), shape=(5, 4)),
        "conv": lambda: of(L.Conv2D(2, 3), L.BatchNormalization(), L.Flatten(), L.Dense(2),
                           shape=(8, 8, 3)),
        "separable": lambda: of(L.SeparableConv2D(2, 3), L.DepthwiseConv2D(3), shape=(8, 8, 3)),
        "conv1d": lambda: of(L.Conv1D(2, 3), L.MaxPooling1D(), L.Dropout(0.5), shape=(8, 3)),
        "conv lstm": lambda: of(L.ConvLSTM2D(2, 2), shape=(3, 6, 6, 2)),
        "buckets": lambda: of(L.Discretization([0.0, 1.0]), shape=(1,)),
        "categories": lambda: of(L.CategoryEncoding(4, output_mode="multi_hot"), dtype="int32"),
        "hashing": lambda: of(L.Hashing(5), shape=(1,), dtype="string"),
        "noise": lambda: of(L.GaussianNoise(0.1), L.LayerNormalization(), L.PReLU()),
        "given layer": lambda: of(given["Doubled"](3)),
        "given activation": lambda: of(L.Dense(3, activation=given["halved"])),
    }  # fmt: skip
    named = (compiled, scheduled, nested, shared, several, attention, text, lookup, integers,
             normalised, operations, decided, stacked, half, images)  # fmt: skip
    makers.update({each.__name__: each for each in named})
    if keras.__name__ == "keras":
        makers.update(_of_keras_3(keras, of))
    return makers


def _of_keras_3(keras: Any, of: Callable[..., Model]) -> dict[str, Callable[[], Model]]:
    L = keras.layers  # noqa: N806 - as above

    def quantised() -> Model:
        model = of(L.Dense(8), L.Dense(2))
        model.quantize("int8")
        return model

    def adapted() -> Model:
        layer = L.Dense(8)
        model = of(layer, L.Dense(2))
        layer.enable_lora(2)
        return model

    @keras.saving.register_keras_serializable("attacks")
    class Registered(keras.Model):  # type: ignore[misc]  # Keras ships no types
        def __init__(self, units: int = 3, **options: Any) -> None:
            super().__init__(**options)
            self.units, self.inside = units, L.Dense(units)

        def call(self, inputs: Any) -> Any:
            return self.inside(inputs)

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    def registered() -> Model:
        model = Registered()
        model(NUMBERS)
        return model

    def grouped() -> Model:
        x = keras.Input((5, 8))
        return keras.Model(x, L.GroupQueryAttention(4, 2, 1)(x, x))

    return {each.__name__: each for each in (quantised, adapted, registered, grouped)}
