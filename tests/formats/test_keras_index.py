"""The index of ``.keras`` archives and sharded weights made by hand."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from typing import IO, Any

import h5py
import numpy as np
import pytest

from remote_models.errors import FormatError, RemoteModelsError
from remote_models.formats._file_slice import FileSlice
from remote_models.formats._hdf5_index import Index
from remote_models.formats._keras_index import (
    architecture_of_keras_archive,
    index_keras_archive,
)
from remote_models.formats._sharded_index import index_sharded

DENSE: dict[str, Any] = {
    "module": "keras.layers",
    "class_name": "Dense",
    "config": {"name": "head", "units": 3, "use_bias": True},
}
CONFIG = {
    "module": "keras",
    "class_name": "Sequential",
    "config": {"name": "model", "layers": [DENSE]},
}
KERNEL, BIAS = np.arange(6, dtype="f4").reshape(2, 3), np.arange(3, dtype="f4")


def weights(**datasets: Any) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as root:
        for name, value in datasets.items():
            root[f"layers/dense/vars/{name[1:]}"] = value
    return buffer.getvalue()


def archived(
    member: bytes | None = None,
    *,
    compression: int = zipfile.ZIP_STORED,
    extra: bytes = b"",
    config: object = CONFIG,
    name: str = "model.weights.h5",
    prefix: bytes = b"",
) -> bytes:
    buffer = io.BytesIO()
    buffer.write(prefix)
    with zipfile.ZipFile(buffer, "a" if prefix else "w") as archive:
        if config is not None:
            archive.writestr("config.json", json.dumps(config))
        info = zipfile.ZipInfo(name)
        info.compress_type = compression
        info.extra = extra
        archive.writestr(info, weights(_0=KERNEL, _1=BIAS) if member is None else member)
    return buffer.getvalue()


def index(data: bytes) -> Index:
    return index_keras_archive(io.BytesIO(data), "m.keras", len(data), where="here")


@pytest.mark.parametrize("extra", [b"", b"\xca\xfe\x0b\x00twelve byte"])
@pytest.mark.parametrize("prefix", [b"", b"#!/bin/sh\n"])
def test_offsets_count_from_the_start_of_the_archive(extra: bytes, prefix: bytes) -> None:
    data = archived(extra=extra, prefix=prefix)
    found = index(data).tensors
    assert [each.name for each in found] == ["head/kernel", "head/bias"]
    for tensor, expected in zip(found, (KERNEL, BIAS), strict=True):
        (piece,) = tensor.pieces
        assert piece.file == "m.keras"
        assert data[piece.offset : piece.stop] == expected.tobytes()


def test_the_local_header_says_where_a_member_begins() -> None:
    data = bytearray(archived(extra=b"\xca\xfe\x04\x00four"))
    # The central directory need not repeat the extra field.
    central = data.rindex(b"PK\x01\x02")
    extra = data.rindex(b"\xca\xfe\x04\x00four")
    assert extra > central
    del data[extra : extra + 8]
    data[central + 30 : central + 32] = b"\0\0"
    end = data.rindex(b"PK\x05\x06")
    data[end + 12 : end + 16] = (int.from_bytes(data[end + 12 : end + 16], "little") - 8).to_bytes(
        4, "little"
    )
    (piece,) = index(bytes(data)).tensors[0].pieces
    assert data[piece.offset : piece.stop] == KERNEL.tobytes()


def test_compressed_weights_cannot_be_read_by_ranges() -> None:
    with pytest.raises(FormatError, match=r"compressed.*save it again") as caught:
        index(archived(compression=zipfile.ZIP_DEFLATED))
    assert caught.value.where == "here: model.weights.h5"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 no zip",
        archived()[:-30],
        archived(name="model.weights.npz"),
        archived(b"no HDF5"),
        archived(config=[]),
        archived(config={"config": {}}),
    ],
)
def test_what_is_no_archive_of_weights_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"^here"):
        index(data)


def test_an_archive_without_a_configuration_has_keys() -> None:
    found = index(archived(config=None)).tensors
    assert [each.label for each in found] == ["layers/dense/vars/0", "layers/dense/vars/1"]
    assert architecture_of_keras_archive(io.BytesIO(archived(config=None)), where="here") is None


def test_two_members_of_one_name_are_refused() -> None:
    buffer = io.BytesIO(archived())
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("model.weights.h5", b"other")
    with pytest.raises(FormatError, match="one member"):
        index(buffer.getvalue())


def test_damage_is_an_error_of_ours_or_harmless() -> None:
    data, changes = archived(), random.Random(2)
    refused = 0
    for _ in range(600):
        damaged = bytearray(data)
        # Half of the damage where the zip file's own structure is.
        start = 0 if changes.random() < 0.5 else data.rindex(b"PK\x01\x02") - 60
        for _ in range(changes.randrange(1, 4)):
            damaged[changes.randrange(start, len(data))] = changes.randrange(256)
        try:
            found = index(bytes(damaged))
        except RemoteModelsError:
            refused += 1
            continue
        for tensor in found.tensors:
            assert 0 <= tensor.pieces[0].offset <= tensor.pieces[0].stop <= len(data)
    assert 100 < refused < 600


def sharded(weight_map: object, shards: dict[str, bytes]) -> Index:
    def open_shard(name: str) -> tuple[IO[bytes], int]:
        return io.BytesIO(shards[name]), len(shards[name])

    text = json.dumps({"weight_map": weight_map}).encode()
    return index_sharded(io.BytesIO(text), open_shard, where="here", architecture=CONFIG)


def test_a_layer_may_be_split_over_shards() -> None:
    found = sharded(
        {"/layers/dense/vars": ["a.h5", "b.h5"]},
        {"a.h5": weights(_0=KERNEL), "b.h5": weights(_1=BIAS)},
    )
    assert [(each.name, each.pieces[0].file) for each in found.tensors] == [
        ("head/kernel", "a.h5"),
        ("head/bias", "b.h5"),
    ]


def test_a_tensor_in_two_shards_is_read_from_the_first() -> None:
    found = sharded(
        {"/layers/dense/vars": ["a.h5", "b.h5"]},
        {"a.h5": weights(_0=KERNEL), "b.h5": weights(_0=KERNEL, _1=BIAS)},
    )
    assert [each.pieces[0].file for each in found.tensors] == ["a.h5", "b.h5"]
    assert [each.reason for each in found.skipped] == ["it is in b.h5 once more"]


def test_a_damaged_shard_is_named() -> None:
    with pytest.raises(FormatError, match=r"here: a\.h5: a damaged"):
        sharded({"/layers/dense/vars": "a.h5"}, {"a.h5": b"nothing"})


@pytest.mark.parametrize(
    "use",
    [
        lambda file: file.seek(2) or file.read(3),
        lambda file: file.seek(-2, io.SEEK_END) and file.read(),
        lambda file: (file.read(1), file.seek(1, io.SEEK_CUR), file.read(1), file.tell()),
        lambda file: file.seek(90) and file.read(),
    ],
)
def test_a_slice_reads_as_the_bytes_themselves(use: Callable[[Any], object]) -> None:
    data = bytes(range(20))
    part = io.BufferedReader(FileSlice(io.BytesIO(data), 5, 7))
    assert use(part) == use(io.BytesIO(data[5:12]))
