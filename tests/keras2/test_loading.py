"""What tf_keras saves, Keras 3 loads: the same layers, predictions, losses and optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from keras2.child import run

REFUSED = (
    "layer LocallyConnected1D", "layer LocallyConnected2D", "layer RandomFourierFeatures",
    "layer RandomHeight", "layer RandomWidth",
)  # fmt: skip
"""Layers that only Keras 2 has."""

INVENTED = "compiled Nadam"
"""Keras 2 multiplies Nadam's product more often than it should, and does not save it."""

Results = Mapping[tuple[str, str], Mapping[str, Any]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Save every case as ``.h5`` and some in the other formats; load all of them."""
    folder = tmp_path_factory.mktemp("models")
    run("writer.py", folder / "all", "h5", "layer ", "model ", "compiled ")
    run("writer.py", folder / "functions", "keras", "function ", "model ", "legacy", "LSTM")
    run("writer.py", folder / "saved", "tf", "MobileNetV2", "nested", "same_names", "with a")
    found = [
        each for name in ("all", "functions", "saved") for each in run("reader.py", folder / name)
    ]
    return {(each["case"], each["file"]): each for each in found if "file" in each}


def test_every_case_loads_and_predicts_the_same(results: Results) -> None:
    wrong = {
        key: found
        for key, found in results.items()
        if key[0] not in REFUSED and not (found.get("difference", 1.0) <= 1e-5)
    }
    assert wrong == {}
    assert len(results) > 250


def test_layers_keep_their_names(results: Results) -> None:
    assert {key: found["names"] for key, found in results.items() if found.get("names")} == {}


def test_what_was_trainable_still_is(results: Results) -> None:
    assert [key for key, found in results.items() if not found.get("trainable", True)] == []


def test_training_goes_on_as_if_nothing_had_happened(results: Results) -> None:
    losses = {key: found["loss"] for key, found in results.items() if "loss" in found}
    assert len(losses) > 18
    assert {key: loss for key, loss in losses.items() if loss > 1e-5 and key[0] != INVENTED} == {}


def test_what_keras_3_does_not_have_is_refused_by_name(results: Results) -> None:
    for case in REFUSED:
        found = results[case, "model.h5"]
        assert case.removeprefix("layer ") in found["refused"]
        assert "framework='tf_keras'" in found["refused"]
