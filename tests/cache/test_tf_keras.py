"""Models of tf_keras, which are loaded from copies, and live longer than what is cached."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from remote_models.storage import Location
from remote_models.testing import Emulator


@pytest.fixture(scope="module")
def results(
    seaweed: Emulator, buckets: Any, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("tf_keras")
    base: Location = buckets.prefix(seaweed)
    script = Path(__file__).parent / "tf_keras_child.py"
    done = subprocess.run(
        [sys.executable, str(script), str(base), str(folder / "cache")],
        env={
            **os.environ,
            **seaweed.environment,
            "PYTHONPATH": str(script.parents[1]),
            "REMOTE_MODELS_CACHE": str(folder / "cache"),
            "TMPDIR": str(folder),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "-1",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_a_saved_model_is_loaded_from_the_cache_and_outlives_it(results: dict[str, Any]) -> None:
    found = results["saved_model"]
    assert found.pop("files") >= 4
    assert found == {
        "kept by saving": 0,
        "asked for": ["manifest.json"],
        "pruned": True,
        "continues": True,
    }


def test_variables_that_are_read_after_pruning(results: dict[str, Any]) -> None:
    found = results["late_variables"]
    assert found == {
        "kept": 2,
        # Of a name without an ending, it is asked in a folder first.
        "asked for": ["manifest.json", "late_variables.manifest.json"],
        "made before": 0,
        "predictions": True,
    }


@pytest.mark.parametrize("ending", [".h5", ".keras"])
def test_files_are_loaded_from_the_cache(results: dict[str, Any], ending: str) -> None:
    assert results["h5_and_keras"][ending] == [[f"h5_and_keras{ending}.manifest.json"], True]


def test_nothing_is_kept_of_what_is_on_this_machine(results: dict[str, Any]) -> None:
    assert results["near"] == {"more": 0}


def test_without_a_cache_all_is_downloaded_each_time(results: dict[str, Any]) -> None:
    assert results["off"] == {"downloads": [True, True]}
