"""A changed byte never becomes a number, and what vouches for a tensor vouches for it alone."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from resealing import resealed

import remote_models as rm
from remote_models.errors import (
    IntegrityError,
    ManifestError,
    ModelNotFoundError,
    RemoteModelsError,
    TensorNotFoundError,
)
from remote_models.manifest import Manifest
from remote_models.remote_model import RemoteModel, manifest_location
from remote_models.storage import Location
from remote_models.tensors import StoredTensor, block_count
from remote_models.testing import Emulator
from weights.artifacts import (
    SAMPLES,
    Array,
    delete,
    flip,
    get,
    opened,
    put,
    same,
    store_tensors,
    without_digests,
)
from weights.counting_proxy import CountingProxy
from weights.published import FORMATS, publish, upload


@dataclass(frozen=True)
class Published:
    """An artifact in memory, and what its tensors hold."""

    location: Location
    manifest: Manifest
    arrays: Mapping[str, Array]

    def open(self) -> RemoteModel:
        return rm.open_model(str(self.location))

    def file(self, path: str) -> Location:
        return self.open().file_location(path)


@pytest.fixture(scope="module", params=FORMATS)
def published(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Published:
    base = Location.parse(f"memory://integrity-{request.param}")
    location = publish(request.param, base, tmp_path_factory.mktemp("source"))
    remote = rm.open_model(str(location))
    assert remote.manifest is not None
    return Published(location, remote.manifest, remote.weights.fetch())


@pytest.fixture
def restored(published: Published) -> Iterator[Published]:
    """The artifact, whole again after the test."""
    locations = [published.file(entry.path) for entry in published.manifest.files]
    locations.append(manifest_location(published.location, published.manifest.layout))
    before = {location: get(location) for location in locations}
    yield published
    for location, data in before.items():
        put(location, data)


def blocks_of(manifest: Manifest) -> Iterator[tuple[StoredTensor, str, int]]:
    """The tensor, the file and one byte of every block."""
    for tensor in manifest.tensors:
        for piece in tensor.pieces:
            for number in range(block_count(piece.nbytes, manifest.block_size)):
                start = piece.offset + number * manifest.block_size
                stop = min(start + manifest.block_size, piece.stop)
                yield tensor, piece.file, (start + stop - 1) // 2


def test_every_tensor_is_vouched_for(published: Published) -> None:
    manifest = published.manifest
    assert manifest.tensors
    for tensor in manifest.tensors:
        for piece in tensor.pieces:
            assert piece.nbytes
            assert len(piece.digests) == 32 * block_count(piece.nbytes, manifest.block_size)
            assert piece.masked_crc32c is None
    if published.location.name == "large.weights.h5":
        assert len(list(blocks_of(manifest))) >= 10


def test_a_changed_block_is_no_array_and_its_neighbours_are(restored: Published) -> None:
    for tensor, file, position in blocks_of(restored.manifest):
        flip(restored.file(file), position)
        weights = restored.open().weights
        with pytest.raises(IntegrityError) as caught:
            np.asarray(weights[tensor.label])
        assert tensor.label in str(caught.value)
        others = [name for name in weights if name != tensor.label]
        found = weights.fetch(others) if others else {}
        assert set(found) == set(restored.arrays) - {tensor.label}
        assert all(same(array, restored.arrays[name]) for name, array in found.items())
        flip(restored.file(file), position)


def test_a_stream_gives_what_is_right_until_it_fails(restored: Published) -> None:
    for tensor, file, position in blocks_of(restored.manifest):
        flip(restored.file(file), position)
        seen: dict[str, Array] = {}
        with pytest.raises(IntegrityError):
            seen.update(restored.open().weights.stream())
        assert tensor.label not in seen
        assert all(same(array, restored.arrays[name]) for name, array in seen.items())
        flip(restored.file(file), position)


def test_a_changed_configuration_is_refused(restored: Published) -> None:
    for document in restored.manifest.documents:
        if not document.nbytes:
            continue
        whole = restored.open().architecture
        flip(restored.file(document.file), document.offset + document.nbytes // 2)
        if document.name in ("model_config", "training_config", "keras_metadata"):
            with pytest.raises(IntegrityError, match="what describes the model"):
                _ = restored.open().architecture
        flip(restored.file(document.file), document.offset + document.nbytes // 2)
        assert restored.open().architecture == whole


def test_a_truncated_file(restored: Published) -> None:
    """A tensor that is still whole can be read, one that lost a byte cannot."""
    tensors = {tensor.label: tensor for tensor in restored.manifest.tensors}
    for file in {piece.file for tensor in tensors.values() for piece in tensor.pieces}:
        location = restored.file(file)
        data = get(location)
        last = max(piece.stop for tensor in tensors.values() for piece in tensor.pieces
                   if piece.file == file)  # fmt: skip
        for size in (0, last // 2, last - 1):
            put(location, data[:size])
            weights = restored.open().weights
            for name, tensor in tensors.items():
                if all(piece.file != file or piece.stop <= size for piece in tensor.pieces):
                    assert same(np.asarray(weights[name]), restored.arrays[name])
                else:
                    with pytest.raises(IntegrityError, match="shorter"):
                        np.asarray(weights[name])
        put(location, data)


def test_a_missing_file(restored: Published) -> None:
    piece = restored.manifest.tensors[0].pieces[0]
    delete(restored.file(piece.file))
    weights = restored.open().weights
    with pytest.raises(IntegrityError, match="missing"):
        np.asarray(weights[restored.manifest.tensors[0].label])


def edited(published: Published, edit: Callable[[Any], None]) -> None:
    """Change the manifest in the store."""
    where = manifest_location(published.location, published.manifest.layout)
    document = json.loads(get(where))
    edit(document)
    put(where, resealed(document))


def test_digests_of_two_tensors_swapped(restored: Published) -> None:
    def swap(document: Any) -> None:
        first, second = document["tensors"][-2:]
        first["blocks"], second["blocks"] = (
            (second["blocks"] * 20)[: len(first["blocks"])],
            (first["blocks"] * 20)[: len(second["blocks"])],
        )

    edited(restored, swap)
    try:
        weights = restored.open().weights
    except ManifestError:
        return  # of another number of blocks: it is refused whole
    for tensor in restored.manifest.tensors[-2:]:
        with pytest.raises(IntegrityError):
            np.asarray(weights[tensor.label])


def test_ranges_of_two_tensors_swapped(restored: Published) -> None:
    """Even if they are equally long, as two biases may be."""
    seen: dict[int, int] = {}
    for index, tensor in enumerate(restored.manifest.tensors):
        other = seen.setdefault(tensor.nbytes, index)
        if other == index or same(
            restored.arrays[tensor.label],
            restored.arrays[restored.manifest.tensors[other].label],
        ):
            continue

        def swap(document: Any, index: int = index, other: int = other) -> None:
            one, two = document["tensors"][index], document["tensors"][other]
            for member in ("offset", "file"):
                one[member], two[member] = two[member], one[member]

        edited(restored, swap)
        with pytest.raises(IntegrityError):
            np.asarray(restored.open().weights[tensor.label])
        return


@pytest.mark.parametrize("blocks", [None, "", "AAAA"])
def test_a_manifest_without_its_digests_is_refused_whole(
    restored: Published, blocks: str | None
) -> None:
    def remove(document: Any) -> None:
        if blocks is None:
            del document["tensors"][-1]["blocks"]
        else:
            document["tensors"][-1]["blocks"] = blocks

    edited(restored, remove)
    with pytest.raises(ManifestError, match="blocks"):
        restored.open()


class TestRows:
    """Of a tensor of many blocks only those count that hold a wanted row."""

    BLOCK = 64

    @pytest.fixture(params=["memory", "local"])
    def place(self, request: pytest.FixtureRequest) -> Location:
        base: Location = request.getfixturevalue(f"{request.param}_base")
        return base

    def test_a_changed_row_spoils_its_block_and_no_other(self, place: Location) -> None:
        table = np.arange(200, dtype="float32").reshape(50, 4)  # 16 bytes a row, 4 rows a block
        manifest = store_tensors(place, {"table": table}, block_size=self.BLOCK)
        (piece,) = manifest.tensors[0].pieces
        flip(place.join(piece.file), piece.offset + 5 * self.BLOCK + 1)
        tensor = opened(place, manifest).weights["table"]
        for row in range(50):
            if row // 4 == 5:
                for index in (row, [row, 0], slice(row, row + 1)):
                    with pytest.raises(IntegrityError, match="table"):
                        tensor[index]
            else:
                assert same(tensor[row], table[row])
        assert same(tensor[[0, 49, 19]], table[[0, 49, 19]])
        assert same(tensor[24:], table[24:])

    def test_rows_that_cross_blocks(self, place: Location) -> None:
        table = np.arange(150, dtype="float32").reshape(15, 10)  # 40 bytes a row
        manifest = store_tensors(place, {"table": table}, block_size=self.BLOCK)
        (piece,) = manifest.tensors[0].pieces
        for block in range(len(piece.digests) // 32):
            flip(place.join(piece.file), piece.offset + block * self.BLOCK)
            tensor = opened(place, manifest).weights["table"]
            for row in range(15):
                first, last = row * 40 // self.BLOCK, (row * 40 + 39) // self.BLOCK
                if first <= block <= last:
                    with pytest.raises(IntegrityError):
                        tensor[row]
                else:
                    assert same(tensor[row], table[row])
            flip(place.join(piece.file), piece.offset + block * self.BLOCK)

    def test_a_changed_partition(self, place: Location) -> None:
        table = np.arange(40, dtype="int64").reshape(10, 4)
        cuts = {"table": ((3, 7), (4,))}
        manifest = store_tensors(place, {"table": table}, cuts=cuts, files=2)
        second = manifest.tensors[0].pieces[1]
        flip(place.join(second.file), second.offset)
        tensor = opened(place, manifest).weights["table"]
        assert same(tensor[:3], table[:3])
        for index in (..., 3, slice(2, 4)):
            with pytest.raises(IntegrityError):
                tensor[index]


class TestUnverifiable:
    """Nothing vouches for the bytes: they are refused unless somebody says otherwise."""

    def test_refused_without_a_manifest(self, memory_base: Location) -> None:
        location = upload(SAMPLES / "tf_keras-2.21.0/saved_model", memory_base)
        remote = rm.open_model(str(location))
        assert not remote.is_verifiable
        kernel = remote.weights["dense/kernel"]
        assert kernel.shape == (3, 2)
        for read in (np.asarray, lambda t: t[0], lambda t: remote.weights.fetch([t.name])):
            with pytest.raises(IntegrityError, match=r"nothing vouches for these bytes.*Adopt"):
                read(kernel)

    def test_read_when_asked_for(self, memory_base: Location) -> None:
        location = upload(SAMPLES / "tf_keras-2.21.0/saved_model", memory_base)
        rm.push_model(SAMPLES / "tf_keras-2.21.0/saved_model", f"{memory_base}/pushed")
        expected = rm.open_model(f"{memory_base}/pushed").weights.fetch()
        found = rm.open_model(str(location), verify=False).weights.fetch()
        assert found.keys() == expected.keys()
        assert all(same(found[name], expected[name]) for name in expected)

    def test_a_checkpoints_own_checksums_count_all_the_same(self, memory_base: Location) -> None:
        location = upload(SAMPLES / "tf_keras-2.21.0/saved_model", memory_base)
        data = "variables/variables.data-00000-of-00001"
        remote = rm.open_model(str(location), verify=False)
        expected = np.asarray(remote.weights["dense/kernel"])
        position = get(location.join(data)).index(expected.tobytes())
        flip(location.join(data), position)
        with pytest.raises(IntegrityError, match="replaced while it was being read"):
            np.asarray(remote.weights["dense/kernel"])
        again = rm.open_model(str(location), verify=False)
        with pytest.raises(IntegrityError, match="checksum"):
            np.asarray(again.weights["dense/kernel"])

    def test_bytes_without_digests_are_refused(self, memory_base: Location) -> None:
        manifest = without_digests(store_tensors(memory_base, {"it": np.ones(3)}))
        with pytest.raises(IntegrityError, match="nothing vouches"):
            np.asarray(opened(memory_base, manifest).weights["it"])
        assert np.asarray(opened(memory_base, manifest, verify=False).weights["it"]).sum() == 3

    def test_a_tensor_without_bytes_needs_no_digest(self, memory_base: Location) -> None:
        manifest = without_digests(store_tensors(memory_base, {"it": np.ones((0, 3))}))
        assert np.asarray(opened(memory_base, manifest).weights["it"]).shape == (0, 3)


def replaced(location: Location) -> RemoteModel:
    """Open a model, then let another one take its place."""
    options = location.storage_options
    rm.push_model(SAMPLES / "keras-3.15.1/model.keras", str(location), storage_options=options)
    remote = rm.open_model(str(location), storage_options=options)
    assert remote.manifest is not None
    rm.push_model(SAMPLES / "tf_keras-2.21.0/model.keras", str(location), storage_options=options)
    return remote


def test_replaced_between_opening_and_reading(base: Location) -> None:
    remote = replaced(base.join("model.keras"))
    for read in (remote.weights.fetch, lambda: remote.weights["dense/kernel"][1]):
        with pytest.raises(IntegrityError):
            read()
    with pytest.raises(IntegrityError):
        _ = remote.architecture


@pytest.fixture(scope="module")
def old_arrays() -> Mapping[str, Array]:
    rm.push_model(SAMPLES / "keras-3.15.1/model.keras", "memory://old/model.keras")
    return rm.open_model("memory://old/model.keras").weights.fetch()


def test_pinned_versions_outlive_their_replacement(
    versioned_base: Location, old_arrays: Mapping[str, Array]
) -> None:
    remote = replaced(versioned_base.join("model.keras"))
    found = remote.weights.fetch()
    assert found.keys() == old_arrays.keys()
    assert all(same(found[name], old_arrays[name]) for name in found)
    assert same(remote.weights["dense/kernel"][1], old_arrays["dense/kernel"][1])
    assert remote.architecture is not None
    now = rm.open_model(str(remote.location), storage_options=versioned_base.storage_options)
    assert now.weights.keys() != remote.weights.keys()


def test_pinned_versions_outlive_deletion(
    versioned_base: Location, old_arrays: Mapping[str, Array]
) -> None:
    remote = replaced(versioned_base.join("model.keras"))
    delete(remote.location)
    assert same(np.asarray(remote.weights["dense/kernel"]), old_arrays["dense/kernel"])


def test_a_pinned_version_is_checked_as_well(versioned_base: Location) -> None:
    """The manifest names a version that is not the one that it vouches for."""
    location = versioned_base.join("model.keras")
    options = versioned_base.storage_options
    newest = rm.push_model(
        SAMPLES / "keras-3.15.1/model.h5", str(location), storage_options=options
    )
    remote = replaced(location)
    assert remote.manifest is not None
    remote._likeliest = remote.manifest.with_files(
        replace(entry, version=newest.files[0].version) for entry in remote.manifest.files
    )
    with pytest.raises(IntegrityError):
        remote.weights.fetch()


@pytest.mark.parametrize("versioning", [False, True])
def test_reading_takes_no_other_permission_than_getting_objects(
    proxy: CountingProxy, seaweed: Emulator, buckets: Any, tmp_path: Path, *, versioning: bool
) -> None:
    """Neither a listing nor a HEAD nor a version passes."""
    options = proxy.storage_options(seaweed)
    counted_base = replace(buckets.prefix(seaweed, versioning=versioning), storage_options=options)
    for name in ("saved_model", "h5", "sharded_weights"):
        location = publish(name, counted_base, tmp_path)
        proxy.allows = lambda method, path: method == "GET" and "?" not in path and "test-" in path
        remote = rm.open_model(str(location), storage_options=options)
        arrays = remote.weights.fetch()
        assert arrays
        kernel = remote.weights["dense/kernel"]
        assert same(kernel[1], arrays["dense/kernel"][1])
        assert (remote.architecture is None) == (name == "sharded_weights")
        proxy.allows = lambda _method, _path: True


def test_nothing_there() -> None:
    with pytest.raises(ModelNotFoundError):
        rm.open_model("memory://nowhere/at-all").weights.fetch()


def test_unknown_names_are_key_errors(published: Published) -> None:
    weights = published.open().weights
    assert "no such tensor" not in weights
    assert weights.get("no such tensor") is None
    with pytest.raises(TensorNotFoundError) as caught:
        weights["no such tensor"]
    assert isinstance(caught.value, KeyError)
    assert isinstance(caught.value, RemoteModelsError)


def test_digests_are_of_the_bytes_of_the_files(published: Published) -> None:
    """As docs/manifest.md says it, from the stored document."""
    import hashlib

    where = manifest_location(published.location, published.manifest.layout)
    document = json.loads(get(where))
    for tensor in document["tensors"]:
        data = get(published.file(tensor["file"]))
        content = data[tensor["offset"] : tensor["offset"] + tensor["nbytes"]]
        digests = base64.b64decode(tensor["blocks"])
        size = document["block_size"]
        for number in range(len(digests) // 32):
            block = content[number * size : (number + 1) * size]
            assert hashlib.sha256(block).digest() == digests[32 * number : 32 * number + 32]
