"""Models of Keras 2 that are more than one layer: how they are nested, called and compiled.

Uses nothing but what tf_keras has, and nothing of pytest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["compiled_cases", "learnt_cases", "model_cases", "operation_cases"]

Model = Any


def model_cases(keras: Any) -> dict[str, Callable[[], Model]]:  # noqa: C901, PLR0915 - one each
    """Return makers of models by the names of the cases."""
    L = keras.layers  # noqa: N806 - as everybody calls it

    def sequential() -> Model:
        return keras.Sequential([L.Dense(3, input_shape=(4,)), L.ReLU(), L.Dense(2)])

    def sequential_called() -> Model:
        model = keras.Sequential([L.Dense(3), L.Dense(2)])
        model(np.zeros((1, 4), "float32"))
        return model

    def nested() -> Model:
        inner = keras.Sequential([L.Input((4,)), L.Dense(3), L.BatchNormalization()], name="inner")
        x = keras.Input((4,))
        outer = keras.Model(x, L.Dense(4)(inner(x)), name="outer")
        y = keras.Input((4,))
        return keras.Model(y, L.Dense(2)(outer(y)))

    def nested_twice() -> Model:
        x, y = keras.Input((4,)), keras.Input((4,))
        tower = keras.Model(x, L.Dense(3)(x), name="tower")
        a, b = keras.Input((4,)), keras.Input((4,))
        both = L.Subtract()([tower(a), tower(b)])
        del y
        return keras.Model([a, b], [both, tower(a)])

    def nested_end() -> Model:
        x = keras.Input((4,))
        inner = keras.Sequential([L.Input((4,)), L.Dense(3)], name="inner")
        return keras.Model(x, inner(L.Dense(4)(x)))

    def nested_deferred() -> Model:
        x = keras.Input((4,))
        inner = keras.Sequential([L.Dense(3), L.Dense(3)], name="inner")
        return keras.Model(x, [inner(x), L.Dense(2)(inner(x))])

    def same_names() -> Model:
        def tower(name: str) -> Model:
            x = keras.Input((4,))
            return keras.Model(x, L.Dense(3, name="same")(L.Dense(4, name="first")(x)), name=name)

        x = keras.Input((4,))
        return keras.Model(x, L.Concatenate()([tower("left")(x), tower("right")(x)]))

    def swapped() -> Model:
        """The variables of each layer are called as the other layer is."""
        x = keras.Input((4,))
        first, second = L.Dense(4, name="first"), L.Dense(4, name="second")
        hidden = second(first(x))
        first._name, second._name = "second", "first"
        return keras.Model(x, hidden)

    def shared() -> Model:
        layer = L.Dense(4)
        x = keras.Input((4,))
        return keras.Model(x, L.Add()([layer(x), layer(layer(x))]))

    def frozen() -> Model:
        model = sequential()
        model.layers[0].trainable = False
        return model

    def arguments() -> Model:
        x = keras.Input((6,), dtype="int32")
        mask = keras.Input((6,), dtype="bool")
        hidden = L.Embedding(9, 3)(x)
        hidden = L.LSTM(3)(hidden, mask=mask)
        return keras.Model([x, mask], L.Dropout(0.5)(hidden, training=False))

    def dictionaries() -> Model:
        x, y = keras.Input((4,), name="x"), keras.Input((4,), name="y")
        return keras.Model({"x": x, "y": y}, {"sum": L.Add()([x, y]), "dense": L.Dense(2)(x)})

    def float16() -> Model:
        x = keras.Input((4,))
        return keras.Model(x, L.Dense(2, dtype="mixed_float16")(x))

    def slashes() -> Model:
        x = keras.Input((4,), name="in/put")
        hidden = L.Dense(3, name="a/b")(x)
        return keras.Model(x, L.Add()([hidden, L.Dense(3, name="a_b")(x)]))

    class Scaled(L.Layer):  # type: ignore[misc, name-defined]  # Keras ships no types
        def __init__(self, units: int = 4, **options: Any) -> None:
            super().__init__(**options)
            self.units = units
            self.inside = L.Dense(units)

        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(name="scale", shape=(self.units,))
            self.shift = self.add_weight(name="shift", shape=(self.units,), trainable=False)
            super().build(shape)

        def call(self, inputs: Any) -> Any:
            return self.inside(inputs) * self.scale + self.shift

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "units": self.units}

    def custom() -> Model:
        return keras.Sequential([L.Input((4,)), Scaled(4), Scaled(4), L.Dense(1)])

    cases = (custom, slashes, sequential, sequential_called, nested, nested_twice, nested_end,
             nested_deferred, same_names, swapped, shared, frozen, arguments, dictionaries,
             float16)  # fmt: skip
    return {f"model {each.__name__}": each for each in cases}


def operation_cases(keras: Any, tf: Any) -> dict[str, Callable[[], Model]]:
    """Return makers of models around functions of TensorFlow by the names of the cases."""

    def around(function: Callable[..., Any], *shapes: tuple[int, ...]) -> Callable[[], Model]:
        def make() -> Model:
            inputs = [keras.Input(shape) for shape in shapes or ((6, 4),)]
            return keras.Model(inputs, function(*inputs))

        return make

    pair = ((6, 4), (6, 4))
    image = ((8, 8, 4),)
    unary = ("abs", "negative", "exp", "square", "sin", "cos", "tan", "tanh", "sign", "floor",
             "ceil", "round", "expm1", "sigmoid", "softplus", "erf", "reciprocal")  # fmt: skip
    binary = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "floordiv",
              "floormod", "greater", "greater_equal", "less", "less_equal", "equal",
              "not_equal")  # fmt: skip
    cases: dict[str, Callable[[], Model]] = {
        **{f"tf.math.{name}": around(getattr(tf.math, name)) for name in unary},
        **{
            f"tf.math.{name} of a positive": around(
                lambda x, f=name: getattr(tf.math, f)(tf.abs(x) + 0.5)
            )
            for name in ("log", "sqrt", "rsqrt", "log1p")
        },
        **{f"tf.math.{name}": around(getattr(tf.math, name), *pair) for name in binary},
        **{
            f"tf.nn.{name}": around(getattr(tf.nn, name))
            for name in (
                "relu",
                "relu6",
                "elu",
                "selu",
                "softsign",
                "gelu",
                "leaky_relu",
                "log_softmax",
                "silu",
                "softmax",
            )
        },
        **{
            f"tf.reduce_{name}": around(
                lambda x, f=name: getattr(tf, f"reduce_{f}")(x, axis=[1, 2], keepdims=True)
            )
            for name in ("max", "mean", "min", "prod", "sum", "logsumexp")
        },
        "tf.math.reduce_std": around(lambda x: tf.math.reduce_std(x, -1)),
        "tf.math.reduce_variance": around(lambda x: tf.math.reduce_variance(x, 1)),
        "tf.reduce_all": around(lambda x: tf.reduce_all(x > 0.0, axis=1)),
        "tf.reduce_any": around(lambda x: tf.reduce_any(x > 0.0, axis=1)),
        "operators": around(lambda x, y: (1.0 - x) * y / 3.0 + 2 - x**2, *pair),
        "comparisons": around(
            lambda x, y: tf.logical_or(
                tf.logical_and(x > y, x < 0.5), tf.logical_not(tf.equal(x, y))
            ),
            *pair,
        ),
        "matmul": around(lambda x, y: x @ tf.transpose(y, (0, 2, 1)), *pair),
        "constants": around(lambda x: tf.add(x, [1.0, 2.0, 3.0, 4.0])),
        "slices": around(lambda x: x[:, 1:5:2, tf.newaxis, -1]),
        "slices with an ellipsis": around(lambda x: x[..., :2] + x[..., 2:]),
        "concat": around(lambda x, y: tf.concat([x, y], axis=-1), *pair),
        "stack": around(lambda x, y: tf.stack([x, y], axis=1), *pair),
        "reshape": around(lambda x: tf.reshape(x, (-1, 8, 3))),
        "expand_dims": around(lambda x: tf.squeeze(tf.expand_dims(x, 1), 1)),
        "split": around(lambda x: tf.split(x, 2, axis=-1)),
        "split in sizes": around(lambda x: tf.split(x, [1, 2, 3], axis=1)[1]),
        "cast": around(lambda x: tf.cast(x > 0.0, tf.float32)),
        "clip": around(lambda x: tf.clip_by_value(x, -0.2, 0.3)),
        "pad": around(lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 0]])),
        "pad reflecting": around(lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 0]], mode="REFLECT")),
        "tile": around(lambda x: tf.tile(x, [1, 2, 1])),
        "argmax": around(lambda x: tf.argmax(x, axis=-1)),
        "argmin": around(lambda x: tf.argmin(x, axis=-1)),
        "cumsum": around(lambda x: tf.cumsum(x, axis=1)),
        "l2_normalize": around(lambda x: tf.math.l2_normalize(x, axis=-1)),
        "where": around(lambda x, y: tf.where(x > 0.0, x, y), *pair),
        "one_hot": around(lambda x: tf.one_hot(tf.argmax(x, axis=-1), 4)),
        "gather": around(lambda x: tf.gather(x, [1, 3], axis=1)),
        "zeros_like": around(lambda x: tf.zeros_like(x) + tf.ones_like(x)),
        "identity": around(lambda x: tf.stop_gradient(tf.identity(x))),
        "image.resize": around(lambda x: tf.image.resize(x, (5, 11)), *image),
        "image.resize to the nearest": around(
            lambda x: tf.image.resize(x, (4, 16), method="nearest"), *image
        ),
        "depth_to_space": around(
            lambda x: tf.nn.space_to_depth(tf.nn.depth_to_space(x, 2), 4), *image
        ),
        "called twice": around(lambda x: tf.nn.relu(tf.nn.relu(x) - 0.1)),
    }
    return {f"function {name}": make for name, make in cases.items()}


def learnt_cases(keras: Any) -> dict[str, Callable[[], Model]]:
    """Return makers of models with layers that have learnt from data with ``adapt``."""
    L = keras.layers  # noqa: N806 - as everybody calls it

    def learnt(layer: Any, data: Any) -> Any:
        layer.adapt(np.array(data))
        return layer

    def words() -> Model:
        some = [["b"], ["a"], ["b"], ["d"]]
        x, y = keras.Input((4,), dtype="string"), keras.Input((1,), dtype="string")
        lookup = learnt(L.StringLookup(mask_token="", num_oov_indices=2), some)
        many = learnt(L.StringLookup(output_mode="multi_hot"), some)
        text = learnt(L.TextVectorization(output_sequence_length=3), [["b c"], ["b a"]])
        inner = keras.Input((1,), dtype="string")
        nested = keras.Model(inner, L.Embedding(5, 2)(text(inner)))
        return keras.Model([x, y], [lookup(x), many(x), nested(y)])

    def numbers() -> Model:
        x = keras.Input((4,), dtype="int64")
        return keras.Model(x, learnt(L.IntegerLookup(), [[3], [3], [1]])(x))

    def bins() -> Model:
        x = keras.Input((4,))
        layer = L.Discretization(num_bins=4)
        layer.adapt(np.random.default_rng(0).normal(size=(60, 1)).astype("float32"))
        return keras.Model(x, L.Dense(2)(L.CategoryEncoding(4)(layer(x))))

    return {"learnt words": words, "learnt numbers": numbers, "learnt bins": bins}


def compiled_cases(keras: Any) -> dict[str, Callable[[], Model]]:
    """Return makers of compiled models that have been trained for two steps."""
    L = keras.layers  # noqa: N806
    optimizers = keras.optimizers

    def trained(optimizer: Any, loss: Any = "mse", metrics: Any = None) -> Callable[[], Model]:
        def make() -> Model:
            model = keras.Sequential(
                [L.Input((4,)), L.Dense(3, activation="tanh"), L.BatchNormalization(), L.Dense(1)]
            )
            model.compile(
                optimizer() if callable(optimizer) else optimizer,
                loss,
                metrics=metrics or ["mae"],
                run_eagerly=True,  # a few steps are quicker so
            )
            return model

        return make

    schedules = optimizers.schedules
    cases = {
        "sgd": trained("sgd"),
        "SGD with momentum": trained(lambda: optimizers.SGD(0.01, momentum=0.9, nesterov=True)),
        "Adam": trained(lambda: optimizers.Adam(0.01, amsgrad=True, clipnorm=1.0)),
        "AdamW": trained(lambda: optimizers.AdamW(0.01, weight_decay=0.1)),
        "Adamax": trained(lambda: optimizers.Adamax(0.01)),
        "Nadam": trained(lambda: optimizers.Nadam(0.01)),
        "RMSprop": trained(lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True)),
        "Adagrad": trained(lambda: optimizers.Adagrad(0.01)),
        "Adadelta": trained(lambda: optimizers.Adadelta(0.5)),
        "Ftrl": trained(lambda: optimizers.Ftrl(0.01)),
        "Lion": trained(lambda: optimizers.Lion(0.01)),
        "with averages": trained(lambda: optimizers.Adam(0.01, use_ema=True)),
        "with a schedule": trained(
            lambda: optimizers.Adam(schedules.ExponentialDecay(0.01, 2, 0.5, staircase=True))
        ),
        "legacy Adam": trained(lambda: optimizers.legacy.Adam(0.01)),
        "legacy SGD with decay": trained(
            lambda: optimizers.legacy.SGD(0.01, momentum=0.9, decay=0.1)
        ),
        "legacy RMSprop": trained(lambda: optimizers.legacy.RMSprop(0.01)),
        "with a scaled loss": trained(
            lambda: keras.mixed_precision.LossScaleOptimizer(optimizers.Adam(0.01))
        ),
        "loss objects": trained(
            "adam",
            keras.losses.Huber(0.5),
            [keras.metrics.RootMeanSquaredError(name="rmse"), "mean_squared_logarithmic_error"],
        ),
        "binary": trained("adam", keras.losses.BinaryCrossentropy(from_logits=True), ["accuracy"]),
    }
    return {f"compiled {name}": make for name, make in cases.items()}
