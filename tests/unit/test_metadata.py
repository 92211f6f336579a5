"""Metadata: what people have at hand is taken, what JSON would change is not."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from remote_models._api._metadata import plain_metadata
from remote_models.errors import ArgumentError


def test_scalars_of_numpy_become_those_of_python() -> None:
    metadata = {
        "loss": np.float32(0.5),
        "step": np.int64(7),
        "metrics": {"is best": np.bool_(True), "all": [np.float64(1.5), np.array(3)]},
        "shape": (1, 2),
        "none": None,
    }
    assert json.loads(json.dumps(plain_metadata(metadata))) == {
        "loss": 0.5, "step": 7, "metrics": {"is best": True, "all": [1.5, 3]},
        "shape": [1, 2], "none": None,
    }  # fmt: skip
    assert plain_metadata(None) == {}


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({1: "a"}, r"metadata: a key that is no text \(found 1\). Write it as '1'"),
        ({"a": {"b": [{None: 1}]}}, r"metadata\['a'\]\['b'\]\[0\]: a key that is no text"),
        ({("a", "b"): 1}, "no text"),
        ([1], r"metadata: not a mapping \(expected a dictionary.*found list\)"),
        ("step", "not a mapping"),
    ],
)
def test_what_is_refused(metadata: Any, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        plain_metadata(metadata)


def test_what_contains_itself_is_refused() -> None:
    metadata: dict[str, Any] = {}
    metadata["again"] = metadata
    with pytest.raises(ArgumentError, match="nested too deeply"):
        plain_metadata(metadata)


def test_arrays_are_for_the_manifest_to_refuse() -> None:
    array = np.ones(2)
    assert plain_metadata({"a": array})["a"] is array
