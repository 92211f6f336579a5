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

AMBIGUOUS = "model same_names"
AMBIGUOUS_FILE = (AMBIGUOUS, "model")
"""Layers of the same names in two models, in a SavedModel, which calls neither model."""

INVENTED = "compiled Nadam"
"""Keras 2 multiplies Nadam's product more often than it should, and does not save it."""

RUNS = (
    ("h5", "keras", "tf", "all layers"),
    ("h5", "keras", "all functions"),
    ("h5", "model ", "compiled ", *REFUSED),
    ("tf", "MobileNetV2", "nested_deferred", "slashes", "custom", "with averages", AMBIGUOUS),
    ("tf2.4", "nested", "slashes", "custom", "compiled Adam", "with averages"),
    ("keras", "nested", "shared", "custom", "AdamW", "scaled", AMBIGUOUS),
)
"""What is saved in which formats. scripts/keras2_models tries every case by itself."""

Results = Mapping[tuple[str, str], Mapping[str, Any]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """Save the cases with tf_keras, and load all of them with Keras 3."""
    folder = tmp_path_factory.mktemp("models")
    wanted = [[str(folder / str(number)), *each, "--"] for number, each in enumerate(RUNS)]
    run("writer.py", *(word for each in wanted for word in each))
    found = run("reader.py", *(folder / str(number) for number in range(len(RUNS))))
    return {(each["case"], each["file"]): each for each in found if "file" in each}


def test_every_case_loads_and_predicts_the_same(results: Results) -> None:
    wrong = {
        key: found
        for key, found in results.items()
        if key[0] not in REFUSED
        and key != AMBIGUOUS_FILE
        and not found.get("difference", 1.0) <= 1e-5
    }
    assert wrong == {}
    assert len(results) > 45


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


def test_weights_that_cannot_be_told_apart_are_refused(results: Results) -> None:
    assert "do not match" in results[AMBIGUOUS_FILE]["refused"]
    assert len([key for key in results if key[0] == AMBIGUOUS]) == 3  # elsewhere the key tells
