"""Models that are sent while they are made are those that Keras itself writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from remote_models.storage import Location
from remote_models.testing import Emulator, set_environment
from streaming.children import run_child

HERE = Path(__file__).parent

MIB = 1024 * 1024

NOWHERE = "/nowhere/at/all"

KERAS_3 = {
    "mlp": "wkh", "images": "wkh", "recurrent": "wkh", "shared_and_nested": "wkh", "ema": "wkh",
    "bfloat16": "wkh", "bfloat16_variables": "wk", "loss_scale": "wkh", "normalization": "wkh",
    "vocabulary": "k", "text": "k", "quantized": "wk", "lora": "wk", "without_weights": "wkh",
    "uncompiled": "wkh", "subclassed": "wk", "own_optimizer": "wk", "own_variable": "h",
    "changed_for_the_save": "wk",
}  # fmt: skip

KERAS_2 = {
    "mlp": "wlkh", "images": "wlkh", "recurrent": "wlkh", "shared_and_nested": "wlkh",
    "mixed": "wlk", "normalization": "wlkh", "text": "k", "custom": "wkh", "uncompiled": "wlkh",
}  # fmt: skip

SUFFIXES = {"w": ".weights.h5", "h": ".h5", "k": ".keras"}
NAMES = {"w": "m.weights.h5", "l": "legacy.h5", "h": "m.h5", "k": "m.keras"}


@pytest.fixture(scope="module")
def keras(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Any]]:
    """What was found of Keras 3."""
    return run_child("saving_child.py", tmp_path_factory.mktemp("keras"))


@pytest.fixture(scope="module")
def tf_keras(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Any]]:
    """What was found of tf_keras."""
    return run_child("tf_keras_saving_child.py", tmp_path_factory.mktemp("tf_keras"))


@pytest.mark.parametrize(
    "case", [case + SUFFIXES[letter] for case, letters in KERAS_3.items() for letter in letters]
)
def test_what_is_sent_is_what_keras_writes(
    keras: Mapping[str, Mapping[str, Any]], case: str
) -> None:
    assert keras[case] == {
        "case": case,
        "same": True,
        "loads": True,
        "tensors": True,
        "unharmed": True,
    }


@pytest.mark.parametrize(
    "case", [f"{case} {NAMES[letter]}" for case, letters in KERAS_2.items() for letter in letters]
)
def test_what_is_sent_is_what_tf_keras_writes(
    tf_keras: Mapping[str, Mapping[str, Any]], case: str
) -> None:
    assert tf_keras[case] == {"case": case, "same": True, "loads": True, "unharmed": True}


@pytest.mark.parametrize("suffix", SUFFIXES.values())
def test_a_save_that_fails_half_way_leaves_model_and_store_as_they_were(
    keras: Mapping[str, Mapping[str, Any]], suffix: str
) -> None:
    assert keras[f"failing{suffix}"] == {
        "case": f"failing{suffix}",
        "outcome": "broken",
        "kept": True,
        "names": True,
        "compiled": True,
        "again": True,
    }


@pytest.mark.parametrize("name", [NAMES[letter] for letter in "wkh"])
def test_a_save_of_tf_keras_that_fails_half_way(
    tf_keras: Mapping[str, Mapping[str, Any]], name: str
) -> None:
    assert tf_keras[f"failing {name}"] == {
        "case": f"failing {name}",
        "outcome": "broken",
        "kept": True,
        "unharmed": True,
        "again": True,
    }


def test_names_that_no_attribute_holds_are_split_as_keras_splits_them(
    keras: Mapping[str, Mapping[str, Any]],
) -> None:
    assert keras["long names"] == {"case": "long names", "count": 3, "same": True}


@pytest.mark.parametrize("framework", ["keras", "tf_keras"])
def test_nothing_is_written_to_this_machine(
    seaweed: Emulator, s3_base: Location, tmp_path: Path, framework: str
) -> None:
    with set_environment(seaweed):
        child = subprocess.run(
            [sys.executable, str(HERE / "no_disk_child.py"), framework, NOWHERE, str(s3_base)],
            env={
                **os.environ,
                "TMPDIR": NOWHERE,
                "KERAS_BACKEND": "tensorflow",
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "CUDA_VISIBLE_DEVICES": "",
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd=tmp_path,
        )
    assert child.returncode == 0, child.stderr[-4000:]
    found = [json.loads(line) for line in child.stdout.splitlines() if line.startswith("{")]
    suffixes = [".weights.h5", ".h5", ".keras"]
    assert [each["case"] for each in found] == [*suffixes, *suffixes, "no disk"]
    assert all(each["equal"] and each["size"] > 8 * MIB for each in found[:6])
    assert list(tmp_path.iterdir()) == []
