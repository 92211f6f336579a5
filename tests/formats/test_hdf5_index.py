"""The index of HDF5 files made by hand: what is read, skipped and refused."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

from remote_models.errors import FormatError, RemoteModelsError, UnsafeFormatError
from remote_models.formats import _hdf5_walk
from remote_models.formats._hdf5_index import Index, architecture_of_hdf5, index_hdf5
from remote_models.tensors import DTYPE_BITS, Role

_BFLOAT16 = {"class_name": "Sequential", "config": {"layers": [], "dtype": "bfloat16"}}


def made(build: Callable[[h5py.File], object], **options: Any) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **options) as root:
        build(root)
    return buffer.getvalue()


def index(data: bytes, **options: Any) -> Index:
    return index_hdf5(io.BytesIO(data), "f.h5", len(data), where="here", **options)


def skipped(found: Index) -> dict[str, str]:
    return {each.key: each.reason for each in found.skipped}


@pytest.mark.parametrize(
    "dtype",
    ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
     "float16", "float32", "float64", "complex64", "complex128"],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 4)])
def test_every_dtype_is_a_plain_range(dtype: str, shape: tuple[int, ...]) -> None:
    values = np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)
    data = made(lambda root: root.create_dataset("group/x", data=values))
    (tensor,) = index(data, base=1000).tensors
    assert (tensor.key, tensor.dtype, tensor.shape) == ("group/x", dtype, shape)
    (piece,) = tensor.pieces
    assert piece.nbytes == values.nbytes == values.size * DTYPE_BITS[dtype] // 8
    assert data[piece.offset - 1000 :][: piece.nbytes] == values.tobytes()
    assert (piece.file, piece.origin, piece.shape) == ("f.h5", (0,) * len(shape), shape)
    assert tensor.role is Role.OTHER


def test_offsets_count_from_the_start_of_the_file_behind_a_user_block() -> None:
    data = made(lambda root: root.create_dataset("x", data=np.arange(7)), userblock_size=1024)
    ((piece,),) = (each.pieces for each in index(data).tensors)
    assert data[piece.offset :][: piece.nbytes] == np.arange(7).tobytes()


def test_opaque_bytes_are_bfloat16_where_something_says_so() -> None:
    def build(root: h5py.File) -> None:
        root["plain"] = np.zeros(3, "V2")
        root["marked"] = np.zeros(3, "V2")
        root["marked"].attrs["dtype"] = "bfloat16"
        root["other"] = np.zeros(3, "V2")
        root["other"].attrs["dtype"] = "posit16"

    data = made(build)
    found = index(data)
    assert [(each.key, each.dtype) for each in found.tensors] == [("marked", "bfloat16")]
    assert "2 opaque bytes" in skipped(found)["plain"]
    told = index(data, architecture=_BFLOAT16)
    assert {each.key for each in told.tensors} == {"marked", "plain"}
    assert skipped(told).keys() == {"other"}


def test_what_no_range_can_hold_is_skipped_and_the_rest_is_read() -> None:
    def build(root: h5py.File) -> None:
        root["good"] = np.arange(3)
        root.create_dataset("chunked", data=np.arange(3), chunks=(3,))
        root.create_dataset("packed", data=np.arange(3), compression="gzip")
        root["big endian"] = np.arange(3, dtype=">i4")
        root["big endian float"] = np.arange(3, dtype=">f8")
        root["long double"] = np.arange(3, dtype="g")
        root["record"] = np.zeros(3, [("a", "i4"), ("b", "f4")])
        root["text"] = ["a", "b"]
        root["bytes"] = np.array([b"a", b"bc"])
        root.create_dataset("choice", data=[0], dtype=h5py.enum_dtype({"A": 0, "B": 1}, "i1"))
        root.create_dataset("lists", shape=(2,), dtype=h5py.vlen_dtype("i4"))
        root["opaque"] = np.zeros(3, "V5")
        root["empty"] = h5py.Empty("f4")
        root.create_dataset("unwritten", shape=(3,))
        root.create_dataset("outside", shape=(3,), external=[("/etc/passwd", 0, 12)])
        layout = h5py.VirtualLayout(shape=(3,), dtype="i8")
        layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(3,))
        root.create_virtual_dataset("virtual", layout)
        root["soft"] = h5py.SoftLink("/good")
        root["external"] = h5py.ExternalLink("/dev/zero", "x")
        root["again"] = root["good"]
        root["type"] = np.dtype("f4")

    found = index(made(build))
    assert [each.key for each in found.tensors] == ["again"]
    reasons = skipped(found)
    assert reasons.keys() == {
        "chunked", "packed", "big endian", "big endian float", "long double", "record", "text",
        "bytes", "choice", "lists", "opaque", "empty", "unwritten", "outside", "virtual", "soft",
        "external", "good",
    }  # fmt: skip
    assert "under a second name" in reasons["good"]
    assert "lead out" in reasons["external"]
    assert "another file" in reasons["outside"]


def test_circles_end() -> None:
    def build(root: h5py.File) -> None:
        root["a/b/x"] = np.arange(3)
        root["a/b/up"] = root["a"]
        root["a/root"] = root["/"]

    found = index(made(build))
    assert [each.key for each in found.tensors] == ["a/b/x"]
    assert skipped(found).keys() == {"a/b/up", "a/root"}


def rewritten(data: bytes, old: tuple[int, int], new: tuple[int, int]) -> bytes:
    """Change the address and the size in a contiguous dataset's layout message."""
    before = struct.pack("<QQ", *old)
    assert data.count(before) == 1
    return data.replace(before, struct.pack("<QQ", *new))


def two_datasets() -> tuple[bytes, int, int]:
    def build(root: h5py.File) -> None:
        root["a"] = np.arange(4.0)
        root["b"] = np.arange(4.0)

    data = made(build)
    first, second = (each.pieces[0].offset for each in index(data).tensors)
    return data, first, second


def test_shared_bytes_are_refused() -> None:
    data, first, second = two_datasets()
    with pytest.raises(UnsafeFormatError, match="share bytes"):
        index(rewritten(data, (second, 32), (first + 8, 32)))


@pytest.mark.parametrize("address", [1 << 20, (1 << 63) - 64, (1 << 64) - 16])
def test_a_dataset_outside_the_file_is_refused(address: int) -> None:
    data, first, _ = two_datasets()
    with pytest.raises(FormatError, match=r"here.*(damaged|claims more)"):
        index(rewritten(data, (first, 32), (address, 32)))


@pytest.mark.parametrize("size", [8, 64, 1 << 40])
def test_a_dataset_of_another_size_than_its_shape_is_refused(size: int) -> None:
    data, first, _ = two_datasets()
    with pytest.raises(FormatError, match=r"here.*(damaged|claims more)"):
        index(rewritten(data, (first, 32), (first, size)))


def test_a_shape_beyond_all_memory_costs_nothing() -> None:
    data = made(lambda root: root.create_dataset("x", shape=(1 << 40, 1 << 20), dtype="f4"))
    tracemalloc.start()
    found = index(data)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    assert skipped(found).keys() == {"x"}


def test_an_empty_tensor_of_impossible_shape_is_skipped() -> None:
    data = made(lambda root: root.create_dataset("x", shape=(0, 1 << 40, 1 << 40), dtype="f4"))
    assert skipped(index(data)) == {"x": "no array can have its shape"}


@pytest.mark.parametrize(
    ("limit", "most", "what"),
    [("_MAX_LINKS", 10, "groups and datasets"), ("_MAX_DEPTH", 2, "groups inside groups"),
     ("_MAX_KEY", 10, "characters in one name"), ("_MAX_KEYS", 50, "characters in all names"),
     ("_MAX_TEXTS", 20, "bytes of attributes")],
)  # fmt: skip
def test_limits(monkeypatch: pytest.MonkeyPatch, limit: str, most: int, what: str) -> None:
    def build(root: h5py.File) -> None:
        for number in range(12):
            root[f"layers/layer_{number}/vars/0"] = np.arange(3)
            root[f"layers/layer_{number}/vars"].attrs["name"] = "layer"

    data = made(build)
    assert len(index(data).tensors) == 12
    monkeypatch.setattr(_hdf5_walk, limit, most)
    with pytest.raises(FormatError, match=f"too many {what}"):
        index(data)


def test_a_hundred_groups_inside_each_other_are_refused() -> None:
    with pytest.raises(FormatError, match="groups inside groups"):
        index(made(lambda root: root.create_group("/".join("g" * 100))))


def test_a_name_that_is_not_utf8_is_refused() -> None:
    data = made(lambda root: root.create_dataset("xyzzyxyz", data=[1]))
    with pytest.raises(FormatError, match="not UTF-8"):
        index(data.replace(b"xyzzyxyz", b"\xff\xfe\xfd\xfcxyz1"))


@pytest.mark.parametrize("value", [np.arange(3), ["a", "b"], h5py.Empty("S1"), 7, "n" * 300])
def test_a_layer_without_a_usable_name_has_keys(value: object) -> None:
    def build(root: h5py.File) -> None:
        root["layers/dense/vars/0"] = np.zeros((2, 3))
        root["layers/dense/vars/1"] = np.zeros(3)
        root["layers/dense/vars"].attrs["name"] = value

    assert [each.label for each in index(made(build)).tensors] == [
        "layers/dense/vars/0",
        "layers/dense/vars/1",
    ]


def test_numbers_are_in_order() -> None:
    def build(root: h5py.File) -> None:
        for number in range(12):
            root[f"optimizer/vars/{number}"] = np.arange(3)
            root[f"layers/{'_'.join(['dense', str(number)][: number + 1])}/vars/0"] = np.arange(3)

    found = index(made(build)).tensors
    layers = ["dense", *(f"dense_{number}" for number in range(1, 12))]
    assert [each.key for each in found] == [
        *(f"layers/{layer}/vars/0" for layer in layers),
        *(f"optimizer/vars/{number}" for number in range(12)),
    ]
    assert [each.role for each in found] == [Role.WEIGHT] * 12 + [Role.OPTIMIZER] * 12


@pytest.mark.parametrize("config", ["{", "[]", "7", '{"config": {}}', "[" * 100_000, b"\xff"])
def test_a_damaged_configuration_is_refused(config: str | bytes) -> None:
    def build(root: h5py.File) -> None:
        root.attrs["model_config"] = config

    data = made(build)
    for read in (lambda: index(data), lambda: architecture_of_hdf5(io.BytesIO(data), where="here")):
        with pytest.raises(FormatError, match="here: the model's configuration"):
            read()


def test_a_configuration_that_is_no_text_is_refused() -> None:
    def build(root: h5py.File) -> None:
        root.attrs["model_config"] = np.arange(3)

    with pytest.raises(FormatError, match="the model's configuration"):
        index(made(build))


@pytest.mark.parametrize("data", [b"", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(5000)])
def test_what_is_no_hdf5_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match="a damaged HDF5 file"):
        index(data)


class Failing(io.BytesIO):
    """A file whose store fails after a number of reads."""

    def __init__(self, data: bytes, reads: int) -> None:
        super().__init__(data)
        self._reads = reads

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads -= 1
        if self._reads < 0:
            raise FormatError("the store failed")
        return super().read(size)


@pytest.mark.parametrize("reads", [0, 2])
def test_an_error_of_the_store_is_not_taken_for_damage(reads: int) -> None:
    data = legacy()
    with pytest.raises(FormatError, match="the store failed"):
        index_hdf5(Failing(data, reads), "f.h5", len(data), where="here")


def legacy() -> bytes:
    def build(root: h5py.File) -> None:
        root.attrs["model_config"] = '{"class_name": "Sequential", "config": {"name": "s"}}'
        weights = root.create_group("model_weights")
        weights.attrs["layer_names"] = [b"e", b"d"]
        for layer in ("d", "e"):
            weights[f"{layer}/s/{layer}/kernel"] = np.arange(6.0).reshape(2, 3)
            weights[f"{layer}/s/{layer}/bias"] = np.arange(3.0)
            names = np.array([f"s/{layer}/kernel", f"s/{layer}/bias"], "S")
            weights[layer].attrs["weight_names0"] = names[:1]
            weights[layer].attrs["weight_names1"] = names[1:]
        root["optimizer_weights/adam/s_d_kernel_momentum"] = np.arange(6.0).reshape(2, 3)
        root["optimizer_weights/adam/iteration"] = 7
        root["optimizer_weights"].attrs["weight_names"] = ["adam/iteration"]
        root["mine"] = np.arange(3)

    return made(build)


def numbered() -> bytes:
    def build(root: h5py.File) -> None:
        for layer in ("dense", "dense_1"):
            root[f"layers/{layer}/vars/0"] = np.zeros((2, 3), "f4")
            root[f"layers/{layer}/vars/1"] = np.zeros(3, "f4")
            root[f"layers/{layer}/vars"].attrs["name"] = layer
        root["optimizer/vars/0"] = 3
        root["layers/half/vars/0"] = np.zeros(3, "V2")
        root["layers/half/vars/0"].attrs["dtype"] = "bfloat16"

    return made(build)


def test_names_in_a_legacy_file() -> None:
    found = index(legacy()).tensors
    assert [(each.name, each.role.value) for each in found] == [
        ("e/kernel", "weight"),
        ("e/bias", "weight"),
        ("d/kernel", "weight"),
        ("d/bias", "weight"),
        ("mine", "other"),
        ("optimizer/iteration", "optimizer"),
        ("optimizer/momentum/d/kernel", "optimizer"),
    ]


def test_a_layer_whose_name_has_a_slash() -> None:
    def build(root: h5py.File) -> None:
        root["a/b/a/b/kernel:0"] = np.zeros((2, 3))
        root["a/b"].attrs["weight_names"] = ["a/b/kernel:0"]
        root.attrs["layer_names"] = ["a/b"]

    assert [each.name for each in index(made(build)).tensors] == ["a/b/kernel"]


@pytest.mark.parametrize("make", [legacy, numbered])
def test_damage_is_an_error_of_ours_or_harmless(make: Callable[[], bytes]) -> None:
    data = make()
    whole = {each.key for each in index(data).tensors}
    changes = random.Random(1)
    messages: list[str] = []
    for _ in range(1500):
        damaged = bytearray(data)
        for _ in range(changes.randrange(1, 6)):
            damaged[changes.randrange(len(data))] = changes.choice((0, 1, 0x7F, 0x80, 0xFF))
        if changes.random() < 0.2:
            del damaged[changes.randrange(len(data)) :]
        try:
            found = index(bytes(damaged))
        except RemoteModelsError as error:
            messages.append(str(error))
            continue
        for tensor in found.tensors:
            (piece,) = tensor.pieces
            assert 0 <= piece.offset <= piece.stop <= len(damaged)
            assert piece.nbytes == tensor.size * DTYPE_BITS[tensor.dtype] // 8
    assert 150 < len(messages) < 1350
    assert all(message.startswith("here") for message in messages)
    assert whole
