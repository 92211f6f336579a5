"""Models that others made get a manifest, and are verified from then on."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import remote_models as rm
from remote_models.errors import (
    ConflictError,
    FormatError,
    IntegrityError,
    ModelExistsError,
    ModelNotFoundError,
    UnrecognizedFormatError,
    UnsafeFormatError,
)
from remote_models.remote_model import manifest_location
from remote_models.storage import Buffer, Location, Store, open_reader, read_chunks
from remote_models.testing import Emulator
from weights.artifacts import SAMPLES, delete, flip, get, put, same
from weights.counting_proxy import CountingProxy
from weights.published import FORMATS, copy_sample, publish, upload


def uploaded(name: str, base: Location, folder: Path) -> Location:
    return upload(copy_sample(name, folder), base)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format(name: str, memory_base: Location, tmp_path: Path) -> None:
    """An adopted model is described as one that was pushed, but for who made it and when."""
    pushed = publish(name, memory_base.join("pushed"), tmp_path)
    location = uploaded(name, memory_base.join("adopted"), tmp_path)
    assert not rm.open_model(str(location)).is_verifiable
    manifest = rm.adopt_model(str(location), metadata={"from": "a friend"})
    adopted, expected = rm.open_model(str(location)), rm.open_model(str(pushed))
    assert adopted.manifest == manifest
    assert expected.manifest is not None
    # Only who writes an object knows its etag for that of these very bytes.
    files = [replace(entry, etag=None) for entry in expected.manifest.files]
    assert list(manifest.files) == files
    for member in ("format", "layout", "tensors", "block_size", "documents"):
        assert getattr(manifest, member) == getattr(expected.manifest, member), member
    assert adopted.metadata == {"from": "a friend"}
    assert manifest.producer["adopted_by"].startswith("remote_models ")
    assert rm.verify_model(str(location)).ok
    found, arrays = adopted.weights.fetch(), expected.weights.fetch()
    assert found.keys() == arrays.keys()
    assert all(same(found[each], arrays[each]) for each in arrays)
    assert adopted.architecture == expected.architecture
    piece = manifest.tensors[0].pieces[0]
    flip(adopted.file_location(piece.file), piece.offset)
    with pytest.raises(IntegrityError):
        rm.open_model(str(location)).weights.fetch()


def test_on_every_store(base: Location, tmp_path: Path) -> None:
    options = base.storage_options
    location = uploaded("keras", base, tmp_path)
    manifest = rm.adopt_model(str(location), storage_options=options)
    assert (manifest.files[0].version is None) == (base.protocol != "gs")  # a generation pins
    assert rm.verify_model(str(location), storage_options=options).ok
    weights = rm.open_model(str(location), storage_options=options).weights
    assert np.asarray(weights["dense/kernel"]).shape == (3, 2)


def test_versions_are_pinned(versioned_base: Location, tmp_path: Path) -> None:
    options = versioned_base.storage_options
    location = uploaded("keras", versioned_base, tmp_path)
    assert rm.adopt_model(str(location), storage_options=options).files[0].version
    remote = rm.open_model(str(location), storage_options=options)
    put(location, b"something else")
    assert np.asarray(remote.weights["dense/kernel"]).shape == (3, 2)


def test_manifest_in_another_bucket(
    memory_base: Location, local_base: Location, seaweed: Emulator, tmp_path: Path
) -> None:
    """The model's own bucket may be read-only."""
    location = uploaded("tf_checkpoint", memory_base, tmp_path)
    elsewhere = local_base.join("small.json")
    manifest = rm.adopt_model(str(location), manifest_url=str(elsewhere))
    assert not rm.open_model(str(location)).is_verifiable
    remote = rm.open_model(str(location), manifest_url=str(elsewhere))
    assert remote.manifest == manifest
    assert np.asarray(remote.weights["dense/kernel"]).shape == (3, 2)
    with pytest.raises(ModelExistsError, match="has a manifest already"):
        rm.adopt_model(str(location), manifest_url=str(elsewhere))
    before = get(elsewhere)
    again = rm.adopt_model(
        str(location), manifest_url=str(elsewhere), overwrite=True, metadata={"again": 1}
    )
    assert get(elsewhere) != before
    assert again.metadata == {"again": 1}


def test_manifest_elsewhere_with_a_bucket_that_takes_no_write(
    proxy: CountingProxy, counted_base: Location, tmp_path: Path, seaweed: Emulator
) -> None:
    location = uploaded("keras", counted_base.join("theirs"), tmp_path)
    ours = counted_base.join("ours/manifest.json")
    proxy.allows = lambda method, path: method in ("GET", "HEAD") or "/ours/" in path
    options = counted_base.storage_options
    rm.adopt_model(str(location), manifest_url=str(ours), storage_options=options)
    remote = rm.open_model(str(location), manifest_url=str(ours), storage_options=options)
    assert np.asarray(remote.weights["dense/kernel"]).shape == (3, 2)
    assert remote.verify().ok


def test_a_manifest_is_not_replaced_by_chance(memory_base: Location, tmp_path: Path) -> None:
    location = publish("keras", memory_base, tmp_path)
    before = get(manifest_location(location, rm.open_model(str(location)).layout))
    with pytest.raises(ModelExistsError):
        rm.adopt_model(str(location))
    assert get(location.with_suffix(".manifest.json")) == before
    assert rm.adopt_model(str(location), overwrite=True).producer["adopted_by"]


def test_a_damaged_manifest_can_be_replaced(memory_base: Location, tmp_path: Path) -> None:
    location = uploaded("keras", memory_base, tmp_path)
    put(location.with_suffix(".manifest.json"), b"{")
    with pytest.raises(IntegrityError):
        rm.adopt_model(str(location))
    rm.adopt_model(str(location), overwrite=True)
    assert rm.verify_model(str(location)).ok


def test_nobody_elses_manifest_is_replaced_in_a_race(
    memory_base: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process adopts the same model while this one reads it."""
    location = uploaded("keras", memory_base, tmp_path)
    theirs = location.with_suffix(".manifest.json")
    read = Store.read

    def read_slowly(self: Store, *arguments: Any, **options: Any) -> Buffer:
        put(theirs, b"theirs")
        return read(self, *arguments, **options)

    # From the moment on at which the model itself is read.
    monkeypatch.setattr("remote_models.adoption.open_reader", _after(read_slowly, monkeypatch))
    with pytest.raises(ModelExistsError):
        rm.adopt_model(str(location))
    assert get(theirs) == b"theirs"


def _after(read: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    def opened(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(Store, "read", read)
        return open_reader(*arguments, **options)

    return opened


def test_a_file_that_changes_meanwhile_is_refused(
    memory_base: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = uploaded("keras", memory_base, tmp_path)

    def read_and_replace(*arguments: Any, **options: Any) -> Iterator[Buffer]:
        yield from read_chunks(*arguments, **options)
        put(location, b"another model")

    monkeypatch.setattr("remote_models.adoption.read_chunks", read_and_replace)
    with pytest.raises(IntegrityError, match="changed while it was read"):
        rm.adopt_model(str(location))
    assert not rm.open_model(str(location)).is_verifiable


def test_a_version_that_changes_meanwhile_is_refused(
    gcs_base: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Equally long, and made after the index: only the store's etag tells."""
    location = uploaded("keras", gcs_base, tmp_path)
    content = get(location)

    def replace_and_read(*arguments: Any, **options: Any) -> Iterator[Buffer]:
        put(location, content[::-1])
        yield from read_chunks(*arguments, **options)

    monkeypatch.setattr("remote_models.adoption.read_chunks", replace_and_read)
    with pytest.raises(IntegrityError, match="replaced while it was being read"):
        rm.adopt_model(str(location), storage_options=gcs_base.storage_options)


def hdf5_with(**options: Any) -> bytes:
    """A weights file of which one dataset is stored with these options."""
    content = io.BytesIO()
    with h5py.File(content, "w") as root:
        for number, layer in enumerate(("plain", "odd", "other")):
            group = root.create_group(f"layers/{layer}/vars")
            group.attrs["name"] = layer
            values = np.arange(4000, dtype="float32").reshape(40, 100) + number
            group.create_dataset("0", data=values, **(options if layer == "odd" else {}))
    return content.getvalue()


@pytest.mark.parametrize(
    "options", [{"chunks": (10, 100)}, {"compression": "gzip"}, {"shuffle": True, "chunks": True}]
)
def test_chunked_and_compressed_datasets_are_left_out_with_a_warning(
    options: dict[str, Any], memory_base: Location
) -> None:
    location = memory_base.join("model.weights.h5")
    put(location, hdf5_with(**options))
    with pytest.warns(UserWarning, match="compressed or chunked") as caught:
        rm.adopt_model(str(location))
    assert len(caught) == 1
    assert str(location) in str(caught[0].message)
    assert "layers/odd/vars/0" in str(caught[0].message)
    assert caught[0].filename == __file__
    weights = rm.open_model(str(location)).weights
    assert len(weights) == 2
    assert np.asarray(weights["layers/other/vars/0"])[0, 0] == 2
    assert rm.verify_model(str(location)).ok  # the file as a whole is vouched for


def test_plain_datasets_need_no_warning(memory_base: Location) -> None:
    location = memory_base.join("model.weights.h5")
    put(location, hdf5_with())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(rm.adopt_model(str(location)).tensors) == 3


def zipped(**members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "."), data)
    return content.getvalue()


REFUSED: dict[str, tuple[bytes, type[FormatError], str]] = {
    "pickle": (pickle.dumps({"a": 1}), UnsafeFormatError, "pickle"),
    "torch": (zipped(data__pkl=pickle.dumps(1)), UnsafeFormatError, "PyTorch"),
    "npz": (zipped(a__npy=b"\x93NUMPY"), UnrecognizedFormatError, "npz"),
    "zip": (zipped(readme__txt=b"hello"), UnrecognizedFormatError, "zip file"),
    "text": (b"hello", UnrecognizedFormatError, "no Keras model"),
    "empty": (b"", UnrecognizedFormatError, "empty"),
    "truncated": (
        (SAMPLES / "keras-3.15.1/model.h5").read_bytes()[:5000],
        UnrecognizedFormatError,
        "damaged",
    ),
}


@pytest.mark.parametrize(("content", "error", "what"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_model_gets_no_manifest(
    content: bytes, error: type[FormatError], what: str, memory_base: Location
) -> None:
    location = memory_base.join("model.h5")
    put(location, content)
    with pytest.raises(error, match=what):
        rm.adopt_model(str(location))
    with pytest.raises(FileNotFoundError):
        get(location.with_suffix(".manifest.json"))


def test_nothing_there(memory_base: Location) -> None:
    with pytest.raises(ModelNotFoundError):
        rm.adopt_model(f"{memory_base}/nothing.keras")


def test_a_checkpoint_without_a_shard(memory_base: Location, tmp_path: Path) -> None:
    location = uploaded("tf_checkpoint", memory_base, tmp_path)
    delete(location.with_suffix(".data-00000-of-00001"))
    with pytest.raises(IntegrityError, match="shard"):
        rm.adopt_model(str(location))


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_save_that_comes_between_keeps_its_manifest(
    base: Location, tmp_path: Path, *, overwrite: bool
) -> None:
    """While the files are read, somebody announces a new model."""
    location = uploaded("keras", base, tmp_path)
    url, options = str(location), location.storage_options
    if overwrite:
        rm.adopt_model(url, storage_options=options)
    announced: list[bytes] = []

    def announce(_progress: rm.TransferProgress) -> None:
        if not announced:
            where = location.with_suffix(".manifest.json")
            document = rm.open_model(url, storage_options=options).manifest
            data = b"{}" if document is None else document.to_bytes() + b" "
            put(where, data)
            announced.append(data)

    with pytest.raises(ConflictError, match="another writer"):
        rm.adopt_model(url, overwrite=overwrite, storage_options=options, progress=announce)
    assert get(location.with_suffix(".manifest.json")) == announced[0]
