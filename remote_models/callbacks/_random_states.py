"""The states of Python's and NumPy's own generators, which shuffle and augment data."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["random_states", "restore_random_states"]


def random_states() -> dict[str, Any]:
    """Return the states of both, as JSON has them; the inverse of the other function."""
    version, words, gauss = random.getstate()
    numpy: dict[str, Any] = dict(np.random.get_state(legacy=False))
    return {
        "python": {"version": version, "words": _to_hex(words), "gauss": gauss},
        "numpy": {
            "bit_generator": numpy["bit_generator"],
            "words": _to_hex(numpy["state"]["key"]),
            "position": int(numpy["state"]["pos"]),
            "has_gauss": int(numpy["has_gauss"]),
            "gauss": float(numpy["gauss"]),
        },
    }


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Let both go on where :func:`random_states` has seen them."""
    python, numpy = states["python"], states["numpy"]
    words = tuple(int(word) for word in _from_hex(python["words"]))
    random.setstate((python["version"], words, python["gauss"]))
    np.random.set_state(
        {
            "bit_generator": numpy["bit_generator"],
            "state": {"key": _from_hex(numpy["words"]), "pos": numpy["position"]},
            "has_gauss": numpy["has_gauss"],
            "gauss": numpy["gauss"],
        }
    )


def _to_hex(words: Any) -> str:
    return np.asarray(words, "<u4").tobytes().hex()


def _from_hex(text: str) -> np.ndarray[Any, np.dtype[np.uint32]]:
    return np.frombuffer(bytes.fromhex(text), "<u4").astype(np.uint32)
