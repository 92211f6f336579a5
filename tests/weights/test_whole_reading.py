"""A load checks every byte: what it reads for that, in how many requests, and of what version."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import remote_models as rm
from remote_models._strict_json import canonical_json
from remote_models.errors import IntegrityError, StoreUnavailableError
from remote_models.manifest import FileEntry, Layout, Manifest, RelativePath, StoredManifest
from remote_models.remote_model import WholeReading, _file_rests
from remote_models.remote_model._file_rests import FileRests, whole_file
from remote_models.remote_model._stretch import Stretch
from remote_models.storage import ByteRange, Location
from remote_models.tensor_hashing import ArtifactHasher
from remote_models.tensors import Piece, Role, StoredTensor
from remote_models.testing import Emulator
from weights.artifacts import Array, flip, get, put, same, write_legacy, write_weights
from weights.counting_proxy import CountingProxy
from weights.published import FORMATS, copy_sample, publish, upload


def read_all(remote: rm.RemoteModel, *, without: tuple[Role, ...] = ()) -> Mapping[str, Array]:
    with WholeReading(remote, without=without) as reading:
        _ = reading.architecture
        wanted = [t.name for t in reading.weights.values() if t.role not in without]
        return dict(reading.weights.stream(wanted))


# A stretch: ranges in any order


@given(st.data())
def test_ranges_of_a_stretch_come_in_any_order(data: st.DataObject) -> None:
    content = bytes(range(100))
    edges = sorted(data.draw(st.sets(st.integers(0, 100), min_size=2, max_size=12)))
    ranges = [
        ByteRange("f", start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=False)
    ]
    joined = b"".join(content[each.start : each.stop] for each in ranges)
    stretch = Stretch("f", ranges, hashlib.sha256(joined).hexdigest(), "it")
    order = data.draw(st.permutations(ranges))
    more = data.draw(st.lists(st.sampled_from(ranges)))  # some twice
    for number, each in enumerate([*order, *more]):
        assert not stretch.is_right or number >= len(ranges)
        assert (each in stretch.missing) == (number < len(ranges))
        stretch.receive(each, memoryview(content[each.start : each.stop]))
    assert stretch.is_right
    assert stretch.missing == []
    again = stretch.again()
    assert again.missing == ranges
    for each in ranges:
        again.receive(each, memoryview(bytes(each.size)))
    assert again.is_right == (joined == bytes(len(joined)))


def test_an_empty_stretch_is_right_by_the_digest_of_nothing() -> None:
    assert Stretch("f", [], hashlib.sha256().hexdigest(), "it").is_right
    assert not Stretch("f", [], "0" * 64, "it").is_right


# The rest of a file


@pytest.mark.parametrize("name", FORMATS)
def test_the_rest_and_all_tensors_and_documents_are_the_whole_file(
    name: str, memory_base: Location, tmp_path: Path
) -> None:
    location = publish(name, memory_base, tmp_path)
    remote = rm.open_model(str(location))
    manifest = remote.manifest
    assert manifest is not None
    rests = FileRests(manifest, 1000)
    along = rests.take_along([p for tensor in manifest.tensors for p in tensor.pieces])
    assert rests.take_along([p for tensor in manifest.tensors for p in tensor.pieces]) == []
    for entry in manifest.files:
        stretch = rests.stretches.get(entry.path) or whole_file(entry, 1000)
        inside = {at for each in stretch.ranges for at in range(each.start, each.stop)}
        assert sum(each.size for each in stretch.ranges) == len(inside)
        assert all(0 < each.size <= 1000 for each in stretch.ranges)
        ranges = [(p.file, p.offset, p.nbytes) for t in manifest.tensors for p in t.pieces]
        ranges += [(each.file, each.offset, each.nbytes) for each in manifest.documents]
        for file, offset, nbytes in ranges:
            if file == entry.path:
                mine = set(range(offset, offset + nbytes))
                assert not (mine & inside and file in rests.stretches)
                inside |= mine
        assert inside == set(range(entry.size))
        data = get(remote.file_location(entry.path))
        for gap in stretch.ranges:
            stretch.receive(gap, memoryview(data[gap.start : gap.stop]))
        assert stretch.is_right
        has_tensors = any(p.file == entry.path for t in manifest.tensors for p in t.pieces)
        if has_tensors:
            assert sorted(each for each in along if each.file == entry.path) == stretch.ranges


# What is read


@pytest.fixture
def many(counted_base: Location, tmp_path: Path) -> Location:
    """300 tensors of 4 to 40 KiB, as in HDF5 of Keras 2, behind the counting proxy."""
    random = np.random.default_rng(2)
    path = tmp_path / "many.h5"
    write_legacy(
        path,
        {
            f"layer_{n:03}": {"kernel": random.random(1024 * (1 + n % 10), "float32")}
            for n in range(300)
        },
    )
    location = counted_base.join(path.name)
    rm.push_model(path, str(location), storage_options=location.storage_options)
    return location


def test_what_lies_around_tensors_costs_no_request(proxy: CountingProxy, many: Location) -> None:
    remote = rm.open_model(str(many), storage_options=many.storage_options)
    proxy.clear()
    remote.weights.fetch()
    bare = (proxy.requests, proxy.nbytes)
    proxy.clear()
    read_all(remote)
    whole = (proxy.requests, proxy.nbytes)
    print(f"300 tensors, requests and bytes: {bare} of tensors alone, {whole} of all")
    assert whole[0] <= bare[0] + 1
    assert whole[1] <= remote.total_size + 1024


def test_an_archive_is_two_requests(
    proxy: CountingProxy, counted_base: Location, tmp_path: Path
) -> None:
    """The configuration, and all else with the tensors."""
    location = publish("keras", counted_base, tmp_path)
    remote = rm.open_model(str(location), storage_options=location.storage_options)
    proxy.clear()
    read_all(remote)
    assert proxy.requests == 2


def test_a_large_rest_is_read_at_the_end(
    memory_base: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not with the tensors: it would wait in memory until those before it have come."""
    monkeypatch.setattr(_file_rests, "_MOST_ALONG", 100)
    location = publish("h5", memory_base, tmp_path)
    remote = rm.open_model(str(location))
    manifest = remote.manifest
    assert manifest is not None
    pieces = [piece for tensor in manifest.tensors for piece in tensor.pieces]
    assert FileRests(manifest, 1000).take_along(pieces) == []
    read_all(remote)
    flip(location, 3)
    with pytest.raises(IntegrityError, match="structure"):
        read_all(remote)


def test_a_file_without_tensors_is_one_request(
    proxy: CountingProxy, counted_base: Location, tmp_path: Path
) -> None:
    location = publish("saved_model", counted_base, tmp_path)
    remote = rm.open_model(str(location), storage_options=location.storage_options)
    proxy.clear()
    read_all(remote)
    paths = [exchange.path.rpartition("/")[2] for exchange in proxy.exchanges]
    assert sorted(paths) == sorted(path.rpartition("/")[2] for path in remote.files)


def test_an_optimizers_state_is_left_where_nobody_wants_it(
    proxy: CountingProxy, counted_base: Location, tmp_path: Path
) -> None:
    path = tmp_path / "m.weights.h5"
    kernel = np.random.default_rng(0).random((512, 1024), "float32")
    write_weights(path, {"dense": [kernel, kernel[0]]})
    import h5py

    with h5py.File(path, "a") as root:
        for number in range(3):
            root.create_dataset(f"optimizer/vars/{number}", data=kernel + number)
    location = counted_base.join(path.name)
    rm.push_model(path, str(location), storage_options=location.storage_options)
    remote = rm.open_model(str(location), storage_options=location.storage_options)
    assert {t.role for t in remote.weights.values()} == {Role.WEIGHT, Role.OPTIMIZER}
    proxy.clear()
    read_all(remote, without=(Role.OPTIMIZER,))
    assert kernel.nbytes < proxy.nbytes < 1.1 * kernel.nbytes
    proxy.clear()
    read_all(remote)
    assert 4 * kernel.nbytes < proxy.nbytes < 4.1 * kernel.nbytes
    # Nor is it compared: but with it, all is.
    piece = next(t for t in remote.manifest.tensors if t.role is Role.OPTIMIZER).pieces[0]  # type: ignore[union-attr]
    flip(location, piece.offset + 5)
    read_all(remote, without=(Role.OPTIMIZER,))
    with pytest.raises(IntegrityError):
        read_all(remote)


@pytest.mark.parametrize("dtype", ["int4", "bfloat16", "string", "float32"])
def test_what_nobody_has_read_is_checked_whatever_its_dtype(
    dtype: str, memory_base: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a dtype that NumPy does not have, or has from a package that is not installed."""
    data = bytes(range(1, 9)) if dtype != "string" else b"\x03" + bytes(7)
    elements = {"int4": 16, "bfloat16": 4, "string": 1, "float32": 2}[dtype]
    put(memory_base.join("data"), b"head" + data)
    piece = Piece(file="data", offset=4, nbytes=8, origin=(0,), shape=(elements,))
    tensor = StoredTensor(key="k", name="odd", dtype=dtype, shape=(elements,), pieces=(piece,))
    hashers = ArtifactHasher([tensor])
    hasher = hashers.of_file("data")
    hasher.update(b"head" + data)
    entry = FileEntry(
        path=RelativePath("data"),
        size=12,
        sha256=hasher.sha256(),
        rest_sha256=hasher.rest_sha256(),
    )
    manifest = Manifest(
        format="tf_checkpoint",
        layout=Layout.DIRECTORY,
        created="2026-01-01T00:00:00Z",
        producer={},
        files=[entry],
        tensors=hashers.tensors(),
        block_size=hashers.block_size,
    )
    put(memory_base.join("manifest.json"), StoredManifest(current=manifest).to_bytes())
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with WholeReading(rm.open_model(str(memory_base))):
        pass
    for at in range(12):
        flip(memory_base.join("data"), at)
        with pytest.raises(IntegrityError), WholeReading(rm.open_model(str(memory_base))):
            pass
        flip(memory_base.join("data"), at)


def test_tensors_are_checked_without_being_handed_out(
    memory_base: Location, tmp_path: Path
) -> None:
    remote = rm.open_model(str(publish("h5", memory_base, tmp_path)))
    remote.weights.check()
    flip(remote.location, remote.manifest.tensors[0].pieces[0].offset)  # type: ignore[union-attr]
    remote.weights.check(list(remote.weights)[1])
    with pytest.raises(IntegrityError):
        remote.weights.check()


def test_an_adopted_model_is_checked_as_well(
    memory_base: Location, tmp_path: Path, each_format: str
) -> None:
    location = upload(copy_sample(each_format, tmp_path), memory_base)
    manifest = rm.adopt_model(str(location))
    assert manifest.schema == 2
    remote = rm.open_model(str(location))
    read_all(remote)
    for path, size in remote.files.items():
        if size:
            flip(remote.file_location(path), size - 1)
            with pytest.raises(IntegrityError):  # opened again, since it keeps what it has read
                read_all(rm.open_model(str(location)))
            flip(remote.file_location(path), size - 1)


def test_a_file_that_stays_gets_the_digest_that_schema_1_had_not(
    memory_base: Location, tmp_path: Path
) -> None:
    """Saved again over a manifest of schema 1, it does not travel, and is checked all over."""
    location = publish("h5", memory_base, tmp_path)
    where = location.with_suffix(".manifest.json")
    document = json.loads(get(where))
    del document["checksum"], document["files"][0]["rest_sha256"]
    put(where, canonical_json({**document, "schema": 1}))
    again = rm.push_model(copy_sample("h5", tmp_path), str(location))
    assert again.schema == 2
    assert again.files[0].etag == document["files"][0]["etag"]
    remote = rm.open_model(str(location))
    read_all(remote)
    flip(location, 3)
    with pytest.raises(IntegrityError, match="structure"):
        read_all(remote)


# Other versions, errors, and the end of the block


@pytest.fixture
def versioned_base(seaweed: Emulator, buckets: Any) -> Location:
    base: Location = buckets.prefix(seaweed, versioning=True)
    return base


def test_the_version_that_the_manifest_pins_is_read_where_the_file_was_replaced(
    versioned_base: Location, tmp_path: Path
) -> None:
    for name in ("keras", "saved_model"):
        location = publish(name, versioned_base, tmp_path)
        remote = rm.open_model(str(location), storage_options=location.storage_options)
        expected = read_all(remote)
        for path in remote.files:
            file = remote.file_location(path)
            whole = get(file)
            for damaged in (b"x" * len(whole), whole[: len(whole) // 2]):
                put(file, damaged)
                found = read_all(remote)
                assert found.keys() == expected.keys()
                assert all(same(array, expected[name]) for name, array in found.items())


@pytest.mark.parametrize("place", ["front", "back"])
def test_the_error_says_that_it_is_the_structure(
    place: str, memory_base: Location, tmp_path: Path
) -> None:
    location = publish("keras", memory_base, tmp_path)
    remote = rm.open_model(str(location))
    flip(location, 10 if place == "front" else remote.total_size - 10)
    with pytest.raises(IntegrityError, match="structure") as caught:
        read_all(remote)
    assert caught.value.where == str(location)
    assert read_lazily(remote)
    with pytest.raises(IntegrityError, match="which differs in the file's structure"):
        rm.pull_model(str(location), tmp_path / "copy")


def test_the_error_of_a_copy_names_the_tensor(memory_base: Location, tmp_path: Path) -> None:
    location = publish("h5", memory_base, tmp_path)
    manifest = rm.open_model(str(location)).manifest
    assert manifest is not None
    for each in manifest.tensors[:4]:
        flip(location, each.pieces[0].offset)
    with pytest.raises(IntegrityError) as caught:
        rm.pull_model(str(location), tmp_path / "copy")
    labels = [f"tensor {each.label}" for each in manifest.tensors[:3]]
    assert str(caught.value.found).endswith(f"which differs in {', '.join(labels)}, 1 more")


def read_lazily(remote: rm.RemoteModel) -> bool:
    return len(remote.weights.fetch()) == len(remote.weights)


def test_what_fails_in_the_background_is_raised(
    proxy: CountingProxy, counted_base: Location, tmp_path: Path
) -> None:
    location = publish("saved_model", counted_base, tmp_path)
    transfer = rm.TransferSettings(retry=replace(rm.TransferSettings().retry, attempts=1))
    remote = rm.open_model(
        str(location), storage_options=location.storage_options, transfer=transfer
    )
    proxy.allows = lambda _method, path: "fingerprint" not in path
    with pytest.raises((StoreUnavailableError, PermissionError), match="fingerprint"):
        read_all(remote)


def test_a_block_that_fails_is_left_at_once(memory_base: Location, tmp_path: Path) -> None:
    location = publish("saved_model", memory_base, tmp_path)
    flip(location.join("saved_model.pb"), 7)
    remote = rm.open_model(str(location))
    with pytest.raises(KeyError, match="mine"), WholeReading(remote):
        raise KeyError("mine")


def test_the_order_in_which_tensors_are_read_does_not_matter(
    memory_base: Location, tmp_path: Path, each_format: str
) -> None:
    location = publish(each_format, memory_base, tmp_path)
    remote = rm.open_model(str(location))
    choose = Random(each_format)
    for _ in range(5):
        with WholeReading(remote) as reading:
            names = list(reading.weights)
            choose.shuffle(names)
            cut = choose.randrange(len(names) + 1)
            for part in (names[:cut], names[cut : cut + 2]):  # and some not at all
                assert len(dict(reading.weights.stream(part))) == len(part)


@pytest.fixture(params=FORMATS)
def each_format(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_load_needs_a_manifest(tmp_path: Path, make: Callable[[str], Path]) -> None:
    with pytest.raises(ValueError, match="no manifest"):
        WholeReading(rm.open_model(make("keras")))


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: copy_sample(name, tmp_path)
