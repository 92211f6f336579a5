"""Architectures and weights of Keras 2, each by itself, in Keras 3."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from keras2.child import run

FILES = ("saved_model", "model.h5", "model.keras", "checkpoint", "legacy.h5", "model.weights.h5")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Any]]:
    folder = tmp_path_factory.mktemp("parts")
    run("parts_writer.py", folder)
    return {each["case"]: each for each in run("parts_reader.py", folder)}


@pytest.mark.parametrize("file", FILES)
def test_weights_go_into_a_model_of_the_architecture(
    results: Mapping[str, Mapping[str, Any]], file: str
) -> None:
    assert results[file]["before"] > 0.01
    assert results[file]["after"] < 1e-6


@pytest.mark.parametrize(
    ("case", "error", "words"),
    [
        ("another model", "FormatError", "do not match"),
        ("skip", "FormatError", "Leave the arguments out"),
        ("unbuilt", "FormatError", "Build it"),
        ("code", "UnsafeFormatError", "code"),
    ],
)
def test_what_cannot_be_is_refused(
    results: Mapping[str, Mapping[str, Any]], case: str, error: str, words: str
) -> None:
    assert results[case]["error"] == error
    assert words in results[case]["text"]
    assert "framework=" not in results[case]["text"]


def test_a_refusal_changes_nothing(results: Mapping[str, Mapping[str, Any]]) -> None:
    assert results["untouched"] == {"case": "untouched", "same": True, "type": "Functional"}
