"""Files that are made while they are read: what h5py and zipfile find in them."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import weakref
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import h5py
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remote_models.errors import IntegrityError
from remote_models.formats import _keras_archive_file
from remote_models.formats.streaming import (
    DelayedTensor,
    Hdf5Layout,
    KerasArchiveFile,
    StreamedFile,
)

MIB = 1024 * 1024

DTYPES = [
    np.dtype(each)
    for each in (
        "?", "i1", "u1", "i2", "u4", "i8", "f2", "f4", "f8", ">f4", ">i2", "c8", "c16", "S3",
        ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.int4,
    )
]  # fmt: skip

shapes = st.lists(st.integers(0, 40), max_size=3).map(tuple)
names = st.text("abcé_.", min_size=1, max_size=6).filter(lambda name: name not in (".", ".."))
tensors = st.tuples(st.sampled_from(DTYPES), shapes)
groups = st.dictionaries(
    names,
    st.tuples(st.text("aé ", max_size=9), st.dictionaries(names, tensors, max_size=6)),
    max_size=5,
)


def delayed(
    array: np.ndarray[Any, Any], read: Callable[[], np.ndarray[Any, Any]] | None = None
) -> DelayedTensor:
    return DelayedTensor(
        name="tensor", dtype=array.dtype, shape=array.shape, read=read or (lambda: array)
    )


def values(dtype: np.dtype[Any], shape: tuple[int, ...], seed: int) -> np.ndarray[Any, Any]:
    """Any bytes at all, but for booleans and text, of which not all bytes are one."""
    count = int(np.prod(shape)) * dtype.itemsize
    data = np.random.default_rng(seed).integers(0, 256, count, dtype="u1")
    if dtype.kind in "bS":
        data = data % 2 + (ord("a") if dtype.kind == "S" else 0)
    return data.astype("u1").view(dtype).reshape(shape)


def same_but_for_tensors(file: StreamedFile, structure: bytes, data: bytes) -> bool:
    start = 0
    for piece in file.pieces:
        if isinstance(piece, bytes):
            stop = start + len(piece)
            if not structure[start:stop] == data[start:stop] == piece:
                return False
        else:
            stop = start + piece.nbytes
            if any(structure[start:stop]):
                return False
        start = stop
    return len(structure) == len(data) == start


def whole(file: StreamedFile) -> bytes:
    """What is sent; each chunk is copied, since it is good for its turn only."""
    chunks = [bytes(chunk) for chunk in file.chunks()]
    assert all(len(chunk) <= 8 * MIB for chunk in chunks)
    return b"".join(chunks)


@settings(max_examples=60, deadline=None)
@given(groups)
def test_h5py_reads_what_was_laid_out(
    tree: Mapping[str, tuple[str, Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]]],
) -> None:
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    with Hdf5Layout() as layout:
        for group, (text, members) in tree.items():
            made = layout.root.create_group(f"layers/{group}/vars")
            made.attrs["name"] = text
            for name, (dtype, shape) in members.items():
                array = values(dtype, shape, len(arrays))
                arrays[f"layers/{group}/vars/{name}"] = array
                layout.add(made, name, delayed(array)).attrs["shape"] = str(shape)
    file = layout.file()
    data = whole(file)
    assert len(data) == file.size
    with file.open() as reader:
        assert same_but_for_tensors(file, reader.read(), data)
    with h5py.File(io.BytesIO(data)) as root:
        for group, (text, members) in tree.items():
            assert root[f"layers/{group}/vars"].attrs["name"] == text
            assert set(root[f"layers/{group}/vars"]) == set(members)
        for path, array in arrays.items():
            found = np.empty(array.shape, array.dtype)
            if array.size:
                root[path].id.read(h5py.h5s.ALL, h5py.h5s.ALL, found, root[path].id.get_type())
            assert root[path].shape == array.shape
            assert found.tobytes() == array.tobytes()
            assert root[path].attrs["shape"] == str(array.shape)
            # As Keras writes it: HDF5 gives no other type for this dtype.
            assert root[path].id.get_type() == h5py.h5t.py_create(array.dtype, logical=True)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_range_can_be_read(data: st.DataObject) -> None:
    pieces = data.draw(st.lists(st.one_of(st.binary(max_size=20), st.integers(0, 30)), max_size=6))
    file = StreamedFile(
        [each if isinstance(each, bytes) else delayed(np.arange(each)) for each in pieces]
    )
    everything = b"".join(each if isinstance(each, bytes) else bytes(8 * each) for each in pieces)
    assert file.size == len(everything)
    start = data.draw(st.integers(0, file.size + 3))
    count = data.draw(st.integers(0, file.size + 3))
    with file.open() as reader:
        reader.seek(start)
        assert reader.read(count) == everything[start : start + count]
        reader.seek(-min(count, file.size), os.SEEK_END)
        assert reader.read() == everything[file.size - min(count, file.size) :]


def test_a_tensor_is_asked_for_when_its_turn_comes_and_not_before() -> None:
    asked: list[int] = []

    def ask(number: int) -> Callable[[], np.ndarray[Any, Any]]:
        def read() -> np.ndarray[Any, Any]:
            asked.append(number)
            return np.full((1024, 1024), number, "f4")

        return read

    with Hdf5Layout() as layout:
        for number in range(4):
            layout.add(layout.root, str(number), delayed(np.empty((1024, 1024), "f4"), ask(number)))
    file = layout.file()
    with h5py.File(file.open()) as root:
        assert [root[name].shape for name in root] == [(1024, 1024)] * 4
    assert asked == []
    sent = 0
    for chunk in file.chunks():
        sent += len(chunk)
        assert len(asked) <= sent // (4 * MIB) + 1
    assert asked == [0, 1, 2, 3]


def test_of_the_tensors_no_more_than_one_is_held() -> None:
    alive: list[weakref.ref[Any]] = []

    def read() -> np.ndarray[Any, Any]:
        array = np.zeros((2 * MIB,), "u1")
        assert [each for each in alive if each() is not None] == []
        alive.append(weakref.ref(array))
        return array

    file = StreamedFile([delayed(np.empty((2 * MIB,), "u1"), read) for _ in range(5)])
    kept = [chunk for chunk in file.chunks()]  # noqa: C416 - whoever keeps them keeps no tensor
    assert len(kept) == len(alive) == 5


@pytest.mark.parametrize("order", ["F", "strided", "read-only", "scalar"])
def test_the_bytes_are_those_of_the_rows(order: str) -> None:
    array = {
        "F": np.asfortranarray(np.arange(2400.0).reshape(40, 60)),
        "strided": np.arange(4800.0).reshape(40, 120)[:, ::2],
        "read-only": np.broadcast_to(np.arange(60.0), (40, 60)),
        "scalar": np.array(7.0),
    }[order]
    assert bytes(delayed(array).to_bytes()) == array.tobytes()


@pytest.mark.parametrize("other", [np.zeros((3, 2), "f4"), np.zeros((2, 3), "f8")])
def test_a_tensor_that_has_changed_is_refused(other: np.ndarray[Any, Any]) -> None:
    file = StreamedFile([delayed(np.zeros((2, 3), "f4"), lambda: other)])
    with pytest.raises(IntegrityError, match="changed while it was saved"):
        whole(file)


# The zip around it


def archive(size: int = 3 * MIB, after: Mapping[str, bytes] | None = None) -> KerasArchiveFile:
    weights = np.random.default_rng(0).integers(0, 256, size, dtype="u1")
    return KerasArchiveFile(
        StreamedFile([b"head", delayed(weights), b"tail"]),
        {"metadata.json": b"{}", "config.json": '{"é": 1}'.encode(), **(after or {})},
    )


@pytest.mark.parametrize("limit", [None, 2 * MIB], ids=["zip", "zip64"])
@pytest.mark.parametrize(
    "after", [{}, {"assets/a/vocabulary.txt": b"a\nb"}], ids=["plain", "assets"]
)
def test_zipfile_reads_the_archive(
    monkeypatch: pytest.MonkeyPatch, limit: int | None, after: Mapping[str, bytes]
) -> None:
    if limit is not None:
        monkeypatch.setattr(zipfile, "ZIP64_LIMIT", limit)
        monkeypatch.setattr(_keras_archive_file, "_MAX_PLAIN", limit)
    file = archive(after=after)
    data = whole(file)
    assert len(data) == file.size
    monkeypatch.undo()
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert found.testzip() is None
        assert found.namelist() == ["model.weights.h5", "metadata.json", "config.json", *after]
        assert [each.compress_type for each in found.infolist()] == [0] * (3 + len(after))
        assert found.read("config.json") == '{"é": 1}'.encode()
        assert len(found.read("model.weights.h5")) == 3 * MIB + 8
        for name, content in after.items():
            assert found.read(name) == content


def test_before_it_is_sent_all_but_the_checksum_is_there() -> None:
    file = archive()
    data = whole(file)
    with file.open() as reader:
        before = reader.read()
    start = data.index(b"head")
    weights = range(start, start + 3 * MIB + 8)
    different = [
        index for index in range(file.size) if before[index] != data[index] and index not in weights
    ]
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        checksum = found.getinfo("model.weights.h5").CRC
    assert zlib.crc32(zipfile.ZipFile(io.BytesIO(data)).read("model.weights.h5")) == checksum
    assert 1 <= len(different) <= 8  # in the descriptor and in the directory


def test_sizes_of_more_than_four_gigabytes() -> None:
    huge = 5 * 1024**3
    nothing = np.broadcast_to(np.zeros((), "u1"), (huge,))
    file = KerasArchiveFile(
        StreamedFile(
            [DelayedTensor(name="x", dtype=nothing.dtype, shape=(huge,), read=lambda: nothing)]
        ),
        {"metadata.json": b"{}", "config.json": b"{}", "assets/a": b"content"},
    )
    with zipfile.ZipFile(file.open()) as found:  # reads the directory, and no byte of the weights
        assert found.getinfo("model.weights.h5").file_size == huge
        assert found.getinfo("assets/a").header_offset > huge
        assert found.read("assets/a") == b"content"
    assert file.size > huge + 300


@pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed")
def test_unzip_agrees(tmp_path: Any) -> None:
    (tmp_path / "model.keras").write_bytes(whole(archive()))
    tested = subprocess.run(
        ["unzip", "-t", "model.keras"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert tested.returncode == 0, tested.stdout
    assert "No errors detected" in tested.stdout
