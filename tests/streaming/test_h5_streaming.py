"""Keras 3's ``.h5`` goes straight into variables, and is what the copying loader loads."""

from __future__ import annotations

from typing import Any

import pytest

from streaming.children import run_child

STREAMED = (
    "mlp", "functional_shared", "nested", "frozen", "ema", "schedule", "normalization",
    "recurrent", "bfloat16", "quantized", "lora", "custom", "shared_by_models",
    "called_as_a_whole", "uncompiled", "float16_scaled",
)  # fmt: skip

WITH_VALUES = ("recurrent", "custom")
"""What computes with values while it is built."""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return run_child("h5_child.py", tmp_path_factory.mktemp("h5"))


@pytest.mark.parametrize("case", [*STREAMED, "unnamed"])
def test_a_streamed_model_is_the_one_that_was_saved(
    results: dict[str, dict[str, Any]], case: str
) -> None:
    found = dict(results[case])
    assert found.pop("streamed") is (case in STREAMED)
    initialisers = found.pop("initialisers")
    assert found == {
        "case": case,
        "class": True,
        "state": True,
        "optimizer": True,
        "predictions": True,
        "trainable": True,
        "compiled": True,
        "continues": True,
    }
    if case in STREAMED and case not in WITH_VALUES:
        assert initialisers == 0


@pytest.mark.parametrize("case", ["weights", "without_state", "short_loss", "lambdas", "cancelled"])
def test_what_else_comes_from_an_h5(results: dict[str, dict[str, Any]], case: str) -> None:
    found = dict(results[case])
    assert found.pop("case") == case
    assert found
    assert all(found.values()), found


def test_a_flipped_bit_in_any_tensor_is_refused(results: dict[str, dict[str, Any]]) -> None:
    found = results["damaged"]
    assert found["tried"] >= 8
    assert found["refused"] == found["tried"]
