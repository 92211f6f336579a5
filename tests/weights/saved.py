"""What a child says that it saved with a real framework."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from weights.artifacts import Array

__all__ = ["Saved", "read_expected"]


@dataclass(frozen=True)
class Saved:
    """What a child says that it saved."""

    url: str
    weights: frozenset[str]
    optimizer: frozenset[str]
    others: bool
    arrays: Mapping[str, Array]


def read_expected(folder: Path) -> dict[str, Saved]:
    """Read what a child wrote."""
    cases = json.loads((folder / "expected.json").read_text())
    return {name: _saved(folder, name, case) for name, case in cases.items()}


def _saved(folder: Path, name: str, case: Any) -> Saved:
    with np.load(folder / f"{name.replace('/', '-')}.npz") as raw:
        arrays = {
            label: raw[str(number)].view(_dtype(dtype)).reshape(shape)
            for number, (label, dtype, shape) in enumerate(case["arrays"])
        }
    weights, optimizer = frozenset(case["weights"]), frozenset(case["optimizer"])
    return Saved(case["url"], weights, optimizer, case["others"], arrays)


def _dtype(name: str) -> np.dtype[Any]:
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)
