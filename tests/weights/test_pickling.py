"""Tensors and models travel to other processes as addresses, not as bytes."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import remote_models as rm
from remote_models.errors import IntegrityError, ManifestError
from remote_models.storage import Location
from remote_models.testing import Emulator, set_environment
from weights.artifacts import Array, same, write_legacy
from weights.published import copy_sample, publish, upload

ARRAYS: Mapping[str, Array] = {
    f"layer_{number}/kernel": np.arange(10_000, dtype="float32") + number for number in range(20)
}


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """Processes that start from nothing: a client's threads do not survive a fork."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "model.h5"
    write_legacy(file, {name.split("/")[0]: {"kernel": array} for name, array in ARRAYS.items()})
    return file


def check(remote: rm.RemoteModel, pool: ProcessPoolExecutor) -> None:
    tensors = list(remote.weights.values())
    found = list(pool.map(np.asarray, tensors))
    assert all(same(array, ARRAYS[t.name]) for t, array in zip(tensors, found, strict=True))
    assert pool.submit(rm.RemoteModel.summary, remote).result() == remote.summary()


def test_local(path: Path, local_base: Location, pool: ProcessPoolExecutor) -> None:
    location = local_base.join("model.h5")
    rm.push_model(path, str(location))
    check(rm.open_model(str(location)), pool)


def test_s3_with_storage_options(path: Path, s3_base: Location, pool: ProcessPoolExecutor) -> None:
    location, options = s3_base.join("model.h5"), s3_base.storage_options
    rm.push_model(path, str(location), storage_options=options)
    check(rm.open_model(str(location), storage_options=options), pool)


def test_s3_by_the_environment(path: Path, s3_base: Location, seaweed: Emulator) -> None:
    with (
        set_environment(seaweed),
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        location = s3_base.join("model.h5")
        rm.push_model(path, str(location))
        check(rm.open_model(str(location)), pool)


def test_an_address_is_short_and_holds_no_bytes(path: Path, memory_base: Location) -> None:
    location = memory_base.join("model.h5")
    rm.push_model(path, str(location))
    remote = rm.open_model(str(location))
    remote.weights.fetch()
    assert len(pickle.dumps(remote)) < 600
    for tensor in remote.weights.values():
        assert len(pickle.dumps(tensor)) < 700
    # Together they name the model once.
    assert len(pickle.dumps(list(remote.weights.values()))) < 600 + 100 * len(ARRAYS)


def test_there_and_back(path: Path, memory_base: Location) -> None:
    location = memory_base.join("model.h5")
    rm.push_model(path, str(location))
    remote = rm.open_model(str(location))
    again = pickle.loads(pickle.dumps(remote))
    assert (again.location, again.layout, again.files) == (
        remote.location,
        remote.layout,
        remote.files,
    )
    assert again.manifest == remote.manifest
    tensors = pickle.loads(pickle.dumps([remote.weights[name] for name in ARRAYS]))
    assert all(same(np.asarray(tensor), ARRAYS[tensor.name]) for tensor in tensors)


def test_what_was_replaced_meanwhile_is_refused(path: Path, memory_base: Location) -> None:
    location = memory_base.join("model.h5")
    rm.push_model(path, str(location))
    data = pickle.dumps(rm.open_model(str(location)).weights["layer_3/kernel"])
    write_legacy(path, {"layer_3": {"kernel": ARRAYS["layer_4/kernel"]}})
    rm.push_model(path, str(location))
    with pytest.raises(ManifestError, match="not the pinned manifest"):
        pickle.loads(data)


def test_the_choice_not_to_verify_travels(memory_base: Location, tmp_path: Path) -> None:
    location = upload(copy_sample("keras", tmp_path), memory_base)
    for verify in (True, False):
        tensor = rm.open_model(str(location), verify=verify).weights["dense/kernel"]
        again = pickle.loads(pickle.dumps(tensor))
        if verify:
            with pytest.raises(IntegrityError, match="nothing vouches"):
                np.asarray(again)
        else:
            assert np.asarray(again).shape == (3, 2)


def test_a_manifest_elsewhere_travels(memory_base: Location, tmp_path: Path) -> None:
    location = publish("keras", memory_base, tmp_path)
    elsewhere = f"{memory_base}/elsewhere.json"
    rm.adopt_model(str(location), manifest_url=elsewhere, metadata={"where": "elsewhere"})
    again = pickle.loads(pickle.dumps(rm.open_model(str(location), manifest_url=elsewhere)))
    assert again.metadata == {"where": "elsewhere"}
    assert np.asarray(again.weights["dense/kernel"]).shape == (3, 2)
