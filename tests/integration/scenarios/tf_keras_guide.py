"""The examples of TensorFlow's guide "Save and load Keras models", on URLs.

``model.save(path)`` has become ``rm.save_model(model, url)``, and so on; see
https://www.tensorflow.org/guide/keras/save_and_serialize.
"""

from __future__ import annotations

import tempfile
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
    scenario,
)


def get_model() -> Any:
    inputs = keras.Input(shape=(32,))
    outputs = keras.layers.Dense(1)(inputs)
    model = keras.Model(inputs, outputs)
    model.compile(optimizer="adam", loss="mean_squared_error")
    return model


def trained() -> tuple[Any, Any, Any]:
    model = get_model()
    test_input = np.random.default_rng(0).random((128, 32))
    test_target = np.random.default_rng(1).random((128, 1))
    model.fit(test_input, test_target, verbose=0)
    return model, test_input, test_target


def assert_same_predictions(model: Any, reconstructed_model: Any, test_input: Any) -> None:
    np.testing.assert_allclose(
        model.predict(test_input, verbose=0),
        reconstructed_model.predict(test_input, verbose=0),
        rtol=1e-6,
        atol=1e-6,
    )


def three_layers(outputs: int = 10, name: str = "3_layer_mlp") -> Any:
    inputs = keras.Input(shape=(784,), name="digits")
    x = keras.layers.Dense(64, activation="relu", name="dense_1")(inputs)
    x = keras.layers.Dense(64, activation="relu", name="dense_2")(x)
    x = keras.layers.Dense(outputs, name="predictions")(x)
    return keras.Model(inputs=inputs, outputs=x, name=name)


def sequential() -> Any:
    return keras.Sequential(
        [
            keras.Input(shape=(784,), name="digits"),
            keras.layers.Dense(64, activation="relu", name="dense_1"),
            keras.layers.Dense(64, activation="relu", name="dense_2"),
            keras.layers.Dense(10, name="predictions"),
        ]
    )


def digits() -> Any:
    return np.random.default_rng(2).random((4, 784), dtype="float32")


@scenario()
def saved_model(base: str) -> None:
    model, test_input, test_target = trained()
    rm.save_model(model, f"{base}/my_model")
    reconstructed_model = rm.load_model(f"{base}/my_model")
    assert_same_predictions(model, reconstructed_model, test_input)
    # The reconstructed model is already compiled and has retained the optimizer
    # state, so training can resume.
    assert_same_arrays(reconstructed_model.optimizer.variables, model.optimizer.variables)
    assert_trains_on_equally(model, reconstructed_model, test_input, test_target)


@scenario("local", "s3")
def numbered_versions(base: str) -> None:
    model, test_input, test_target = trained()
    repository = rm.Repository(f"{base}/my_models")
    assert repository.save(model).number == 1
    before = model.get_weights()
    model.fit(test_input, test_target, verbose=0)
    assert repository.save(model).number == 2
    assert_same_arrays(repository.load(1).get_weights(), before)
    reconstructed_model = repository.load()
    assert_same_predictions(model, reconstructed_model, test_input)
    assert_same_arrays(reconstructed_model.optimizer.variables, model.optimizer.variables)
    with tempfile.TemporaryDirectory() as folder:
        for number in (1, 2):  # as TensorFlow Serving finds them
            rm.pull_model(repository.url(number), f"{folder}/{number}")
            assert "serving_default" in tf.saved_model.load(f"{folder}/{number}").signatures


@scenario("memory", "gs")
def saved_model_contains(base: str) -> None:
    """The guide lists the directory."""
    model, _, _ = trained()
    rm.save_model(model, f"{base}/my_model", save_format="tf")
    with_names = rm.open_model(f"{base}/my_model")
    assert set(with_names.files) == {
        "fingerprint.pb",
        "keras_metadata.pb",
        "saved_model.pb",
        "variables/variables.data-00000-of-00001",
        "variables/variables.index",
    }
    assert with_names.manifest is not None
    assert with_names.manifest.empty_directories == ("assets",)
    assert with_names.manifest.producer["tf_keras"] == keras.__version__


@scenario()
def h5(base: str) -> None:
    model, test_input, test_target = trained()
    rm.save_model(model, f"{base}/my_h5_model.h5")
    reconstructed_model = rm.load_model(f"{base}/my_h5_model.h5")
    assert_same_predictions(model, reconstructed_model, test_input)
    assert_same_arrays(reconstructed_model.optimizer.variables, model.optimizer.variables)
    assert_trains_on_equally(model, reconstructed_model, test_input, test_target)


@scenario()
def keras_archive(base: str) -> None:
    model, test_input, test_target = trained()
    rm.save_model(model, f"{base}/my_model.keras")
    reconstructed_model = rm.load_model(f"{base}/my_model.keras")
    assert_same_predictions(model, reconstructed_model, test_input)
    assert_same_arrays(reconstructed_model.optimizer.variables, model.optimizer.variables)
    assert_trains_on_equally(model, reconstructed_model, test_input, test_target)


@scenario("memory")
def format_by_word_beats_name(base: str) -> None:
    model, test_input, _ = trained()
    for word, magic in [("h5", b"\x89HDF"), ("keras", b"PK\x03\x04")]:
        rm.save_model(model, f"{base}/{word}", save_format=word)
        remote = rm.open_model(f"{base}/{word}")
        assert list(remote.files) == [word]
        with tempfile.TemporaryDirectory() as folder:
            (path,) = rm.pull_model(f"{base}/{word}", f"{folder}/pulled")
            assert path.read_bytes()[:4] == magic
        assert_same_outputs(model, rm.load_model(f"{base}/{word}"), test_input)


class CustomModel(keras.Model):  # type: ignore[misc] # keras has no types
    def __init__(self, hidden_units: list[int]) -> None:
        super().__init__()
        self.hidden_units = hidden_units
        self.dense_layers = [keras.layers.Dense(u) for u in hidden_units]

    def call(self, inputs: Any) -> Any:
        x = inputs
        for layer in self.dense_layers:
            x = layer(x)
        return x

    def get_config(self) -> dict[str, Any]:
        return {"hidden_units": self.hidden_units}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


@scenario("local", "s3", "gs")
def custom_model_with_and_without_its_class(base: str) -> None:
    model = CustomModel([16, 16, 10])
    input_arr = tf.random.uniform((1, 5))
    outputs = model(input_arr)
    rm.save_model(model, f"{base}/my_model")
    # Option 1: load with the custom_object argument.
    loaded_1 = rm.load_model(f"{base}/my_model", custom_objects={"CustomModel": CustomModel})
    assert type(loaded_1) is CustomModel
    # Option 2: load without the CustomModel class; it is revived from the graph.
    loaded_2 = rm.load_model(f"{base}/my_model")
    assert type(loaded_2) is not CustomModel
    np.testing.assert_allclose(loaded_1(input_arr), outputs, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(loaded_2(input_arr), outputs, rtol=1e-5, atol=1e-6)


@scenario("memory", "s3")
def custom_model_without_get_config(base: str) -> None:
    """Without a configuration the graph alone must do."""

    class Opaque(keras.Model):  # type: ignore[misc] # keras has no types
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs) * 2.0

        def get_config(self) -> dict[str, Any]:
            raise NotImplementedError

    model = Opaque()
    inputs = tf.random.uniform((2, 5))
    model(inputs)
    rm.save_model(model, f"{base}/opaque")
    assert_same_outputs(model, rm.load_model(f"{base}/opaque"), inputs)


@scenario("s3")
def revived_model_outlives_what_it_was_loaded_from(base: str) -> None:
    """TensorFlow reads variables of a revived model late; the copy must be there still."""
    model = CustomModel([4, 2])
    inputs = tf.random.uniform((2, 5))
    model(inputs)
    rm.save_model(model, f"{base}/model")
    loaded = rm.load_model(f"{base}/model", custom_objects={"CustomModel": CustomModel})
    other = CustomModel([3])
    other(inputs)
    rm.save_model(other, f"{base}/model")
    assert_same_outputs(model, loaded, inputs)


class CustomLayer(keras.layers.Layer):  # type: ignore[misc] # keras has no types
    def __init__(self, units: int = 32, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape: Any) -> None:
        self.w = self.add_weight("w", (input_shape[-1], self.units), initializer="random_normal")
        self.b = self.add_weight("b", (self.units,), initializer="random_normal")

    def call(self, inputs: Any) -> Any:
        return tf.matmul(inputs, self.w) + self.b

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


def custom_activation(x: Any) -> Any:
    return tf.nn.tanh(x) ** 2


def with_custom_layer(activation: Any = custom_activation) -> Any:
    inputs = keras.Input((32,))
    x = CustomLayer(32)(inputs)
    outputs = keras.layers.Activation(activation)(x)
    return keras.Model(inputs, outputs)


def custom_model_for(name: str) -> Any:
    """tf_keras 2.21 itself does not find a custom function in its own ``.h5`` files."""
    return with_custom_layer("tanh" if name.endswith(".h5") else custom_activation)


CUSTOM_OBJECTS = {"CustomLayer": CustomLayer, "custom_activation": custom_activation}


@scenario("local", "gs")
def custom_objects_passed(base: str) -> None:
    inputs = np.random.default_rng(0).random((4, 32), dtype="float32")
    for name in ("model.h5", "model.keras", "model"):
        model = custom_model_for(name)
        rm.save_model(model, f"{base}/{name}")
        loaded = rm.load_model(f"{base}/{name}", custom_objects=CUSTOM_OBJECTS)
        assert type(loaded.layers[1]) is CustomLayer
        assert_same_outputs(model, loaded, inputs)


@scenario("memory", "s3")
def custom_objects_in_scope(base: str) -> None:
    inputs = np.random.default_rng(0).random((4, 32), dtype="float32")
    for name in ("model.h5", "model.keras", "model"):
        model = custom_model_for(name)
        rm.save_model(model, f"{base}/{name}")
        with keras.utils.custom_object_scope(CUSTOM_OBJECTS):
            loaded = rm.load_model(f"{base}/{name}")
        assert type(loaded.layers[1]) is CustomLayer
        assert_same_outputs(model, loaded, inputs)


@scenario("memory", "s3")
def custom_objects_registered(base: str) -> None:
    @keras.utils.register_keras_serializable(package="Guide")
    class Registered(CustomLayer):
        pass

    model = keras.Sequential([keras.Input((8,)), Registered(4)])
    inputs = np.random.default_rng(0).random((4, 8), dtype="float32")
    for name in ("model.h5", "model.keras", "model"):
        rm.save_model(model, f"{base}/{name}")
        loaded = rm.load_model(f"{base}/{name}")
        assert type(loaded.layers[0]) is Registered
        assert_same_outputs(model, loaded, inputs)


@scenario("memory")
def custom_objects_absent_is_keras_own_error(base: str) -> None:
    """An unknown class is not ours to explain: Keras' message names it."""
    rm.save_model(with_custom_layer(), f"{base}/model.h5")
    with pytest.raises(ValueError, match="CustomLayer") as caught:
        rm.load_model(f"{base}/model.h5")
    assert not isinstance(caught.value, rm.errors.FormatError)


@scenario()
def architecture_json(base: str) -> None:
    model = three_layers()
    rm.save_architecture(model, f"{base}/model_config.json")
    reinitialized_model = rm.load_architecture(f"{base}/model_config.json")
    assert reinitialized_model.get_config() == model.get_config()
    # The model state is not preserved: only the architecture was saved.
    assert not np.allclose(model(digits()), reinitialized_model(digits()))


@scenario("memory", "gs")
def architecture_with_custom_objects(base: str) -> None:
    model = with_custom_layer()
    rm.save_architecture(model, f"{base}/model.json")
    with keras.utils.custom_object_scope(CUSTOM_OBJECTS):
        in_scope = rm.load_architecture(f"{base}/model.json")
    passed = rm.load_architecture(f"{base}/model.json", custom_objects=CUSTOM_OBJECTS)
    assert in_scope.get_config() == passed.get_config() == model.get_config()


@scenario("memory")
def architecture_of_sequential(base: str) -> None:
    model = keras.Sequential([keras.Input((32,)), keras.layers.Dense(1)])
    rm.save_architecture(model, f"{base}/any name at all")
    new_model = rm.load_architecture(f"{base}/any name at all")
    assert type(new_model) is type(model)
    assert new_model.get_config() == model.get_config()


@scenario("memory")
def config_and_weights_in_memory(base: str) -> None:
    """``from_config`` and ``set_weights`` of a model that came from a URL."""
    original, test_input, _ = trained()
    rm.save_model(original, f"{base}/model.h5")
    model = rm.load_model(f"{base}/model.h5")
    new_model = keras.Model.from_config(model.get_config())
    new_model.set_weights(model.get_weights())
    assert_same_outputs(original, new_model, test_input)


@scenario()
def architecture_and_weights(base: str) -> None:
    model = three_layers()
    rm.save_architecture(model, f"{base}/model_config.json")
    rm.save_weights(model, f"{base}/path_to_my_weights.h5")
    new_model = rm.load_architecture(f"{base}/model_config.json")
    assert rm.load_weights(new_model, f"{base}/path_to_my_weights.h5") is None
    np.testing.assert_array_equal(model(digits()), new_model(digits()))


@scenario("memory", "s3")
def stateless_layers(base: str) -> None:
    functional_model = three_layers()
    inputs = keras.Input(shape=(784,), name="digits")
    x = keras.layers.Dense(64, activation="relu", name="dense_1")(inputs)
    x = keras.layers.Dense(64, activation="relu", name="dense_2")(x)
    # Add a dropout layer, which does not contain any weights.
    x = keras.layers.Dropout(0.5)(x)
    outputs = keras.layers.Dense(10, name="predictions")(x)
    with_dropout = keras.Model(inputs=inputs, outputs=outputs, name="3_layer_mlp")
    rm.save_weights(functional_model, f"{base}/weights.h5")
    rm.load_weights(with_dropout, f"{base}/weights.h5")
    assert_same_arrays(with_dropout.weights, functional_model.weights)


@scenario()
def checkpoint(base: str) -> None:
    sequential_model = sequential()
    rm.save_weights(sequential_model, f"{base}/ckpt")
    new_model = sequential()
    load_status = rm.load_weights(new_model, f"{base}/ckpt")
    # `assert_consumed` validates that all variable values have been restored.
    load_status.assert_consumed()
    assert_same_arrays(new_model.weights, sequential_model.weights)
    assert set(rm.open_model(f"{base}/ckpt").files) == {
        "ckpt.index",
        "ckpt.data-00000-of-00001",
    }


@scenario("memory", "s3", "gs")
def checkpoint_transfer_learning(base: str) -> None:
    functional_model = three_layers()
    pretrained = keras.Model(
        functional_model.inputs, functional_model.layers[-1].input, name="pretrained_model"
    )
    # Randomly assign "trained" weights.
    for w in pretrained.weights:
        w.assign(tf.random.normal(w.shape))
    rm.save_weights(pretrained, f"{base}/pretrained_ckpt")

    # Assume this is a separate program where only 'pretrained_ckpt' exists.
    model = three_layers(outputs=5, name="new_model")
    rm.load_weights(model, f"{base}/pretrained_ckpt").expect_partial()
    assert_same_arrays(model.weights[:4], pretrained.weights)

    # The same works with a Sequential model.
    inputs = keras.Input(shape=(784,), name="digits")
    x = keras.layers.Dense(64, activation="relu", name="dense_1")(inputs)
    x = keras.layers.Dense(64, activation="relu", name="dense_2")(x)
    pretrained_model = keras.Model(inputs=inputs, outputs=x, name="pretrained")
    model = keras.Sequential([pretrained_model, keras.layers.Dense(5, name="predictions")])
    rm.load_weights(pretrained_model, f"{base}/pretrained_ckpt").assert_consumed()
    assert_same_arrays(model.weights[:4], pretrained.weights)


@scenario("memory", "s3")
def checkpoint_of_subclassed_model_keeps_optimizer(base: str) -> None:
    """Weights, slots and the loss of the next batch, by the first edition of the guide."""

    def compiled() -> Any:
        model = CustomModel([64, 64, 10])
        model.compile(
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            optimizer=keras.optimizers.RMSprop(),
        )
        return model

    x_train, y_train = digits(), np.array([1, 2, 3, 4])
    model = compiled()
    model.fit(x_train, y_train, verbose=0)
    rm.save_weights(model, f"{base}/path_to_my_weights", save_format="tf")
    predictions = model.predict(x_train, verbose=0)
    first_batch_loss = model.train_on_batch(x_train, y_train)

    new_model = compiled()
    # This initializes the variables used by the optimizers.
    new_model.train_on_batch(x_train[:1], y_train[:1])
    rm.load_weights(new_model, f"{base}/path_to_my_weights")
    np.testing.assert_allclose(
        predictions, new_model.predict(x_train, verbose=0), rtol=1e-6, atol=1e-6
    )
    assert first_batch_loss == new_model.train_on_batch(x_train, y_train)


@scenario("s3")
def checkpoint_restores_variables_made_later(base: str) -> None:
    """A subclassed model that has not been called yet gets its values on its first call."""
    model = CustomModel([4, 2])
    inputs = tf.random.uniform((2, 5))
    model(inputs)
    rm.save_weights(model, f"{base}/ckpt")
    new_model = CustomModel([4, 2])
    status = rm.load_weights(new_model, f"{base}/ckpt")
    assert_same_outputs(model, new_model, inputs)
    status.assert_consumed()


@scenario()
def h5_weights(base: str) -> None:
    sequential_model = sequential()
    rm.save_weights(sequential_model, f"{base}/weights.h5")
    new_model = sequential()
    rm.load_weights(new_model, f"{base}/weights.h5")
    assert_same_arrays(new_model.weights, sequential_model.weights)


@scenario("memory", "gs")
def h5_weights_transfer_learning(base: str) -> None:
    functional_model = three_layers()
    rm.save_weights(functional_model, f"{base}/pretrained_weights.h5")

    # In a separate program:
    pretrained_model = three_layers()
    rm.load_weights(pretrained_model, f"{base}/pretrained_weights.h5")
    assert_same_arrays(pretrained_model.weights, functional_model.weights)
    # Create a new model by extracting layers from the original model:
    extracted_layers = pretrained_model.layers[:-1]
    extracted_layers.append(keras.layers.Dense(5, name="dense_3"))
    model = keras.Sequential(extracted_layers)
    assert_same_arrays(model.weights[:4], functional_model.weights[:4])


@scenario("memory", "s3")
def h5_weights_by_name(base: str) -> None:
    functional_model = three_layers()
    rm.save_weights(functional_model, f"{base}/weights.h5")
    inputs = keras.Input(shape=(784,))
    x = keras.layers.Dense(64, name="dense_1")(inputs)
    other = keras.layers.Dense(7, name="other")
    model = keras.Model(inputs, other(x))
    untouched = other.get_weights()
    rm.load_weights(model, f"{base}/weights.h5", by_name=True)
    assert_same_arrays(model.weights[:2], functional_model.weights[:2])
    assert_same_arrays(other.weights, untouched)


@scenario("memory")
def h5_weights_skip_mismatch(base: str) -> None:
    functional_model = three_layers()
    rm.save_weights(functional_model, f"{base}/weights.h5")
    model = three_layers(outputs=5)
    rm.load_weights(model, f"{base}/weights.h5", by_name=True, skip_mismatch=True)
    assert_same_arrays(model.weights[:4], functional_model.weights[:4])
    assert model.weights[4].shape == (64, 5)


class NestedDenseLayer(keras.layers.Layer):  # type: ignore[misc] # keras has no types
    def __init__(self, units: int, name: str | None = None) -> None:
        super().__init__(name=name)
        self.dense_1 = keras.layers.Dense(units, name="dense_1")
        self.dense_2 = keras.layers.Dense(units, name="dense_2")

    def call(self, inputs: Any) -> Any:
        return self.dense_2(self.dense_1(inputs))


@scenario("memory", "gs")
def nested_layers_with_changed_trainable(base: str) -> None:
    """The order of weights differs then; equally built models still fit each other."""

    def nested() -> Any:
        model = keras.Sequential([keras.Input((784,)), NestedDenseLayer(10, "nested")])
        model.get_layer("nested").dense_1.trainable = False
        return model

    nested_model, new_model = nested(), nested()
    for name in ("weights.h5", "weights"):
        rm.save_weights(nested_model, f"{base}/{name}")
        rm.load_weights(new_model, f"{base}/{name}")
        assert_same_outputs(nested_model, new_model, digits())


@scenario("memory", "s3")
def nested_models(base: str) -> None:
    inner = three_layers(outputs=3, name="inner")
    inputs = keras.Input((784,))
    model = keras.Model(
        inputs, keras.layers.Dense(2)(inner(inputs)) + keras.layers.Dense(2)(inputs)
    )
    for name in ("model", "model.h5", "model.keras"):
        rm.save_model(model, f"{base}/{name}")
        loaded = rm.load_model(f"{base}/{name}")
        assert loaded.get_layer("inner").count_params() == inner.count_params()
        assert_same_outputs(model, loaded, digits())
