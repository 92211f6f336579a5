"""Models that go straight into their variables are those that Keras itself loads."""

from __future__ import annotations

from typing import Any

import pytest

from streaming.children import run_child

CASES = (
    "mlp", "functional_shared", "nested", "frozen", "ema", "schedule", "normalization",
    "recurrent", "bfloat16", "float16_variables", "quantized", "lora", "subclassed",
)  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return run_child("child.py", tmp_path_factory.mktemp("streaming"))


@pytest.mark.parametrize("case", CASES)
def test_a_streamed_model_is_the_one_that_keras_loads(
    results: dict[str, dict[str, Any]], case: str
) -> None:
    found = results[case]
    # If the stream gives way to the copy, a private name of Keras has moved.
    assert found.pop("streamed"), "loaded from a copy"
    initialisers = found.pop("initialisers")
    assert found == {
        "case": case,
        "class": True,
        "state": True,
        "predictions": True,
        "trainable": True,
        "compiled": True,
        "continues": True,
    }
    if case not in ("recurrent", "subclassed"):  # which compute with values while they are built
        assert initialisers == 0


def test_weights_go_straight_into_a_live_model(results: dict[str, dict[str, Any]]) -> None:
    assert results["weights"] == {
        "case": "weights",
        "w.weights.h5": True,
        "s.weights.json": True,
        "whole.keras": True,
    }


def test_a_flipped_bit_in_any_tensor_is_refused(results: dict[str, dict[str, Any]]) -> None:
    found = results["damaged"]
    assert found["tried"] >= 8
    assert found["refused"] == found["tried"]


def test_an_exception_of_the_callers_own_callback_comes_back(
    results: dict[str, dict[str, Any]],
) -> None:
    found = results["cancelled"]
    assert len(found) == 13
    assert all(found.values()), found


def test_formats_can_be_saved_in_a_row(results: dict[str, dict[str, Any]]) -> None:
    assert results["row"] == {"case": "row", "optimizer": True, "iterations": True}
