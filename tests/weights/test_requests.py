"""How many requests, and how many bytes, reading costs: counted before a real S3 server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import remote_models as rm
from remote_models.manifest import FileEntry, Layout, Manifest, RelativePath, StoredManifest
from remote_models.storage import Location, TransferSettings
from remote_models.tensors import Piece, StoredTensor, block_count, choose_block_size
from remote_models.testing import Emulator
from weights.artifacts import Array, put, same, write_legacy, write_weights
from weights.counting_proxy import CountingProxy

MIB = 1024 * 1024
"""A thousandth of the models that the script measures, which are 16 times as large."""

GIB = 1024 * MIB

TENSORS = 32
ROWS = 256 * 1024
WIDTH = 64


@dataclass(frozen=True)
class Counted:
    """A model behind the proxy, and what its tensors hold."""

    location: Location
    arrays: Mapping[str, Array]

    def open(self) -> rm.RemoteModel:
        return rm.open_model(str(self.location), storage_options=self.location.storage_options)


@pytest.fixture(scope="module")
def folder(
    seaweed: Emulator, buckets: Any, session_proxy: CountingProxy
) -> tuple[Location, Location]:
    """One prefix twice: reached directly, and through the proxy."""
    direct = buckets.prefix(seaweed)
    return direct, replace(direct, storage_options=session_proxy.storage_options(seaweed))


def pushed(path: Path, folder: tuple[Location, Location], arrays: Mapping[str, Array]) -> Counted:
    direct, counted = folder
    rm.push_model(path, str(direct.join(path.name)), storage_options=direct.storage_options)
    return Counted(counted.join(path.name), arrays)


@pytest.fixture(scope="module")
def model(folder: tuple[Location, Location], tmp_path_factory: pytest.TempPathFactory) -> Counted:
    """64 MiB in 32 tensors, in Keras' ``.weights.h5`` layout."""
    random = np.random.default_rng(0)
    arrays = {f"dense_{n}/kernel": random.random((512, 1024), "float32") for n in range(TENSORS)}
    path = tmp_path_factory.mktemp("model") / "model.weights.h5"
    write_weights(path, {name.split("/")[0]: [array] for name, array in arrays.items()})
    return pushed(path, folder, arrays)


@pytest.fixture(scope="module")
def embedding(
    folder: tuple[Location, Location], tmp_path_factory: pytest.TempPathFactory
) -> Counted:
    """64 MiB in one table of rows of 256 bytes."""
    table = np.random.default_rng(1).random((ROWS, WIDTH), "float32")
    path = tmp_path_factory.mktemp("embedding") / "embedding.weights.h5"
    write_weights(path, {"embedding": [table]})
    return pushed(path, folder, {"layers/embedding/vars/0": table})


@pytest.fixture(scope="module")
def many(folder: tuple[Location, Location], tmp_path_factory: pytest.TempPathFactory) -> Counted:
    """300 tensors of 4 to 40 KiB."""
    random = np.random.default_rng(2)
    arrays = {
        f"layer_{n:03}/kernel": random.random(1024 * (1 + n % 10), "float32") for n in range(300)
    }
    path = tmp_path_factory.mktemp("many") / "many.h5"
    write_legacy(path, {name.split("/")[0]: {"kernel": array} for name, array in arrays.items()})
    return pushed(path, folder, arrays)


def test_opening_is_one_small_request(proxy: CountingProxy, counted_base: Location) -> None:
    """The manifest of a model of 1 GiB in 32 tensors: its files are not looked at."""
    nbytes = GIB // TENSORS
    block_size = choose_block_size(GIB)
    random = np.random.default_rng(0)
    manifest = Manifest(
        format="keras_weights",
        layout=Layout.FILE,
        created="2026-01-01T00:00:00Z",
        producer={"keras": "3.15.1", "tensorflow": "2.21.0", "python": "3.11.7"},
        files=[
            FileEntry(
                path=RelativePath("model.weights.h5"), size=GIB + 8192, sha256="0" * 64,
                rest_sha256="0" * 64,
            )
        ],
        tensors=[
            StoredTensor(
                key=f"layers/dense_{n}/vars/0",
                name=f"dense_{n}/kernel",
                dtype="float32",
                shape=(nbytes // 4096, 1024),
                pieces=(
                    Piece(
                        file="model.weights.h5",
                        offset=4096 + n * nbytes,
                        nbytes=nbytes,
                        origin=(0, 0),
                        shape=(nbytes // 4096, 1024),
                        digests=random.bytes(32 * block_count(nbytes, block_size)),
                    ),
                ),
            )
            for n in range(TENSORS)
        ],
        block_size=block_size,
    )  # fmt: skip
    location = counted_base.join("model.weights.h5")
    data = StoredManifest(current=manifest).to_bytes()
    put(location.with_suffix(".manifest.json"), data)
    proxy.clear()
    weights = Counted(location, {}).open().weights
    assert [t.nbytes for t in weights.values()] == [nbytes] * TENSORS
    assert [exchange.method for exchange in proxy.exchanges] == ["GET"]
    assert proxy.nbytes == len(data) < 100_000


def test_looking_around_is_no_request(proxy: CountingProxy, model: Counted) -> None:
    weights = model.open().weights
    proxy.clear()
    assert len(weights) == TENSORS
    assert set(weights) == set(model.arrays)
    assert weights["layers/dense_3/vars/0"].name == "dense_3/kernel"
    assert {t.shape for t in weights.values()} == {(512, 1024)}
    assert len(weights.select("dense_3")) == 1
    assert proxy.requests == 0


def test_a_tensor_is_one_request_for_its_own_bytes(proxy: CountingProxy, model: Counted) -> None:
    weights = model.open().weights
    for name in list(weights)[::8]:
        proxy.clear()
        assert same(np.asarray(weights[name]), model.arrays[name])
        assert (proxy.requests, proxy.nbytes) == (1, 2 * MIB)


def test_a_whole_model_takes_requests_that_are_nearly_full(
    proxy: CountingProxy, model: Counted
) -> None:
    weights = model.open().weights
    proxy.clear()
    found = weights.fetch()
    assert all(same(found[name], array) for name, array in model.arrays.items())
    full = 64 * MIB / TransferSettings().request_size
    assert full <= proxy.requests <= 1.5 * full
    assert proxy.nbytes <= 64.1 * MIB


def test_many_small_tensors_take_few_requests(proxy: CountingProxy, many: Counted) -> None:
    weights = many.open().weights
    assert len(weights) == 300
    proxy.clear()
    found = weights.fetch()
    assert all(same(found[name], array) for name, array in many.arrays.items())
    assert proxy.requests <= 8
    assert proxy.nbytes <= 1.25 * sum(array.nbytes for array in many.arrays.values())


def test_random_rows_move_their_blocks_only(proxy: CountingProxy, embedding: Counted) -> None:
    (tensor,) = embedding.open().weights.values()
    (table,) = embedding.arrays.values()
    rows = np.random.default_rng(3).integers(0, ROWS, 100)
    proxy.clear()
    assert same(tensor[rows], table[rows])
    blocks = len(set((rows * WIDTH * 4 // (64 * 1024)).tolist()))
    assert proxy.requests <= blocks <= 100
    assert proxy.nbytes <= 100 * 64 * 1024


def test_a_row_is_one_block(proxy: CountingProxy, embedding: Counted) -> None:
    (tensor,) = embedding.open().weights.values()
    (table,) = embedding.arrays.values()
    proxy.clear()
    assert same(tensor[ROWS - 1], table[-1])
    assert (proxy.requests, proxy.nbytes) == (1, 64 * 1024)


def test_adjacent_rows_are_one_request(proxy: CountingProxy, embedding: Counted) -> None:
    (tensor,) = embedding.open().weights.values()
    (table,) = embedding.arrays.values()
    proxy.clear()
    assert same(tensor[1000:3000], table[1000:3000])
    assert proxy.requests == 1
    assert proxy.nbytes <= 2000 * WIDTH * 4 + 2 * 64 * 1024


@pytest.fixture(scope="module")
def strangers(
    folder: tuple[Location, Location], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Location, Location]:
    """Two files without a manifest, of 1 MiB and 48 MiB, in 32 tensors each."""
    direct, counted = folder
    for size in (32, 1536):
        path = tmp_path_factory.mktemp("stranger") / f"stranger-{size}.weights.h5"
        with h5py.File(path, "w") as root:
            for number in range(TENSORS):
                group = root.create_group(f"layers/dense_{number}/vars")
                group.attrs["name"] = f"dense_{number}"
                group.create_dataset("0", data=np.full((size, 256), number, "float32"))
        put(direct.join(path.name), path.read_bytes())
    return counted.join("stranger-32.weights.h5"), counted.join("stranger-1536.weights.h5")


def test_opening_a_strangers_model_costs_by_its_structure_not_by_its_size(
    proxy: CountingProxy, strangers: tuple[Location, Location]
) -> None:
    costs = []
    for location in strangers:
        remote = rm.open_model(
            str(location), storage_options=location.storage_options, verify=False
        )
        proxy.clear()
        assert len(remote.weights) == TENSORS
        costs.append((proxy.requests, proxy.nbytes))
        proxy.clear()
        assert set(np.asarray(remote.weights["layers/dense_7/vars/0"]).ravel().tolist()) == {7}
        assert proxy.requests == 1
    (_, _), (requests, nbytes) = costs
    assert requests <= 4 + 2 * TENSORS
    assert nbytes <= requests * 256 * 1024
    print(f"requests and bytes to index 1 MiB and 48 MiB: {costs}")
