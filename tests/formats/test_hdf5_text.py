"""Text attributes read without libhdf5: as h5py reads them, and never more than is there."""

from __future__ import annotations

import io
import struct
import tracemalloc
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

from remote_models.errors import FormatError, UnrecognizedFormatError
from remote_models.formats import _hdf5_text
from remote_models.formats._hdf5 import recognise_hdf5
from remote_models.formats._hdf5_text import Texts
from remote_models.formats._hdf5_walk import address_of, open_hdf5, text_attributes

LONG = "é" * 30_000


def made(build: Callable[[h5py.File], object], **options: Any) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **options) as root:
        build(root)
    return buffer.getvalue()


def read(data: bytes, use: Callable[[Texts, int], Any], group: str = "/") -> Any:
    file = io.BytesIO(data)
    with open_hdf5(file, where="here") as root:
        texts = text_attributes(file, root, where="here")
        return use(texts, address_of(root[group].id))


def one(data: bytes, name: str = "x", limit: int = 100_000) -> Any:
    return read(data, lambda texts, address: texts.one(address, name, limit=limit))


def many(data: bytes, name: str = "x", limit: int = 100_000) -> Any:
    return read(data, lambda texts, address: texts.many(address, name, limit=limit))


def attributes(**values: Any) -> Callable[[h5py.File], None]:
    def build(root: h5py.File) -> None:
        for name, value in values.items():
            root.attrs[name] = value

    return build


@pytest.mark.parametrize("value", ["", "a", "text", LONG, np.bytes_(b"fixed"), "\u20ac"])
@pytest.mark.parametrize("options", [{}, {"libver": "latest"}, {"userblock_size": 512}])
def test_a_text_is_what_h5py_reads(value: Any, options: dict[str, Any]) -> None:
    data = made(attributes(before=7, x=value, behind="other"), **options)
    expected = value.decode() if isinstance(value, bytes) else value
    assert one(data) == expected
    place = read(data, lambda texts, address: texts.locate(address, "x", limit=100_000))
    assert data[place[0] :][: place[1]].decode() == expected


@pytest.mark.parametrize(
    "value",
    [["a", "bc", ""], [b"a"], np.array([b"abc", b"d"]), [LONG, "a"], np.array([["a"], ["b"]], "S")],
)
@pytest.mark.parametrize("options", [{}, {"libver": "latest"}])
def test_a_list_of_texts_is_what_h5py_reads(value: Any, options: dict[str, Any]) -> None:
    data = made(attributes(x=value), **options)
    with h5py.File(io.BytesIO(data)) as root:
        expected = [
            each.decode() if isinstance(each, bytes) else each for each in np.ravel(root.attrs["x"])
        ]
    assert many(data) == expected
    assert one(data) is None


@pytest.mark.parametrize("value", [7, np.arange(3), h5py.Empty("S3"), np.zeros(2, [("a", "i4")])])
def test_what_is_no_text_is_absent(value: Any) -> None:
    data = made(attributes(x=value))
    assert one(data) is None
    assert one(data, "missing") is None
    assert many(data, "missing") is None


def test_a_text_above_the_limit_is_absent() -> None:
    data = made(attributes(x=LONG))
    assert one(data, limit=60_000) == LONG
    assert one(data, limit=59_999) is None
    lists = made(attributes(x=["abc", "def"]))
    assert many(lists, limit=6) == ["abc", "def"]
    assert many(lists, limit=5) is None


def test_many_attributes_lie_in_several_blocks() -> None:
    data = made(attributes(**{f"n{number}": f"v{number}" for number in range(300)}))
    assert [one(data, f"n{number}") for number in range(300)] == [f"v{i}" for i in range(300)]


def test_attributes_in_dense_storage_are_absent() -> None:
    names = {f"n{number}": "v" for number in range(20)}
    assert one(made(attributes(**names), libver="latest"), "n3") is None


def reference(data: bytes, length: int) -> int:
    """Return where the only reference to a text of this length is."""
    heap = data.index(b"GCOL")
    found = data.index(struct.pack("<IQ", length, heap))
    assert data.count(struct.pack("<IQ", length, heap)) == 1
    return found


@pytest.mark.parametrize(
    "new",
    [(0xFFFFFFFF, None, 1), (11, None, 1), (9, None, 1), (10, None, 2), (10, 0, 1),
     (10, (1 << 64) - 1, 1), (10, 1 << 62, 1)],
)  # fmt: skip
def test_a_reference_that_lies_costs_nothing(new: tuple[int, int | None, int]) -> None:
    data = bytearray(made(attributes(x="0123456789")))
    place = reference(bytes(data), 10)
    length, address, number = new
    heap = data.index(b"GCOL") if address is None else address
    struct.pack_into("<IQI", data, place, length, heap, number)
    tracemalloc.start()
    assert one(bytes(data)) is None
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("number", "size"),
    [(0, 0), (0, 15), (0, 1 << 40), (0, (1 << 64) - 16), (1, 1 << 40), (1, (1 << 64) - 16)],
)
def test_a_heap_that_leads_nowhere_has_an_end(number: int, size: int) -> None:
    data = bytearray(made(attributes(x="0123456789")))
    struct.pack_into("<H6xQ", data, data.index(b"GCOL") + 16, number, size)
    assert Texts(io.BytesIO(data), base=0, where="here").one(96, "x", limit=100) is None
    with pytest.raises(UnrecognizedFormatError, match="sizes make no sense"):
        recognise_hdf5(io.BytesIO(data), where="here")


def test_libhdf5_gets_no_heap_that_leads_nowhere() -> None:
    def build(root: h5py.File) -> None:
        layout = h5py.VirtualLayout(shape=(3,), dtype="i8")
        layout[:] = h5py.VirtualSource("other.h5", "x", shape=(3,))
        root.create_virtual_dataset("virtual", layout)

    data = bytearray(made(build))
    struct.pack_into("<H6xQ", data, data.index(b"GCOL") + 16, 0, 0)
    file = io.BytesIO(data)
    with (
        pytest.raises(FormatError, match="sizes make no sense"),
        open_hdf5(file, where="here") as f,
    ):
        print(f["virtual"])


@pytest.mark.parametrize("offset", [0, 8, 15, 1 << 40, (1 << 64) - 8])
def test_libhdf5_gets_no_free_list_that_runs_in_a_circle(offset: int) -> None:
    data = bytearray(made(lambda root: root.create_dataset("x", data=[1])))
    heap = data.index(b"HEAP")
    size, free, place = struct.unpack_from("<QQQ", data, heap + 8)
    assert free + 16 <= size
    struct.pack_into("<Q", data, place + free, free if offset == 0 else offset)
    with pytest.raises(UnrecognizedFormatError, match="sizes make no sense"):
        recognise_hdf5(io.BytesIO(data), where="here")


def test_thousands_of_references_to_one_long_text_are_absent() -> None:
    count = 3000
    data = bytearray(made(attributes(long=LONG, x=["0123456789"] * count)))
    heap = data.index(b"GCOL")
    target = struct.pack("<IQI", 60_000, heap, 1)
    assert data.count(target) == 1
    first = data.index(struct.pack("<I", 10) + data[data.index(target) + 4 :][:0])
    for position in range(first, len(data) - 16):
        length, address, number = struct.unpack_from("<IQI", data, position)
        if length == 10 and data[address : address + 4] == b"GCOL" and 0 < number < 65_536:
            data[position : position + 16] = target
    assert data.count(target) > count
    tracemalloc.start()
    assert many(bytes(data), limit=1 << 20) is None
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_headers_that_continue_in_a_circle_have_an_end() -> None:
    data = bytearray(made(attributes(**{f"n{number}": f"v{number}" for number in range(30)})))
    file = io.BytesIO(data)
    with open_hdf5(file, where="here") as root:
        address = address_of(root.id)
    position = address + 16
    kind, size = struct.unpack_from("<HH", data, position)
    while kind != 0x10:
        position += 8 + size
        kind, size = struct.unpack_from("<HH", data, position)
    struct.pack_into("<QQ", data, position + 8, address + 16, position + 24 - address - 16)
    texts = Texts(io.BytesIO(data), base=0, where="here")
    assert texts.one(address, "missing", limit=100) is None


def test_one_file_costs_a_limited_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    data = made(attributes(x=LONG))
    monkeypatch.setattr(_hdf5_text, "_MAX_BYTES", 150_000)
    assert one(data) == LONG

    def often(texts: Texts, address: int) -> None:
        for _ in range(3):
            texts.one(address, "x", limit=100_000)

    with pytest.raises(FormatError, match="too many bytes of attributes"):
        read(data, often)


def test_narrow_addresses_are_not_supported() -> None:
    data = bytearray(made(attributes(x="text")))
    data[13] = 4
    assert Texts(io.BytesIO(data), base=0, where="here").one(96, "x", limit=100) is None
    assert Texts(io.BytesIO(b"short"), base=0, where="here").one(96, "x", limit=100) is None
