"""The callbacks in real trainings, with each framework in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
STEPS_PER_EPOCH = 7


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What came of every case with Keras 3 on TensorFlow."""
    return run_child(tmp_path_factory.mktemp("runs"), "keras", "tensorflow", "all")


@pytest.fixture(scope="module", params=["tf_keras", "jax"])
def others(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What came of what differs from one training loop to the other."""
    folder = tmp_path_factory.mktemp("runs")
    if request.param == "jax":
        return run_child(folder, "keras", "jax", "some")
    return run_child(folder, "tf_keras", "tensorflow", "some")


def run_child(folder: Path, framework: str, backend: str, which: str) -> Any:
    child = subprocess.run(
        [sys.executable, str(HERE / "training_child.py"), str(folder), framework, which],
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
        },
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-4000:]
    assert "UnreportedSaveWarning" not in child.stderr
    found = [json.loads(line) for line in child.stdout.splitlines() if line.startswith("{")]
    return {each["case"]: each for each in found}


@pytest.mark.parametrize(
    ("save_freq", "begun"),
    [
        ("epoch", [None, None, None, [1, 0], [2, 0]]),
        ("3", [None, [0, 3], [0, 6], [0, 6], [1, 2]]),
    ],
)
def test_a_stopped_training_goes_on_as_if_it_had_not_been(
    cases: Any, save_freq: str, begun: list[Any]
) -> None:
    case = cases[f"goes on, {save_freq}"]
    assert case["begun"] == begun
    assert case["same_weights"]
    assert case["same_history"]


def test_the_other_loops_go_on_as_well(others: Any) -> None:
    case = others["goes on, 3"]
    assert case["begun"] == [None, [0, 3], [0, 6], [0, 6], [1, 2]]
    assert case["same_weights"]
    assert case["same_history"]
    done = others["is done, 3"]
    assert (done["same_weights"], done["same_history"], done["is_deleted"]) == (True,) * 3
    assert done["next_begins"] is None
    assert others["keeps some"]["versions"][-1][1]["batch"] == STEPS_PER_EPOCH


@pytest.mark.parametrize("save_freq", ["epoch", "3"])
def test_a_training_that_is_done_trains_no_more(cases: Any, save_freq: str) -> None:
    case = cases[f"is done, {save_freq}"]
    assert case["same_weights"]
    assert case["same_history"]
    assert case["is_deleted"]
    assert case["next_begins"] is None


def test_the_best_value_survives_a_restart(cases: Any) -> None:
    case = cases["keeps the best"]
    assert case["remembered"] == case["best"]
    assert not case["saved_again"]
    assert case["same_weights"]
    last = case["versions"][-1][1]
    assert last["metrics"]["loss"] == case["best"]
    assert (last["epoch"], last["step"], last["run"]) == (3, 3 * STEPS_PER_EPOCH, "a")
    assert "batch" not in last


def test_versions_are_pruned_while_training(cases: Any) -> None:
    case = cases["keeps some"]
    numbers = [number for number, _ in case["versions"]]
    assert numbers[-1] == 3 * STEPS_PER_EPOCH // 3
    assert 1 <= len(numbers) <= 2
    assert set(case["names"]) == {"model.weights.h5"}
    assert case["versions"][-1][1]["batch"] == STEPS_PER_EPOCH


def test_only_the_chief_saves(cases: Any) -> None:
    case = cases["saves on the chief"]
    assert case["others"] == [False, False]
    assert case["chief"] == 1


@pytest.mark.parametrize("asynchronous", [True, False])
def test_fit_raises_what_was_wrong(cases: Any, asynchronous: bool) -> None:
    assert "does not exist" in cases[f"says what is wrong, {asynchronous}"]["error"]


def test_a_save_that_comes_too_soon_is_skipped_and_the_last_one_made_good(cases: Any) -> None:
    case = cases["skips"]
    assert case["skipped"] > 0
    assert case["saved"] + case["skipped"] in (STEPS_PER_EPOCH, STEPS_PER_EPOCH + 1)
    assert case["last"] == STEPS_PER_EPOCH
