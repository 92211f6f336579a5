"""Keras 3 models as whole SavedModels: what is saved, and what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import remote_models as rm
from remote_models import cli
from remote_models.storage import Location
from remote_models.tensors import Role
from remote_models.testing import Emulator, set_environment
from saved_model3.children import run_child

Cases = dict[str, dict[str, Any]]

ROUNDTRIPS = (
    "big", "functional", "by_name", "mixed", "loss_scale", "lora", "recurrent", "text", "lookup",
    "without_weights", "tied",
)  # fmt: skip

OWN_FILES = {
    "assets.extra/keras/config.json", "assets.extra/keras/metadata.json", "fingerprint.pb",
    "saved_model.pb", "variables/variables.data-00000-of-00001", "variables/variables.index",
}  # fmt: skip

VARIABLES = {"tied": 2, "functional": 6, "without_weights": 0}
"""Of some models, how many there are, each stored once."""


@pytest.fixture(scope="module")
def s3(seaweed: Emulator) -> Iterator[Location]:
    """A bucket of SeaweedFS, reached by what the environment says."""
    with set_environment(seaweed):
        yield Location.parse(f"{seaweed.make_bucket()}/models")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("saved")


@pytest.fixture(scope="module")
def saved(folder: Path, s3: Location) -> Cases:
    return run_child("keras_child.py", str(folder), str(s3))


@pytest.fixture
def model(saved: Cases, s3: Location) -> Iterator[rm.RemoteModel]:
    """What Keras has saved to S3, opened by this process, which has imported no framework."""
    assert saved
    with rm.open_model(f"{s3}/big") as remote:
        yield remote


def test_a_model_comes_back_from_s3_and_trains_on(saved: Cases) -> None:
    found = saved["remote"]
    assert (found["predictions"], found["optimizer"], found["fit"]) == (True, True, True)


def test_a_process_without_keras_runs_it(saved: Cases, folder: Path, s3: Location) -> None:
    found = run_child("serving_child.py", str(folder), str(s3))["served"]
    assert found["keras"] == []
    assert found["serve"]
    np.testing.assert_allclose(found["answers"], saved["remote"]["answers"], rtol=1e-5)
    assert "which tf_keras cannot open" in found["refused"]
    assert "pip install keras" in found["refused"]


def test_it_is_hardly_larger_than_what_it_holds(model: rm.RemoteModel) -> None:
    state = sum(
        each.nbytes for each in model.weights.values() if each.role in (Role.WEIGHT, Role.OPTIMIZER)
    )
    assert state > 6_000_000
    assert model.total_size <= 1.1 * (state + model.files["saved_model.pb"])


def test_no_framework_is_needed_to_look_inside(model: rm.RemoteModel) -> None:
    assert model.manifest is not None
    assert model.format == "saved_model"
    assert model.metadata == {"step": 1}
    assert model.recognise().generation == 3
    assert model.recognise().keras_version == model.manifest.producer["keras"]
    assert model.architecture is not None
    assert model.architecture["class_name"] == "Sequential"
    assert "compile_config" in model.architecture
    assert {"hidden/kernel", "hidden/bias", "answer/kernel", "batch_normalization/gamma",
            "optimizer/momentum/hidden/kernel", "optimizer/velocity/answer/bias",
            "optimizer/iteration", "optimizer/learning_rate"} <= set(model.weights)  # fmt: skip
    assert model.weights["hidden/kernel"].shape == (8, 700)
    assert np.asarray(model.weights["optimizer/iteration"]) == 1
    assert "hidden" in model.summary()


def test_names_are_the_same_without_a_manifest(
    model: rm.RemoteModel, s3: Location, tmp_path: Path
) -> None:
    rm.pull_model(f"{s3}/big", tmp_path / "bare")
    (tmp_path / "bare" / "manifest.json").unlink()
    bare = rm.open_model(tmp_path / "bare", verify=False)
    assert {each.key: (name, each.role) for name, each in bare.weights.items()} == {
        each.key: (name, each.role) for name, each in model.weights.items()
    }
    assert bare.architecture == model.architecture


def test_a_model_that_was_loaded_is_saved_like_any(model: rm.RemoteModel, s3: Location) -> None:
    """Its variables have lost the scopes that TensorFlow knew them by."""
    again = rm.open_model(f"{s3}/again")
    assert set(again.weights) == set(model.weights)
    # And without the live model's help:
    rm.adopt_model(f"{s3}/again", overwrite=True)
    assert set(rm.open_model(f"{s3}/again").weights) == set(model.weights)


def test_info_lists_the_signature(
    model: rm.RemoteModel, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["info", str(model.location)]) == 0
    line = "signature        serving_default(features: float32[?,8]) -> answer: float32[?,1]"
    assert line in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("case", ROUNDTRIPS)
def test_every_kind_of_model_comes_back_and_is_served(saved: Cases, case: str) -> None:
    found = saved[case]
    wrong = [name for name, value in found.items() if value is False]
    assert wrong == []
    assert found["type"] is True
    assets = {path for path in found["files"] if path.startswith("assets.extra/keras/assets/")}
    assert set(found["files"]) - assets == OWN_FILES
    assert bool(assets) == (case in ("text", "lookup"))
    assert found["variables"] == VARIABLES.get(case, found["variables"])


def test_outputs_have_the_names_of_keys_and_layers(saved: Cases) -> None:
    assert saved["by_name"]["outputs"] == ["first", "sum"]
    assert saved["functional"]["outputs"] == ["p", "q"]
    assert saved["big"]["outputs"] == ["answer"]


def test_a_random_generator_goes_on_when_it_is_served(saved: Cases) -> None:
    assert saved["noise"] == {"case": "noise", "two calls differ": True, "loaded": True}


def test_a_call_with_two_arguments(saved: Cases) -> None:
    assert saved["arguments"] == {"case": "arguments", "served": True, "loaded": True}


def test_options(saved: Cases) -> None:
    assert saved["options"].pop("signatures") == ["double"]
    assert [name for name, value in saved["options"].items() if not value] == []


def test_what_cannot_be_saved_leaves_nothing(saved: Cases) -> None:
    reasons = saved["unserved"]["reasons"]
    assert "cannot be traced for serving" in reasons["untraceable"]
    assert "signatures=" in reasons["untraceable"]
    assert "\x1b" not in reasons["untraceable"]
    assert "not built" in reasons["unbuilt"]
    assert "torch" in reasons["torch"]
    assert ".keras" in reasons["torch"]
    assert saved["unserved"]["left"] == []


def test_damage_is_an_error(saved: Cases) -> None:
    found = {case: each["error"] for case, each in saved.items() if "error" in each}
    assert found == {
        "vouched no JSON": "IntegrityError",
        "bare no JSON": "FormatError",
        "vouched no model": "IntegrityError",
        "bare no model": "FormatError",
        "vouched shared nonsense": "IntegrityError",
        "bare shared nonsense": "",  # keys that name nothing stand for nothing
        "whole again": "",
    }
