"""What a framework saved is what a lazy read gives: every tensor, bit for bit, by its name."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import remote_models as rm
from remote_models.tensors import Role
from remote_models.testing import Emulator
from weights.artifacts import same
from weights.saved import Saved, read_expected

CHILDREN = ("keras", "tf_keras")

Generations = Mapping[str, Mapping[str, Saved]]


@pytest.fixture(scope="module")
def saved(framework_children: Mapping[str, tuple[Path, subprocess.Popen[bytes]]]) -> Generations:
    return {name: outcome(*each) for name, each in framework_children.items()}


def outcome(folder: Path, process: subprocess.Popen[bytes]) -> dict[str, Saved]:
    assert process.wait(timeout=300) == 0, (folder / "log").read_text()[-4000:]
    return read_expected(folder)


def opened(case: Saved, emulator: Emulator) -> rm.RemoteModel:
    options = emulator.storage_options if case.url.startswith("s3:") else {}
    return rm.open_model(case.url, storage_options=options)


def named(remote: rm.RemoteModel, role: Role) -> set[str]:
    """The names of the tensors that have one, not only a key."""
    return {t.name for t in remote.weights.values() if t.role is role}


@pytest.mark.parametrize("generation", CHILDREN)
def test_every_tensor_is_there_under_its_name(
    saved: Generations, generation: str, seaweed: Emulator
) -> None:
    assert len(saved[generation]) >= 20
    cases = saved[generation]
    assert {name: wrong for name, case in cases.items() if (wrong := faults(case, seaweed))} == {}


def faults(case: Saved, emulator: Emulator) -> Mapping[str, set[str]]:
    with opened(case, emulator) as remote:
        found = remote.weights.fetch(sorted(set(case.arrays) & set(remote.weights)))
        extra = set() if case.others else named(remote, Role.WEIGHT) - case.weights
    faulty = {
        "missing": set(case.arrays) - set(found),
        "unequal": {each for each in found if not same(found[each], case.arrays[each])},
        "extra": extra,
    }
    return {kind: names for kind, names in faulty.items() if names}


@pytest.mark.parametrize("generation", CHILDREN)
def test_rows_are_the_frameworks_rows(
    saved: Generations, generation: str, seaweed: Emulator
) -> None:
    for name in ("text.h5", "text.keras", "mlp.keras"):
        case = saved[generation][name]
        weights = opened(case, seaweed).weights
        for each, array in case.arrays.items():
            if array.ndim:
                assert same(weights[each][1:], array[1:])
                assert same(weights[each][[0, -1]], array[[0, -1]])


@pytest.mark.parametrize("model", ["mlp", "text", "convolutional"])
def test_a_variable_has_one_name_in_all_formats_and_generations(
    saved: Generations, model: str, seaweed: Emulator
) -> None:
    """The optimizer's learning rate is a variable in some formats only."""
    weights, slots = {}, {}
    for generation, cases in saved.items():
        for name, case in cases.items():
            if name.startswith(model):
                remote = opened(case, seaweed)
                label = f"{generation} {name}"
                weights[label] = frozenset(named(remote, Role.WEIGHT))
                if case.optimizer:
                    optimizer = named(remote, Role.OPTIMIZER) - {"optimizer/learning_rate"}
                    slots[label] = frozenset(optimizer)
    assert len(weights) >= 10
    assert len(slots) >= 9
    assert len(set(weights.values())) == 1, differences(weights)
    assert len(set(slots.values())) == 1, differences(slots)
    assert "optimizer/iteration" in next(iter(slots.values()))


def differences(found: Mapping[str, frozenset[str]]) -> Mapping[str, Any]:
    common = frozenset.intersection(*found.values())
    return {label: sorted(names - common) for label, names in found.items()}


def test_dtypes_are_the_logical_ones(saved: Generations, seaweed: Emulator) -> None:
    for generation, name in [("keras", "bfloat16.keras"), ("tf_keras", "bfloat16-checkpoint")]:
        case = saved[generation][name]
        weights = opened(case, seaweed).weights
        assert {weights[each].dtype_name for each in case.weights} == {"bfloat16"}
        mixed = saved[generation]["mixed_bfloat16.keras"]
        weights = opened(mixed, seaweed).weights
        assert {weights[each].dtype_name for each in mixed.weights} == {"float32"}


def test_a_checkpoint_in_shards_and_slices(saved: Generations, seaweed: Emulator) -> None:
    case = saved["tf_keras"]["shards"]
    remote = opened(case, seaweed)
    assert remote.manifest is not None
    assert len({piece.file for t in remote.manifest.tensors for piece in t.pieces}) == 3
    (table,) = [tensor for tensor in remote.manifest.tensors if tensor.label == "table"]
    assert [piece.shape for piece in table.pieces] == [(150, 10), (50, 10), (200, 10)]
    expected = case.arrays["table"]
    for index in (149, slice(140, 210), [0, 399, 150, 0], slice(None, None, -7)):
        assert same(remote.weights["table"][index], expected[index])


def test_architecture_is_the_frameworks(saved: Generations, seaweed: Emulator) -> None:
    for generation, names in {
        "keras": ("mlp.keras", "mlp.h5", "mlp in S3.keras"),
        "tf_keras": ("mlp", "mlp.keras", "mlp.h5", "mlp in S3"),
    }.items():
        for name in names:
            architecture = opened(saved[generation][name], seaweed).architecture
            assert architecture is not None
            assert architecture["class_name"] == "Sequential"
            assert architecture["config"]["name"] == "mlp"
    for name in ("mlp.weights.h5", "mlp-checkpoint"):
        assert opened(saved["tf_keras"][name], seaweed).architecture is None


def test_everything_that_was_saved_verifies(saved: Generations, seaweed: Emulator) -> None:
    for cases in saved.values():
        for case in cases.values():
            assert opened(case, seaweed).verify().ok
