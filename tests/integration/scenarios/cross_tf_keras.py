"""tf_keras opens what Keras 3.15 wrote, or says who can."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tf_keras as keras

import remote_models as rm
from integration.scenarios.harness import case, scenario
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
    """Files of 2.21.0 stay readable."""
    for name in ("model.keras", "model.h5", "saved_model"):
        with case(name):
            loaded = rm.load_model(pushed(TF_KERAS / name, base))
            np.testing.assert_allclose(loaded(ONES), OUTPUTS)
            assert loaded.optimizer is not None
    for name in ("model.keras", "model.h5", "model.weights.h5", "legacy.h5", "saved_model"):
        with case(name):
            model = fresh()
            rm.load_weights(model, pushed(TF_KERAS / name, base))
            np.testing.assert_array_equal(model.layers[0].kernel, KERNEL)
    model = fresh()
    rm.push_model(TF_KERAS / "checkpoint/small", f"{base}/checkpoint/small")
    rm.load_weights(model, f"{base}/checkpoint/small").expect_partial()
    np.testing.assert_array_equal(model.layers[0].kernel, KERNEL)
    architecture = rm.load_architecture(pushed(TF_KERAS / "model.json", base))
    assert architecture.layers[0].units == 2


def refused(load: Callable[[], Any]) -> None:
    with pytest.raises(GenerationError, match="pip install keras") as caught:
        load()
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.where is not None
    assert caught.value.where.startswith(("/", "memory://", "s3://", "gs://"))
    assert "Keras 3" in str(caught.value)


@scenario()
def whole_models_of_keras3_are_refused(base: str) -> None:
    for name in ("model.keras", "model.h5", "unpacked"):
        with case(name):
            url = pushed(KERAS3 / name, base)
            refused(lambda url=url: rm.load_model(url, framework="tf_keras"))  # type: ignore[misc] # a default of its own type


@scenario("memory", "gs")
def weights_of_keras3(base: str) -> None:
    """tf_keras itself can read these."""
    for name in ("model.weights.h5", "model.h5", "model.keras"):
        with case(name):
            model = fresh()
            rm.load_weights(model, pushed(KERAS3 / name, base))
            np.testing.assert_array_equal(model.layers[0].kernel, KERNEL)


@scenario("memory")
def misfitting_weights_of_keras3_are_refused(base: str) -> None:
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2, name="first"), keras.layers.Dense(2, name="more")]
    )
    for name in ("model.weights.h5", "model.h5"):
        with case(name):
            url = pushed(KERAS3 / name, base)
            refused(lambda url=url: rm.load_weights(model, url))  # type: ignore[misc] # likewise


@scenario("memory", "s3")
def sharded_weights_of_keras3_are_refused(base: str) -> None:
    url = pushed(KERAS3 / "shards.weights.json", base)
    refused(lambda: rm.load_weights(fresh(), url))
    unpacked = pushed(KERAS3 / "unpacked", base)
    refused(lambda: rm.load_weights(fresh(), unpacked))


@scenario("memory")
def architecture_of_keras3_is_refused(base: str) -> None:
    url = pushed(KERAS3 / "model.json", base)
    refused(lambda: rm.load_architecture(url, framework="tf_keras"))


@scenario("memory")
def exported_graph_is_no_keras_model(base: str) -> None:
    url = pushed(KERAS3 / "exported", base)
    loads: list[Callable[[], Any]] = [
        lambda: rm.load_model(url, framework="tf_keras"),
        lambda: rm.load_weights(fresh(), url),
    ]
    for load in loads:
        with pytest.raises(FormatError, match=r"tf\.saved_model\.load") as caught:
            load()
        assert not isinstance(caught.value, GenerationError)


@scenario("memory")
def keras3_on_request(base: str) -> None:
    """One process may hold both generations; the caller says which one opens it."""
    loaded = rm.load_model(pushed(KERAS3 / "model.keras", base), framework="keras")
    np.testing.assert_allclose(loaded(ONES), OUTPUTS)
    assert type(loaded).__module__.startswith("keras.")
    rm.save_model(loaded, f"{base}/again.keras")
    manifest = rm.open_model(f"{base}/again.keras").manifest
    assert manifest is not None
    assert "keras" in manifest.producer
    assert "tf_keras" not in manifest.producer
