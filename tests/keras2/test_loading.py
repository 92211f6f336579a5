"""What tf_keras saves, Keras 3 loads: the same layers, predictions, losses and optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from keras2.child import run

REFUSED = (
    "layer LocallyConnected1D", "layer LocallyConnected2D", "layer RandomFourierFeatures",
    "layer RandomHeight", "layer RandomWidth",
)  # fmt: skip
"""Layers that only Keras 2 has."""

SAME_NAMES = "model same_names"

LOST = ("learnt numbers", "model.h5")
"""A vocabulary that was learnt, in a format that does not hold it."""

INVENTED = "compiled Nadam"
"""Keras 2 multiplies Nadam's product more often than it should, and does not save it."""

RUNS = (
    ("h5", "keras", "tf", "all layers"),
    ("h5", "keras", "all functions"),
    ("h5", "model ", "compiled ", *REFUSED),
    (
        "tf",
        "MobileNetV2",
        "nested_deferred",
        "slashes",
        "custom",
        "with averages",
        SAME_NAMES,
        "swapped",
    ),
    ("tf2.4", "nested", "slashes", "custom", "compiled Adam", "with averages"),
    ("tf", "tf2.4", "keras", "learnt "),
    ("h5", "learnt bins", "learnt numbers"),
    ("keras", "nested", "shared", "custom", "AdamW", "scaled", SAME_NAMES),
)
"""What is saved in which formats. scripts/keras2_models tries every case by itself."""

Results = Mapping[tuple[str, str], Mapping[str, Any]]


ON_JAX = [["tf", "MobileNetV2"], ["h5", "keras", "model nested_twice", "compiled SGD"]]
"""What is loaded where TensorFlow cannot be imported."""


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
        if key[0] not in REFUSED and key != LOST and not found.get("difference", 1.0) <= 1e-5
    }
    # What these have learnt is in the graph, which holds Python functions of `adapt`, too.
    refused = {key for key, found in wrong.items() if "'PyFunc'" in found.get("refused", "")}
    assert refused == {("learnt bins", "model"), ("learnt bins", "older")}
    assert {key: found for key, found in wrong.items() if key not in refused} == {}
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


def test_what_layers_have_learnt_is_found(results: Results) -> None:
    """But in an HDF5 file there are no vocabularies: tf_keras cannot even write it."""
    found = {key: each for key, each in results.items() if key[0].startswith("learnt")}
    assert len(found) == 11
    assert "not in the configuration" in found[LOST]["refused"]


def test_layers_of_the_same_name_in_two_models_are_told_apart(results: Results) -> None:
    """By their keys: a SavedModel's names leave the models out."""
    found = {file: each for (case, file), each in results.items() if case == SAME_NAMES}
    assert sorted(found) == ["model", "model.h5", "model.keras"]
    assert max(each["difference"] for each in found.values()) <= 1e-5


def test_tensorflow_is_not_needed(tmp_path: Path) -> None:
    """On JAX, in a process in which importing TensorFlow fails."""
    for name in ("tensorflow", "tf_keras"):
        (tmp_path / f"{name}.py").write_text(f"raise ModuleNotFoundError(name={name!r})\n")
    folders = [tmp_path / str(number) for number in range(len(ON_JAX))]
    pairs = zip(folders, ON_JAX, strict=True)
    wanted = [[str(folder), *each, "--"] for folder, each in pairs]
    run("writer.py", *(word for each in wanted for word in each))
    found = run("reader.py", *folders, environment={"KERAS_BACKEND": "jax"}, first=tmp_path)
    assert found.pop() == {"case": "tensorflow", "imported": False}
    wrong = [each for each in found if not each.get("difference", 1.0) <= 1e-5]
    assert wrong == []
    assert len(found) > 4
    losses = [each["loss"] for each in found if "loss" in each]
    assert losses
    assert max(losses) < 1e-5
