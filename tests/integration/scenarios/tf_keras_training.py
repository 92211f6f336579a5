"""tf_keras models of every kind: what was trained goes on as if it had never been saved."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import remote_models as rm
from integration.scenarios.harness import (
    assert_same_arrays,
    assert_same_outputs,
    assert_trains_on_equally,
    batch,
    case,
    scenario,
)
from remote_models.errors import ArgumentError, FormatError

legacy = keras.optimizers.legacy

OPTIMIZERS: Mapping[str, Callable[[], Any]] = {
    "sgd": lambda: keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
    "adam": lambda: keras.optimizers.Adam(0.01, amsgrad=True),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.01),
    "clipped": lambda: keras.optimizers.Adamax(0.01, clipnorm=1.0),
    "averaged": lambda: keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9),
    "scheduled": lambda: keras.optimizers.Adam(
        keras.optimizers.schedules.ExponentialDecay(0.05, decay_steps=2, decay_rate=0.5)
    ),
}

LEGACY_OPTIMIZERS: Mapping[str, Callable[[], Any]] = {
    "legacy sgd": lambda: legacy.SGD(0.01, momentum=0.9),
    "legacy adam": lambda: legacy.Adam(0.01, amsgrad=True),
    "legacy rmsprop": lambda: legacy.RMSprop(0.01, momentum=0.5, centered=True),
    "legacy adagrad": lambda: legacy.Adagrad(0.05),
}

FORMATS = ("model", "model.h5", "model.keras")


def small(optimizer: Any, **options: Any) -> Any:
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(5, activation="tanh"), keras.layers.Dense(1)]
    )
    model.compile(optimizer=optimizer, loss="mse", **options)
    return model


def slots(optimizer: Any) -> list[Any]:
    """Iterations and slots of either kind of optimizer."""
    if isinstance(optimizer, legacy.Optimizer):
        return list(optimizer.get_weights())
    variables = optimizer.variables
    return [each.numpy() for each in (variables() if callable(variables) else variables)]


def goes_on(optimizer: Any, url: str) -> None:
    inputs, targets = batch(6)
    model = small(optimizer)
    model.fit(inputs, targets, epochs=2, batch_size=8, shuffle=False, verbose=0)
    rm.save_model(model, url)
    loaded = rm.load_model(url)
    assert type(loaded.optimizer) is type(model.optimizer)
    assert loaded.optimizer.get_config() == model.optimizer.get_config()
    assert int(loaded.optimizer.iterations) == 4
    assert_same_arrays(slots(loaded.optimizer), slots(model.optimizer))
    assert_trains_on_equally(model, loaded, inputs, targets)


@scenario("memory")
def optimizers_in_saved_model(base: str) -> None:
    for name, make in OPTIMIZERS.items():
        with case(name):
            goes_on(make(), f"{base}/{name}")


@scenario("memory")
def optimizers_in_files(base: str) -> None:
    for name in ("sgd", "adam", "averaged", "scheduled"):
        for suffix in (".h5", ".keras"):
            with case(name + suffix):
                goes_on(OPTIMIZERS[name](), f"{base}/{name}{suffix}")


@scenario("memory")
def legacy_optimizers_in_saved_model(base: str) -> None:
    for name, make in LEGACY_OPTIMIZERS.items():
        with case(name):
            goes_on(make(), f"{base}/{name}")


@scenario("memory")
def legacy_optimizers_in_h5(base: str) -> None:
    for name, make in LEGACY_OPTIMIZERS.items():
        with case(name):
            goes_on(make(), f"{base}/{name}.h5")


@scenario("memory")
def optimizer_state_survives_saving_again(base: str) -> None:
    """Loaded and saved without a step in between, as a copying job would."""
    inputs, targets = batch(6)
    for name in ("adam", "legacy adam"):
        make = {**OPTIMIZERS, **LEGACY_OPTIMIZERS}[name]
        with case(name):
            model = small(make())
            model.fit(inputs, targets, epochs=2, batch_size=8, shuffle=False, verbose=0)
            rm.save_model(model, f"{base}/{name} 1")
            rm.save_model(rm.load_model(f"{base}/{name} 1"), f"{base}/{name} 2")
            loaded = rm.load_model(f"{base}/{name} 2")
            assert_same_arrays(slots(loaded.optimizer), slots(model.optimizer))
            assert_trains_on_equally(model, loaded, inputs, targets)


@scenario("memory")
def optimizer_state_in_checkpoint(base: str) -> None:
    inputs, targets = batch(6)
    for name in ("adam", "legacy adam", "rmsprop"):
        make = {**OPTIMIZERS, **LEGACY_OPTIMIZERS}[name]
        with case(name):
            model, other = small(make()), small(make())
            model.fit(inputs, targets, batch_size=8, verbose=0)
            other.train_on_batch(inputs[:1], targets[:1])
            rm.save_weights(model, f"{base}/{name}")
            rm.load_weights(other, f"{base}/{name}").assert_existing_objects_matched()
            assert_same_arrays(slots(other.optimizer), slots(model.optimizer))
            assert_trains_on_equally(model, other, inputs, targets)


@scenario("memory", "s3")
def mixed_precision(base: str) -> None:
    inputs, targets = batch(6)
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = small("adam")
        model.fit(inputs, targets, batch_size=8, shuffle=False, verbose=0)
        assert isinstance(model.optimizer, keras.mixed_precision.LossScaleOptimizer)
        for name in FORMATS:
            with case(name):
                rm.save_model(model, f"{base}/{name}")
                loaded = rm.load_model(f"{base}/{name}")
                assert loaded.layers[0].compute_dtype == "float16"
                assert loaded.layers[0].kernel.dtype == "float32"
                assert type(loaded.optimizer) is type(model.optimizer)
                assert_same_outputs(model, loaded, inputs)
                if name != "model.h5":  # Keras itself restores no scaled optimizer from .h5
                    assert_same_arrays(slots(loaded.optimizer), slots(model.optimizer))
    finally:
        keras.mixed_precision.set_global_policy("float32")


@scenario("memory", "gs")
def not_compiled_on_request(base: str) -> None:
    inputs, targets = batch(6)
    model = small("adam")
    model.fit(inputs, targets, verbose=0)
    for name in FORMATS:
        with case(name):
            rm.save_model(model, f"{base}/{name}")
            loaded = rm.load_model(f"{base}/{name}", compile=False)
            with pytest.raises(RuntimeError, match="must compile"):
                loaded.evaluate(inputs, targets, verbose=0)
            assert_same_outputs(model, loaded, inputs)


@scenario("memory")
def without_optimizer(base: str) -> None:
    inputs, targets = batch(6)
    model = small("adam")
    model.fit(inputs, targets, verbose=0)
    sizes = {}
    for name in ("model", "model.h5"):
        for kept in (True, False):
            with case((name, kept)):
                rm.save_model(model, f"{base}/{name}", include_optimizer=kept)
                sizes[name, kept] = rm.open_model(f"{base}/{name}").total_size
        loaded = rm.load_model(f"{base}/{name}")
        assert loaded.optimizer is None or int(loaded.optimizer.iterations) == 0
        assert_same_outputs(model, loaded, inputs)
        assert sizes[name, False] < sizes[name, True]
    with pytest.raises(FormatError, match="optimizer"):
        rm.save_model(model, f"{base}/model.keras", include_optimizer=False)
    with pytest.raises(rm.errors.ModelNotFoundError):
        rm.open_model(f"{base}/model.keras")


@scenario("memory", "s3")
def losses_and_metrics(base: str) -> None:
    def custom_loss(true: Any, predicted: Any) -> Any:
        return tf.reduce_mean(tf.abs(true - predicted) ** 1.5, axis=-1)

    inputs, targets = batch(6)
    model = small("adam")
    model.compile(
        optimizer="adam",
        loss=custom_loss,
        metrics=["mae", keras.metrics.RootMeanSquaredError(name="rmse")],
        loss_weights=[0.5],
    )
    model.fit(inputs, targets, verbose=0)
    expected = model.evaluate(inputs, targets, verbose=0, return_dict=True)
    assert set(expected) == {"loss", "mae", "rmse"}
    for name in FORMATS:
        with case(name):
            rm.save_model(model, f"{base}/{name}")
            loaded = rm.load_model(f"{base}/{name}", custom_objects={"custom_loss": custom_loss})
            found = loaded.evaluate(inputs, targets, verbose=0, return_dict=True)
            assert set(found) == set(expected)
            for key, value in expected.items():
                np.testing.assert_allclose(found[key], value, rtol=1e-5, atol=1e-6)


@scenario("memory", "s3")
def batch_normalization(base: str) -> None:
    inputs, targets = batch(6)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(5, trainable=False),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(1),
        ]
    )
    model.compile("sgd", "mse")
    model.fit(inputs, targets, epochs=3, batch_size=4, verbose=0)
    moving = model.layers[1].moving_mean.numpy()
    assert np.any(moving != 0)
    for name in FORMATS:
        with case(name):
            rm.save_model(model, f"{base}/{name}")
            loaded = rm.load_model(f"{base}/{name}")
            np.testing.assert_array_equal(loaded.layers[1].moving_mean, moving)
            assert_same_arrays(loaded.layers[1].weights, model.layers[1].weights)
            assert not loaded.layers[0].trainable
            assert_same_outputs(model, loaded, inputs)
            before = loaded.layers[0].get_weights()
            loaded.fit(inputs, targets, verbose=0)
            assert_same_arrays(loaded.layers[0].weights, before)


def multi_input() -> Any:
    left, right = keras.Input((4,), name="left"), keras.Input((3,), name="right")
    shared = keras.layers.Dense(4, name="shared")
    padded = keras.layers.Dense(4)(right)
    joined = keras.layers.Concatenate()([shared(left), shared(padded)])
    return keras.Model(
        {"left": left, "right": right},
        {
            "a": keras.layers.Dense(1, name="a")(joined),
            "b": keras.layers.Dense(2, name="b")(joined),
        },
    )


@scenario("memory", "gs")
def many_inputs_and_outputs(base: str) -> None:
    model = multi_input()
    random = np.random.default_rng(0)
    inputs = {
        "left": random.random((3, 4), dtype="float32"),
        "right": random.random((3, 3), dtype="float32"),
    }
    for name in FORMATS:
        with case(name):
            rm.save_model(model, f"{base}/{name}")
            loaded = rm.load_model(f"{base}/{name}")
            expected, found = model(inputs), loaded(inputs)
            assert set(found) == {"a", "b"}
            for key in expected:
                np.testing.assert_allclose(found[key], expected[key], rtol=1e-5, atol=1e-6)
            assert len(loaded.weights) == len(model.weights)


@scenario("memory")
def recurrent_and_convolutional(base: str) -> None:
    model = keras.Sequential(
        [
            keras.Input((4, 3)),
            keras.layers.Conv1D(4, 3, padding="same"),
            keras.layers.Bidirectional(keras.layers.GRU(3)),
            keras.layers.Dense(1),
        ]
    )
    inputs = np.random.default_rng(0).random((2, 4, 3), dtype="float32")
    for name in FORMATS:
        with case(name):
            rm.save_model(model, f"{base}/{name}")
            assert_same_outputs(model, rm.load_model(f"{base}/{name}"), inputs)


def vocabulary_model(vocabulary: Any) -> Any:
    inputs = keras.Input((1,), dtype=tf.string)
    x = keras.layers.StringLookup(vocabulary=vocabulary, output_mode="multi_hot")(inputs)
    return keras.Model(inputs, keras.layers.Dense(2)(x))


@scenario("local", "s3", "gs")
def assets(base: str) -> None:
    """A vocabulary file travels in ``assets/``, and again when the loaded model is saved."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "words.txt")
        path.write_text("red\ngreen\nblue\n")
        model = vocabulary_model(str(path))
        inputs = tf.constant([["green"], ["blue"], ["unknown"]])
        expected = model(inputs)
        rm.save_model(model, f"{base}/first")
        assert "assets/words.txt" in rm.open_model(f"{base}/first").files
    loaded = rm.load_model(f"{base}/first")  # the file of the first process is gone
    np.testing.assert_allclose(loaded(inputs), expected, rtol=1e-6, atol=1e-6)
    rm.save_model(loaded, f"{base}/second")
    assert "assets/words.txt" in rm.open_model(f"{base}/second").files
    del loaded, model  # and with them the copy that they were read from
    assert not temporary_copies()
    np.testing.assert_allclose(
        rm.load_model(f"{base}/second")(inputs), expected, rtol=1e-6, atol=1e-6
    )


@scenario("memory")
def assets_of_every_lookup_layer(base: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        words, numbers = Path(folder, "words.txt"), Path(folder, "numbers.txt")
        words.write_text("red\ngreen\n")
        numbers.write_text("3\n5\n")
        text = keras.Input((1,), dtype=tf.string)
        number = keras.Input((1,), dtype=tf.int64)
        tokens = keras.layers.TextVectorization(vocabulary=str(words))(text)
        model = keras.Model(
            [text, number],
            [
                keras.layers.Embedding(9, 2)(tokens),
                keras.layers.IntegerLookup(vocabulary=str(numbers), output_mode="one_hot")(number),
            ],
        )
        rm.save_model(model, f"{base}/0")
    inputs = [tf.constant([["green red"]]), tf.constant([[5]])]
    expected = model(inputs)
    for generation in range(2):
        loaded = rm.load_model(f"{base}/{generation}")
        rm.save_model(loaded, f"{base}/{generation + 1}")
        files = rm.open_model(f"{base}/{generation + 1}").files
        assert {"assets/words.txt", "assets/numbers.txt"} <= set(files)
        for found, wanted in zip(loaded(inputs), expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6)


class Table(keras.layers.Layer):  # type: ignore[misc] # keras has no types
    """A lookup that Keras knows nothing about."""

    def __init__(self, path: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = path
        line = tf.lookup.TextFileIndex.LINE_NUMBER
        whole = tf.lookup.TextFileIndex.WHOLE_LINE
        initializer = tf.lookup.TextFileInitializer(path, tf.string, whole, tf.int64, line)
        self.table = tf.lookup.StaticHashTable(initializer, -1)

    def call(self, inputs: Any) -> Any:
        return self.table.lookup(inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "path": self.path}


@scenario("memory", "s3")
def asset_of_a_revived_layer(base: str) -> None:
    inputs = tf.constant([["green"], ["nothing"]])
    with tempfile.TemporaryDirectory() as folder:
        words = Path(folder, "words.txt")
        words.write_text("red\ngreen\n")
        model = keras.Sequential([keras.Input((1,), dtype=tf.string), Table(str(words))])
        expected = model(inputs)
        rm.save_model(model, f"{base}/first")
    loaded = rm.load_model(f"{base}/first")
    rm.save_model(loaded, f"{base}/second")
    del loaded, model
    assert not temporary_copies()
    np.testing.assert_array_equal(rm.load_model(f"{base}/second")(inputs), expected)


@scenario("memory")
def asset_that_tensorflow_lost_sight_of(base: str) -> None:
    """Without our care Keras would save the path of a copy that is about to go."""
    with tempfile.TemporaryDirectory() as folder:
        words = Path(folder, "words.txt")
        words.write_text("red\ngreen\n")
        rm.save_model(vocabulary_model(str(words)), f"{base}/first")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("remote_models.frameworks.tf_keras.track_assets", lambda _model: None)
        loaded = rm.load_model(f"{base}/first")
    with pytest.raises(FormatError, match="reads a file of the artifact"):
        rm.save_model(loaded, f"{base}/second")
    with pytest.raises(rm.errors.ModelNotFoundError):
        rm.open_model(f"{base}/second")


@scenario("memory", "s3")
def text_vectorization(base: str) -> None:
    layer = keras.layers.TextVectorization(output_mode="tf_idf", max_tokens=20)
    layer.adapt(["the quick brown fox", "the lazy dog"])
    model = keras.Sequential([keras.Input((1,), dtype=tf.string), layer, keras.layers.Dense(2)])
    inputs = tf.constant([["the fox"], ["a lazy dog"]])
    expected = model(inputs)
    for name in ("first", "second"):
        rm.save_model(model, f"{base}/{name}")
        model = rm.load_model(f"{base}/{name}")
        assert model.layers[0].get_vocabulary() == layer.get_vocabulary()
        np.testing.assert_allclose(model(inputs), expected, rtol=1e-6, atol=1e-6)


class Doubling(keras.Model):  # type: ignore[misc] # keras has no types
    def __init__(self, units: int = 3) -> None:
        super().__init__()
        self.units = units
        self.dense = keras.layers.Dense(units)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs) * 2.0

    def get_config(self) -> dict[str, Any]:
        return {"units": self.units}


@scenario("memory", "gs")
def revived_model_trains_on(base: str) -> None:
    """Without its class a subclassed model still learns, with the optimizer's state."""
    inputs, targets = batch(6)
    model = Doubling(1)
    model.compile("adam", "mse")
    model.fit(inputs, targets, batch_size=8, shuffle=False, verbose=0)
    rm.save_model(model, f"{base}/model")
    loaded = rm.load_model(f"{base}/model")
    assert type(loaded) is not Doubling
    assert_same_arrays(slots(loaded.optimizer), slots(model.optimizer))
    assert_trains_on_equally(model, loaded, inputs, targets)


@scenario("memory")
def subclassed_model_with_class_trains_on(base: str) -> None:
    inputs, targets = batch(6)
    model = Doubling(1)
    model.compile("adam", "mse")
    model.fit(inputs, targets, batch_size=8, shuffle=False, verbose=0)
    rm.save_model(model, f"{base}/model")
    loaded = rm.load_model(f"{base}/model", custom_objects={"Doubling": Doubling})
    assert type(loaded) is Doubling
    assert_same_outputs(model, loaded, inputs)
    assert_same_arrays(slots(loaded.optimizer), slots(model.optimizer))
    assert_trains_on_equally(model, loaded, inputs, targets)


@scenario("memory")
def subclassed_model_has_no_h5(base: str) -> None:
    """Keras' own refusal; the store stays empty."""
    model = Doubling()
    model(np.ones((1, 6), dtype="float32"))
    with pytest.raises(NotImplementedError):
        rm.save_model(model, f"{base}/model.h5")
    with pytest.raises(rm.errors.ModelNotFoundError):
        rm.open_model(f"{base}/model.h5")


@scenario("memory", "s3")
def signatures(base: str) -> None:
    model = small("adam")

    @tf.function(input_signature=[tf.TensorSpec([None, 6], tf.float32)])  # type: ignore[untyped-decorator] # tensorflow has no types
    def score(inputs: Any) -> Any:
        return {"score": model(inputs) + 1.0}

    rm.save_model(model, f"{base}/model", signatures={"score": score})
    loaded = rm.load_model(f"{base}/model")
    inputs, _ = batch(6)
    found = loaded.signatures["score"](tf.constant(inputs))["score"]
    np.testing.assert_allclose(found, model(inputs) + 1.0, rtol=1e-5, atol=1e-6)
    with pytest.raises(ArgumentError, match="signatures"):
        rm.save_model(model, f"{base}/model.h5", signatures={"score": score})


@scenario("memory")
def without_traces(base: str) -> None:
    inputs, _ = batch(6)
    model = small("adam")
    rm.save_model(model, f"{base}/traced")
    rm.save_model(model, f"{base}/plain", save_traces=False)
    assert rm.open_model(f"{base}/plain").total_size < rm.open_model(f"{base}/traced").total_size
    assert_same_outputs(model, rm.load_model(f"{base}/plain"), inputs)
    with pytest.raises(ArgumentError, match="traces"):
        rm.save_model(model, f"{base}/model.keras", save_traces=False)


@scenario("local", "s3")
def served_by_plain_tensorflow(base: str) -> None:
    """What lies in the store is a SavedModel, no more and no less, beside the manifest."""
    inputs, _ = batch(6)
    model = small("adam")
    rm.save_model(model, f"{base}/model")
    with tempfile.TemporaryDirectory() as folder:
        rm.pull_model(f"{base}/model", f"{folder}/model")
        loaded = tf.saved_model.load(f"{folder}/model")
        found = loaded.signatures["serving_default"](tf.constant(inputs))
        np.testing.assert_allclose(next(iter(found.values())), model(inputs), rtol=1e-5, atol=1e-6)
        assert_same_outputs(model, keras.models.load_model(f"{folder}/model"), inputs)


@scenario("memory")
def plain_keras_opens_the_files(base: str) -> None:
    inputs, _ = batch(6)
    model = small("adam")
    for name in ("model.h5", "model.keras"):
        rm.save_model(model, f"{base}/{name}")
        with tempfile.TemporaryDirectory() as folder:
            (path,) = rm.pull_model(f"{base}/{name}", f"{folder}/model")
            assert path.name == name
            assert_same_outputs(model, keras.models.load_model(path), inputs)


@scenario("memory")
def temporary_copy_goes_with_the_model(base: str) -> None:
    """The copy that TensorFlow may read again goes together with the model."""
    model = small("adam")
    rm.save_model(model, f"{base}/model")
    before = temporary_copies()
    loaded = rm.load_model(f"{base}/model")
    assert len(temporary_copies() - before) == 1
    del loaded
    assert temporary_copies() == before


@scenario("memory")
def nothing_is_left_in_the_temporary_folder(base: str) -> None:
    inputs, targets = batch(6)
    model = small("adam")
    model.fit(inputs, targets, verbose=0)
    before = temporary_copies()
    rm.save_model(model, f"{base}/model")
    rm.save_weights(model, f"{base}/weights")
    rm.save_architecture(model, f"{base}/model.json")
    for name in ("model.h5", "model.keras"):
        rm.save_model(model, f"{base}/{name}")
        rm.load_model(f"{base}/{name}")
    rm.load_architecture(f"{base}/model.json")
    with pytest.raises(FormatError):
        rm.load_model(f"{base}/weights")
    assert temporary_copies() == before


def temporary_copies() -> set[Path]:
    gc.collect()  # models are cycles
    return set(Path(tempfile.gettempdir()).glob(".remote_models-*"))


@scenario("local", "s3")
def failed_save_leaves_the_old_model(base: str) -> None:
    """A save that fails half-way has published nothing."""

    def half(told: rm.TransferProgress) -> None:
        if told.transferred:
            raise OSError("the disk went away")

    inputs, targets = batch(6)
    old = small("adam")
    old.fit(inputs, targets, verbose=0)
    for name in FORMATS:
        with case(name):
            url = f"{base}/{name}"
            digest = rm.save_model(old, url).digest
            with pytest.raises(OSError, match="went away"):
                rm.save_model(small("sgd"), url, progress=half)
            assert rm.open_model(url).manifest.digest == digest  # type: ignore[union-attr]
            assert rm.verify_model(url).ok
            assert_same_outputs(old, rm.load_model(url), inputs)


@scenario("local", "memory", "s3", "gs")
def model_without_config_leaves_the_store_untouched(base: str) -> None:
    class Broken(keras.layers.Dense):  # type: ignore[misc] # keras has no types
        def get_config(self) -> dict[str, Any]:
            raise RuntimeError("no configuration today")

    model = keras.Sequential([keras.Input((6,)), Broken(1)])
    for save, name in [
        (rm.save_model, "model.h5"),
        (rm.save_model, "model.keras"),
        (rm.save_architecture, "model.json"),
    ]:
        with case(name):
            with pytest.raises(RuntimeError, match="today"):
                save(model, f"{base}/{name}")
            with pytest.raises(rm.errors.ModelNotFoundError):
                rm.open_model(f"{base}/{name}")


@scenario("local", "s3")
def overwriting_and_not(base: str) -> None:
    inputs, _ = batch(6)
    first, second = small("adam"), small("sgd")
    for name in FORMATS:
        with case(name):
            url = f"{base}/{name}"
            rm.save_model(first, url, overwrite=False)
            with pytest.raises(rm.errors.ModelExistsError, match="overwrite=True"):
                rm.save_model(second, url, overwrite=False)
            assert_same_outputs(first, rm.load_model(url), inputs)
            rm.save_model(second, url)
            assert_same_outputs(second, rm.load_model(url), inputs)
            assert rm.verify_model(url).ok


@scenario("memory")
def keras3_formats_are_refused(base: str) -> None:
    with pytest.raises(FormatError, match="tf_keras cannot shard"):
        rm.save_weights(small("adam"), f"{base}/model.weights.json", max_shard_size=1)


@scenario("memory")
def weights_from_whole_models(base: str) -> None:
    """``load_weights`` takes them from whatever holds weights."""
    model = small("adam")
    for name in FORMATS:
        with case(name):
            rm.save_model(model, f"{base}/{name}")
            other = small("sgd")
            rm.load_weights(other, f"{base}/{name}")
            assert_same_arrays(other.weights, model.weights)
    rm.save_weights(model, f"{base}/model.weights.h5")
    other = small("sgd")
    rm.load_weights(other, f"{base}/model.weights.h5")
    assert_same_arrays(other.weights, model.weights)


@scenario("memory")
def exported_graph_is_no_keras_model(base: str) -> None:
    """A SavedModel without Keras' metadata is refused with what to do instead."""
    module = tf.Module()
    module.v = tf.Variable(1.0)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, f"{folder}/graph")
        rm.push_model(f"{folder}/graph", f"{base}/graph")
    with pytest.raises(FormatError, match=r"without Keras metadata.*tf\.saved_model\.load"):
        rm.load_model(f"{base}/graph", framework="tf_keras")


@scenario("memory")
def framework_by_name(base: str) -> None:
    model = small("adam")
    rm.save_model(model, f"{base}/model")
    assert isinstance(rm.load_model(f"{base}/model", framework="tf_keras"), keras.Model)
    assert not isinstance(rm.load_model(f"{base}/model", framework="keras"), keras.Model)
    with pytest.raises(ArgumentError, match="'keras' or 'tf_keras'"):
        rm.load_model(f"{base}/model", framework="torch")
