"""SavedModels of Keras 3 on JAX, which jax2tf makes."""

from __future__ import annotations

from pathlib import Path

from saved_model3.children import run_child


def test_a_model_on_jax_comes_back_trains_on_and_is_served(tmp_path: Path) -> None:
    found = run_child("jax_child.py", str(tmp_path), environment={"KERAS_BACKEND": "jax"})["jax"]
    assert found["backend"] == "jax"
    assert (found["predictions"], found["optimizer"], found["fit"]) == (True, True, True)
    assert found["slots"] > 12
    assert max(found["served 1"], found["served 5"], found["served 32"]) < 1e-6
