"""Saving over what is the same already: nothing travels that the store provably holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st
from weights.artifacts import write_weights
from weights.counting_proxy import CountingProxy, counting_proxy

import remote_models as rm
from publishing.artifacts import (
    directory,
    expected,
    fine_tuned,
    load,
    observe,
    relabelled,
    save,
    single,
)
from publishing.faults import Fault, FaultyStore, Killed, Plan
from remote_models.errors import ModelExistsError
from remote_models.formats import Format
from remote_models.manifest import Layout, Manifest, StoredManifest
from remote_models.publishing import Artifact, publish
from remote_models.remote_model import RemoteModel, manifest_location
from remote_models.storage import Location, Publication, TransferProgress, open_store
from remote_models.tensors import Piece, StoredTensor
from remote_models.testing import Emulator

MIB = 1024 * 1024
BLOCK = 64 * 1024


@dataclass
class Source:
    """A file made while it is sent, which counts what it has made."""

    data: bytes
    chunk: int = BLOCK
    made: list[int] = field(default_factory=list)

    @property
    def size(self) -> int:
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        self.made.append(0)
        for start in range(0, len(self.data), self.chunk):
            piece = self.data[start : start + self.chunk]
            self.made[-1] += len(piece)
            yield piece

    def open(self) -> IO[bytes]:
        return BytesIO(self.data)


def tensors(*places: tuple[int, int], file: str = "model.h5") -> list[StoredTensor]:
    return [
        StoredTensor(
            key=f"tensor-{number}", dtype="uint8", shape=(size,),
            pieces=[Piece(file=file, offset=offset, nbytes=size, origin=(0,), shape=(size,))],
        )
        for number, (offset, size) in enumerate(places)
    ]  # fmt: skip


def artifact(files: Mapping[str, bytes | Source], *places: tuple[int, int]) -> Artifact:
    """A file or a directory, with tensors at these places of ``model.h5``."""
    sources = {
        path: data if isinstance(data, Source) else Source(data) for path, data in files.items()
    }
    alone = list(files) == ["model.h5"]
    return Artifact(
        format=Format.H5 if alone else Format.SAVED_MODEL,
        layout=Layout.FILE if alone else Layout.DIRECTORY,
        created="2026-11-24T00:00:00Z",
        producer={},
        metadata={},
        files=sources,
        tensors=tensors(*places),
    )


def put(location: Location, data: bytes) -> None:
    """Change a file as somebody would who knows no manifest."""
    with Publication(open_store(location)) as publication:
        publication.stage(location, len(data), [data])
        publication.commit(lambda _location, _committed: None)


def operations(location: Location, made: Artifact) -> list[str]:
    """Publish, and return what that did to the store."""
    plan = Plan(Fault.FAIL, 10_000)
    publish(FaultyStore(open_store(location), plan), location, made, overwrite=True)
    return plan.operations


def writes(steps: list[str]) -> list[str]:
    return [step.removeprefix("commit ") for step in steps if step.startswith("commit")]


def manifest_at(location: Location) -> Manifest:
    manifest = RemoteModel.open(open_store(location), location).manifest
    assert manifest is not None
    return manifest


DATA = bytes(range(251)) * 4000
PLACES = ((100, 500_000), (500_200, 400_000))


@pytest.fixture(params=["memory", "s3", "gcs"])
def remote_base(request: pytest.FixtureRequest) -> Location:
    base: Location = request.getfixturevalue(f"{request.param}_base")
    return base


# What stays


def test_only_the_manifest_of_an_unchanged_file_is_written(remote_base: Location) -> None:
    location = remote_base.join("model.h5")
    assert writes(operations(location, artifact({"model.h5": DATA}, *PLACES))) == [
        "model.h5.manifest.json", "model.h5", "model.h5.manifest.json"
    ]  # fmt: skip
    first = manifest_at(location)
    for number in range(2):
        made = replace(artifact({"model.h5": DATA}, *PLACES), metadata={"number": number})
        assert writes(operations(location, made)) == ["model.h5.manifest.json"]
        found = manifest_at(location)
        assert found.metadata == {"number": number}
        assert (found.files, found.tensors) == (first.files, first.tensors)
        assert load(location) == {"model.h5": DATA}


def test_the_etag_is_the_one_that_the_store_tells(remote_base: Location) -> None:
    location = remote_base.join("model.h5")
    save(location, single("one"))
    (entry,) = manifest_at(location).files
    assert entry.etag == open_store(location).head(location).etag


def test_a_local_disk_may_lose_bits_unseen(local_base: Location) -> None:
    location = local_base.join("model.h5")
    made = artifact({"model.h5": DATA}, *PLACES)
    for _ in range(2):
        assert "model.h5" in writes(operations(location, made))
    assert manifest_at(location).files[0].etag is None


def test_only_the_files_of_a_directory_that_differ_are_written(remote_base: Location) -> None:
    location = remote_base.join("model")
    save(location, fine_tuned("one"))
    plan = Plan(Fault.FAIL, 10_000)
    save(location, fine_tuned("two"), store=FaultyStore(open_store(location), plan))
    assert writes(plan.operations) == ["manifest.json", "saved_model.pb", "manifest.json"]
    assert load(location) == expected(fine_tuned("two"))
    assert rm.verify_model(location.url, storage_options=location.storage_options).ok


def test_what_only_the_old_one_had_goes_although_all_else_stays(remote_base: Location) -> None:
    location = remote_base.join("model")
    both = {"saved_model.pb": b"graph", "variables.index": b"index", "old": b"old"}
    publish(open_store(location), location, artifact(both), overwrite=True)
    del both["old"]
    assert writes(operations(location, artifact(both))) == ["manifest.json", "manifest.json"]
    assert load(location) == both
    assert sorted(open_store(location).list(location)) == [
        "manifest.json", "saved_model.pb", "variables.index"
    ]  # fmt: skip


def test_an_unchanged_object_keeps_its_version(versioned_base: Location) -> None:
    location = versioned_base.join("model")
    save(location, fine_tuned("one"))
    before = {entry.path: entry for entry in manifest_at(location).files}
    save(location, fine_tuned("two"))
    after = {entry.path: entry for entry in manifest_at(location).files}
    changed = {path for path in after if after[path] != before[path]}
    assert changed == {"saved_model.pb"}
    assert all(entry.version for entry in after.values())
    put(location.join("variables/variables.index"), b"somebody's")
    assert load(location) == expected(fine_tuned("two"))


def test_progress_reaches_the_end(memory_base: Location) -> None:
    location = memory_base.join("model")
    seen: list[TransferProgress] = []
    for version in ("one", "two"):
        files = fine_tuned(version).files
        publish(
            open_store(location), location, artifact(files), overwrite=True, progress=seen.append
        )
        assert seen[-1].finished
        assert seen[-1].total == sum(map(len, files.values()))
        assert [each.transferred for each in seen] == sorted(each.transferred for each in seen)
        seen.clear()


# What travels


def test_what_was_damaged_is_repaired(base: Location) -> None:
    """By somebody who overwrote it with as many bytes, or deleted it."""
    location = base.join("model")
    open_store(location).make_directory(location)
    save(location, directory("one"))
    damaged = location.join("variables/variables.index")
    put(damaged, b"x" * len(directory("one").files["variables/variables.index"]))
    open_store(location).delete(location.join("fingerprint.pb"))
    assert observe(location) == "damaged"
    save(location, directory("one"))
    assert load(location) == expected(directory("one"))


def test_without_an_etag_nothing_is_certain(memory_base: Location) -> None:
    """As in the manifests of earlier versions."""
    location = memory_base.join("model.h5")
    publish(open_store(location), location, artifact({"model.h5": DATA}, *PLACES), overwrite=True)
    manifest = manifest_at(location)
    bare = manifest.with_files(replace(entry, etag=None) for entry in manifest.files)
    put(manifest_location(location, Layout.FILE), StoredManifest(current=bare).to_bytes())
    source = Source(DATA)
    assert "model.h5" in writes(operations(location, artifact({"model.h5": source}, *PLACES)))
    assert source.made == [len(DATA)]


@pytest.mark.parametrize(
    ("changed", "made_before"),
    [
        (200, BLOCK),  # the first block of the first tensor
        (499_000, 8 * BLOCK),  # its last one
        (500_201, 9 * BLOCK),  # the first block of the second
        (len(DATA) - 1, len(DATA)),  # behind the tensors
        (0, len(DATA)),  # before them, which only the whole file's digest tells
    ],
)
def test_the_first_other_block_ends_the_comparison(
    memory_base: Location, changed: int, made_before: int
) -> None:
    location = memory_base.join("model.h5")
    publish(open_store(location), location, artifact({"model.h5": DATA}, *PLACES), overwrite=True)
    other = bytearray(DATA)
    other[changed] ^= 1
    source = Source(bytes(other))
    assert "model.h5" in writes(operations(location, artifact({"model.h5": source}, *PLACES)))
    compared, sent = source.made
    assert made_before <= compared <= made_before + BLOCK
    assert sent == len(DATA)
    assert load(location) == {"model.h5": bytes(other)}
    assert RemoteModel.open(open_store(location), location).verify().ok


@pytest.mark.parametrize(
    "places", [(), PLACES[:1], ((100, 500_000), (500_200, 400_001)), (*PLACES, (950_000, 5))]
)
def test_other_tensors_are_not_even_compared(
    memory_base: Location, places: tuple[tuple[int, int], ...]
) -> None:
    location = memory_base.join("model.h5")
    publish(open_store(location), location, artifact({"model.h5": DATA}, *PLACES), overwrite=True)
    source = Source(DATA)
    assert "model.h5" in writes(operations(location, artifact({"model.h5": source}, *places)))
    assert source.made == [len(DATA)]


def test_nothing_stays_where_nothing_may_be_replaced(remote_base: Location) -> None:
    location = remote_base.join("model.h5")
    save(location, relabelled("one"))
    with pytest.raises(ModelExistsError):
        save(location, relabelled("two"), overwrite=False)
    assert manifest_at(location).metadata == {"version": "one"}


def test_after_a_killed_save_the_object_tells_which_one_it_is(memory_base: Location) -> None:
    location = memory_base.join("model.h5")
    save(location, single("one"))
    for at, outcome in ((3, "one"), (6, "two")):
        store = FaultyStore(open_store(location), Plan(Fault.KILL, at))
        with pytest.raises(Killed):
            save(location, single("two"), store=store)
        assert observe(location, single("one"), single("two")) == outcome
        for version in ("two", "one"):
            save(location, single(version))
            assert load(location) == expected(single(version))


CONTENTS = st.sampled_from([b"", b"a", b"b", b"x" * 70_000, b"x" * 69_999 + b"y"])
FILES = st.fixed_dictionaries(
    {"saved_model.pb": CONTENTS},
    optional=dict.fromkeys(("a", "model.h5", "variables/b", "z"), CONTENTS),
)


@given(
    versions=st.lists(FILES, min_size=2, max_size=4),
    damages=st.lists(
        st.dictionaries(st.sampled_from(["a", "model.h5", "z"]), CONTENTS), min_size=3, max_size=3
    ),
)
def test_what_is_loaded_is_what_was_saved_last(
    versions: list[dict[str, bytes]], damages: list[dict[str, bytes]]
) -> None:
    """Whatever was there before, and whoever has written over it."""
    location = Location.parse("memory://unchanged/model")
    MemoryFileSystem.store.clear()
    for number, files in enumerate(versions):
        size = len(files.get("model.h5", b""))
        places = [(0, size // 2), (size // 2, size - size // 2)] if size > 1 else []
        publish(open_store(location), location, artifact(files, *places), overwrite=True)
        assert load(location) == files
        assert RemoteModel.open(open_store(location), location).verify().ok
        for path, data in damages[number % 3].items():
            if path in files:
                put(location.join(path), data)


# Through a proxy that counts


@pytest.fixture
def proxy(seaweed: Emulator) -> Iterator[CountingProxy]:
    with counting_proxy(seaweed.endpoint_url) as proxy:
        yield proxy


@pytest.fixture(params=["fsspec", "obstore"])
def counted_base(
    request: pytest.FixtureRequest,
    proxy: CountingProxy,
    seaweed: Emulator,
    s3_base: Location,
    monkeypatch: pytest.MonkeyPatch,
) -> Location:
    monkeypatch.setenv("REMOTE_MODELS_CLIENT", request.param)
    return replace(s3_base, storage_options=proxy.storage_options(seaweed))


def test_a_second_save_of_the_same_weights_costs_next_to_nothing(
    proxy: CountingProxy, counted_base: Location, tmp_path: Path
) -> None:
    path = tmp_path / "model.weights.h5"
    values = [np.random.default_rng(number).random((1000, 625), "float32") for number in range(8)]
    write_weights(path, {f"dense_{number}": [value] for number, value in enumerate(values)})
    assert path.stat().st_size > 20_000_000
    url, options = counted_base.join("model.weights.h5").url, counted_base.storage_options
    rm.push_model(path, url, storage_options=options)
    assert proxy.sent > 20_000_000
    proxy.clear()
    manifest = rm.push_model(path, url, storage_options=options)
    assert proxy.sent + proxy.nbytes < 200_000
    assert [each.method for each in proxy.exchanges if each.method not in ("GET", "HEAD")] == [
        "PUT"
    ]
    assert proxy.requests <= 6
    rm.open_model(url, manifest_digest=manifest.digest, storage_options=options)
    assert rm.verify_model(url, storage_options=options).ok
