"""SavedModels in Keras 3 whose classes are not given, or that never were Keras models."""

from __future__ import annotations

from typing import Any

import pytest

from saved_model3.children import run_child

Cases = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    return run_child(
        "graph_child.py",
        str(tmp_path_factory.mktemp("graphs")),
        "memory://graphs",
        environment={"TMPDIR": str(tmp_path_factory.mktemp("copies"))},  # nobody else's
    )


def test_the_graph_predicts_what_the_model_did(cases: Cases) -> None:
    found = cases["without a class"]
    assert found["given"], "with its class it is the model itself"
    ways = ("given predicts", "predict", "call", "double", "listed", "evaluate")
    assert [name for name in ways if found[name] is not True] == []
    assert found["parameters"] == [50, 50]


def test_its_weights_are_those_of_the_graph(cases: Cases) -> None:
    assert cases["without a class"]["zeros"]


def test_it_says_what_it_is_for_want_of(cases: Cases) -> None:
    (warned,) = cases["without a class"]["warned"]
    assert warned.startswith("graph_child.py InferenceOnlyWarning memory://graphs/custom: ")
    assert "Twice" in warned
    assert "cubed" in warned
    (partly,) = cases["without a class"]["partly"]
    assert "cubed not given in custom_objects" in partly
    assert "Twice" not in partly


def test_it_is_not_trainable(cases: Cases) -> None:
    assert cases["without a class"]["trainable"] == [False, 0, 5]
    refused = cases["without a class"]["refused"]
    for what in ("fit", "train_on_batch", "trainable"):
        assert "cannot be trained" in refused[what]
    for what in ("get_config", "saved", "saved as .keras", "saved as .h5"):
        assert "has no configuration" in refused[what]
        assert "pull_model" in refused[what]
    assert cases["without a class"]["left"] == ["again.weights.h5"]


def test_on_another_backend_the_error_names_the_classes(cases: Cases) -> None:
    elsewhere = cases["without a class"]["elsewhere"]
    assert elsewhere.startswith("UnknownClassError: ")
    assert "cubed, Twice not given in custom_objects" in elsewhere


def test_any_tensorflow_program_runs(cases: Cases) -> None:
    found = cases["other program"]
    assert found["score"] == [2.0, -4.0, 12.0]
    assert found["known"] == [True, False, True]
    assert found["weights"] == ["outer_factor"]
    assert found["warned"] == []


def test_inputs_are_told_by_name(cases: Cases) -> None:
    found = cases["other program"]
    assert "takes a dict with 'weight', 'word', not a list" in found["list"]
    assert "takes a dict with 'weight', 'word', not 'weights', 'word'" in found["wrong name"]


def test_which_graph_must_be_certain(cases: Cases) -> None:
    found = cases["other program"]
    assert "found ['a', 'b']" in found["two"]
    assert "found []" in found["none"]
    assert "no Keras model" in found["weights into a model"]


def test_the_copy_lives_as_long_as_the_model(cases: Cases) -> None:
    assert cases["copies"] == {"case": "copies", "during": 1, "alive": True, "after": 0}


def test_a_model_of_keras_2_without_its_class_runs_too(cases: Cases) -> None:
    for name, missing in {"custom layer": "Half", "no configuration": "Own"}.items():
        found = cases[f"keras 2, {name}"]
        assert (found["type"], found["predict"], found["trainable"]) == ("GraphModel", True, False)
        (warned,) = found["warned"]
        assert warned.startswith("graph_child.py InferenceOnlyWarning memory://graphs/keras_2_")
        assert f"Keras 3 has no layer of this name: {missing};" in warned
        assert found["elsewhere"].startswith("UnknownClassError: ")
    assert cases["keras 2, .h5"]["error"].startswith("UnknownClassError: ")
    assert "custom_objects" in cases["keras 2, .h5"]["error"]
