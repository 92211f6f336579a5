"""The index of files that Keras 3 wrote: every tensor's bytes, range and name."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import pytest

from formats._child import run_child
from formats._saved_files import check_bytes, index, named
from remote_models.formats._hdf5_index import architecture_of_hdf5
from remote_models.formats._keras_index import architecture_of_keras_archive
from remote_models.formats._layer_variables import snake_case
from remote_models.tensors import Role

LAYERS_BY_KEYS: set[str] = set()
OPTIMIZERS_BY_KEYS = {"Adafactor", "Muon", "Nadam"}
"""Those of which at least one variable has its key for a name."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keras3")


@pytest.fixture(scope="module")
def cases(folder: Path) -> dict[str, Any]:
    return run_child("keras3_child.py", folder)


def test_every_tensor_of_every_file_is_read_as_h5py_reads_it(
    folder: Path, cases: dict[str, Any]
) -> None:
    files = [case["file"] for case in cases.values() if "file" in case]
    assert len(files) > 140
    for file in files:
        check_bytes(folder, file, index(folder, file))


@pytest.mark.parametrize(
    "name",
    ["mlp.keras", "mlp.h5", "convolutional.keras", "convolutional.h5", "text.keras", "text.h5",
     "nested.keras", "normalization.keras", "mixed_bfloat16.keras",
     "mixed_bfloat16.h5", "bfloat16.keras", "bfloat16.h5", "float16.keras", "float16.h5"],
)  # fmt: skip
def test_names_are_the_paths_of_the_variables(
    folder: Path, cases: dict[str, Any], name: str
) -> None:
    assert named(folder, index(folder, name)) == cases[name]["variables"]


def test_a_variable_that_a_file_holds_twice_has_two_keys(
    folder: Path, cases: dict[str, Any]
) -> None:
    shared = {"shared/kernel", "shared/bias"}  # in the group of each model that uses it
    found = index(folder, "nested.h5")
    assert cases["nested.h5"]["variables"].keys() - named(folder, found).keys() == shared
    assert sum(each.label.endswith("shared/kernel") for each in found.tensors) == 4


@pytest.mark.parametrize("name", ["mlp.weights.h5", "mlp.weights.json"])
def test_weights_get_their_names_from_an_architecture(
    folder: Path, cases: dict[str, Any], name: str
) -> None:
    with (folder / "mlp.keras").open("rb") as opened:
        architecture = architecture_of_keras_archive(opened, where="mlp.keras")
    found = index(folder, name, architecture=architecture)
    assert named(folder, found) == cases[name]["variables"]


@pytest.mark.parametrize(
    "name",
    ["mlp.weights.h5", "mlp.weights.json", "subclassed.keras", "subclassed.weights.h5",
     "bfloat16.weights.h5"],
)  # fmt: skip
def test_weights_get_their_names_without_an_architecture(
    folder: Path, cases: dict[str, Any], name: str
) -> None:
    found = {
        label: digest
        for label, digest in named(folder, index(folder, name)).items()
        if not label.startswith("optimizer/")
    }
    expected = cases[name]["variables"]
    weights = {each: expected[each] for each in expected if not each.startswith("optimizer/")}
    assert found == weights


@pytest.mark.parametrize("model", ["mlp", "convolutional", "text", "nested"])
def test_files_of_older_versions_name_no_layers(
    folder: Path, cases: dict[str, Any], model: str
) -> None:
    file = f"{model}-older.weights.h5"
    with zipfile.ZipFile(folder / f"{model}.keras") as archive:
        (folder / file).write_bytes(archive.read("model.weights.h5"))
        architecture = json.loads(archive.read("config.json"))
    with h5py.File(folder / file, "r+") as root:
        root.visititems(lambda _, item: item.attrs.pop("name", None) and None)
    found = index(folder, file, architecture=architecture)
    assert named(folder, found) == cases[f"{model}.keras"]["variables"]


def test_layers_get_the_names_of_their_variables(folder: Path, cases: dict[str, Any]) -> None:
    by_names: set[str] = set()
    by_keys: set[str] = set()
    without: set[str] = set()
    for case in cases.values():
        if "layer" not in case:
            continue
        if not case["variables"]:
            without.add(case["layer"])
            continue
        found = named(folder, index(folder, case["file"]))
        assert found.items() <= case["variables"].items()
        (by_names if found == case["variables"] else by_keys).add(case["layer"])
    print(
        f"{len(by_names)} classes by names, {len(by_keys)} by keys {sorted(by_keys)}, "
        f"{len(without)} without variables, not built: {cases['failed']['layers']}"
    )
    assert by_keys == LAYERS_BY_KEYS


def test_layers_get_no_wrong_name_without_a_configuration(
    folder: Path, cases: dict[str, Any]
) -> None:
    right = total = 0
    for case in cases.values():
        weights = case.get("file", "").replace(".keras", ".weights.h5")
        if "layer" not in case or not (folder / weights).exists():
            continue
        found = named(folder, index(folder, weights))
        assert found.items() <= case["variables"].items(), case["layer"]
        right, total = right + len(found), total + len(case["variables"])
    print(f"{right} of {total} variables named without a configuration")
    assert right > 0.8 * total


def test_optimizers_get_the_names_of_their_variables(folder: Path, cases: dict[str, Any]) -> None:
    by_names: set[str] = set()
    by_keys: set[str] = set()
    for case in cases.values():
        if "optimizer" in case:
            found = named(folder, index(folder, case["file"]))
            assert found.items() <= case["variables"].items(), case["optimizer"]
            (by_names if found == case["variables"] else by_keys).add(case["optimizer"])
    print(f"by names {sorted(by_names)}, by keys {sorted(by_keys)}: {cases['failed']}")
    assert by_keys == OPTIMIZERS_BY_KEYS


def test_roles(folder: Path, cases: dict[str, Any]) -> None:
    assert cases
    for file in ("mlp.keras", "mlp.h5", "mlp.weights.h5"):
        roles = [each.role for each in index(folder, file).tensors]
        assert roles.count(Role.WEIGHT) == 6
        assert roles.count(Role.OPTIMIZER) == len(roles) - 6 == 14


def test_quantised_layers_keep_their_keys(folder: Path, cases: dict[str, Any]) -> None:
    for mode in ("int8", "int4", "float8"):
        for file in (f"{mode}.keras", f"{mode}.weights.h5"):
            assert not named(folder, index(folder, file))
    kernel = next(each for each in index(folder, "int8.keras").tensors if each.dtype == "int8")
    assert kernel.key == "layers/dense/vars/0"


def test_the_dtype_is_the_logical_one(folder: Path, cases: dict[str, Any]) -> None:
    assert cases
    for file in ("bfloat16.keras", "bfloat16.weights.h5", "bfloat16.h5"):
        assert {each.dtype for each in index(folder, file).tensors} == {"bfloat16"}
    assert {each.dtype for each in index(folder, "mixed_bfloat16.keras").tensors} == {"float32"}


def test_architectures(folder: Path, cases: dict[str, Any]) -> None:
    assert cases
    with (folder / "mlp.keras").open("rb") as file:
        archive = architecture_of_keras_archive(file, where="mlp.keras")
    with (folder / "mlp.h5").open("rb") as file:
        legacy = architecture_of_hdf5(file, where="mlp.h5")
    with (folder / "mlp.weights.h5").open("rb") as file:
        assert architecture_of_hdf5(file, where="mlp.weights.h5") is None
    assert archive is not None
    assert legacy is not None
    assert archive["class_name"] == legacy["class_name"] == "Sequential"
    assert archive["compile_config"]["optimizer"]["class_name"] == "Adam"
    assert archive["build_config"] == {"input_shape": [None, 4]}
    assert legacy["training_config"]["optimizer_config"]["class_name"] == "Adam"


def test_names_made_from_classes_are_those_of_keras(cases: dict[str, Any]) -> None:
    assert {name: snake_case(name) for name in cases["snake"]} == cases["snake"]
