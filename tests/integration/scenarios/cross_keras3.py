"""Keras 3 opens what tf_keras 2.21 wrote, or says who can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import remote_models as rm
from integration.scenarios.harness import assert_not_imported, case, scenario
from remote_models.errors import FormatError, GenerationError

SAMPLES = Path(__file__).parents[2] / "formats/samples"
TF_KERAS = SAMPLES / "tf_keras-2.21.0"
KERAS3 = SAMPLES / "keras-3.15.1"
KERNEL = np.arange(6.0).reshape(3, 2)
ONES = np.ones((1, 3), dtype="float32")
OUTPUTS = [[6.5, 8.5]]


def fresh() -> Any:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")], name="small")


def pushed(sample: Path, base: str) -> str:
    url = f"{base}/{sample.name}"
    rm.push_model(sample, url)
    return url


@scenario("memory", "s3")
def own_samples(base: str) -> None:
    """Files of 3.15.1 stay readable."""
    for name in ("model.keras", "model.h5", "unpacked"):
        with case(name):
            loaded = rm.load_model(pushed(KERAS3 / name, base))
            np.testing.assert_allclose(loaded(ONES), OUTPUTS)
            assert loaded.compiled
    for name in ("model.keras", "model.h5", "model.weights.h5", "shards.weights.json"):
        with case(name):
            model = fresh()
            rm.load_weights(model, pushed(KERAS3 / name, base))
            np.testing.assert_array_equal(model.layers[0].kernel, KERNEL)
    architecture = rm.load_architecture(pushed(KERAS3 / "model.json", base))
    assert architecture.layers[0].units == 2


@scenario("memory", "gs")
def whole_model_of_tf_keras(base: str) -> None:
    for name in ("model.keras", "model.h5", "saved_model"):
        with case(name):
            loaded = rm.load_model(pushed(TF_KERAS / name, base))
            assert isinstance(loaded, keras.Model)
            np.testing.assert_allclose(loaded(ONES), OUTPUTS)
            assert loaded.compiled


@scenario("memory", "s3")
def weights_of_tf_keras(base: str) -> None:
    for name in ("model.h5", "legacy.h5", "model.weights.h5", "model.keras"):
        with case(name):
            model = fresh()
            rm.load_weights(model, pushed(TF_KERAS / name, base))
            np.testing.assert_array_equal(model.layers[0].kernel, KERNEL)


@scenario()
def weights_of_a_saved_model_of_tf_keras(base: str) -> None:
    model = fresh()
    rm.load_weights(model, pushed(TF_KERAS / "saved_model", base))
    np.testing.assert_array_equal(model.layers[0].kernel, KERNEL)


@scenario("memory", "gs")
def checkpoint_of_tf_keras(base: str) -> None:
    url = f"{base}/small"
    rm.push_model(TF_KERAS / "checkpoint/small", url)
    model = fresh()
    rm.load_weights(model, url)
    np.testing.assert_array_equal(model.layers[0].kernel, KERNEL)
    with pytest.raises(FormatError, match="load_weights"):
        rm.load_model(url)


@scenario("memory")
def architecture_of_tf_keras(base: str) -> None:
    model = rm.load_architecture(pushed(TF_KERAS / "model.json", base))
    assert isinstance(model, keras.Model)
    assert model.layers[0].units == 2
    assert not model.compiled


@scenario("memory")
def exported_graph_predicts(base: str) -> None:
    url = pushed(KERAS3 / "exported", base)
    model = rm.load_model(url)
    assert not model.trainable
    assert model.predict(np.ones((5, 3), "float32"), verbose=0).shape == (5, 2)
    with pytest.raises(FormatError, match=r"tf\.saved_model\.load") as caught:
        rm.load_weights(fresh(), url)
    assert not isinstance(caught.value, GenerationError)


@scenario("memory")
def misfit_within_a_generation_is_keras_own_error(base: str) -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(7, name="dense")])
    for sample in (KERAS3 / "model.weights.h5", KERAS3 / "model.h5"):
        with case(sample), pytest.raises(ValueError, match="shape") as caught:
            rm.load_weights(model, pushed(sample, base))
        assert not isinstance(caught.value, GenerationError)


@scenario("memory")
def tf_keras_was_never_imported(base: str) -> None:
    assert_not_imported("tf_keras")
