"""Lazy models: the same values as whole ones, whoever looks and however; and less that moves."""

from __future__ import annotations

from typing import Any

import pytest

from remote_models.testing import Emulator
from streaming.children import run_child

CASES = (
    "nested.keras", "frozen.keras", "ema.keras", "normalization.keras", "recurrent.keras",
    "quantized.keras", "lora.keras", "subclassed.keras", "mlp.h5", "functional_shared.h5",
    "custom.h5", "float16_scaled.h5",
)  # fmt: skip

NEEDING_VALUES = {"normalization.keras": 2, "lora.keras": 1}
"""How many tensors are computed with while the model is loaded."""


@pytest.fixture(scope="module")
def results(
    tmp_path_factory: pytest.TempPathFactory, seaweed: Emulator, buckets: Any
) -> dict[str, dict[str, Any]]:
    base = str(buckets.prefix(seaweed))
    environment = {**seaweed.environment, "LAZY_BASE": base}
    return run_child("lazy_child.py", tmp_path_factory.mktemp("lazy"), environment)


@pytest.mark.parametrize("case", CASES)
def test_a_lazy_model_is_the_whole_one(results: dict[str, dict[str, Any]], case: str) -> None:
    assert results[case] == {
        "case": case,
        "at_once": NEEDING_VALUES.get(case, 0),
        "waited": True,
        "predictions": True,
        "state": True,
        "trainable": True,
        "compiled": True,
        "continues": True,
    }


@pytest.mark.parametrize(
    ("check", "number"),
    [
        ("ways_of_reading", 27), ("ways_of_writing", 14), ("what_moves", 7),
        ("errors_surface", 13), ("threads", 3), ("prefetching", 9), ("garbage", 2),
        ("refusals", 7), ("requests", 10), ("versions", 2),
    ],
)  # fmt: skip
def test_what_a_lazy_model_does(
    results: dict[str, dict[str, Any]], check: str, number: int
) -> None:
    found = dict(results[check])
    assert found.pop("case") == check
    assert [name for name, is_so in found.items() if is_so is not True] == []
    assert len(found) >= number
