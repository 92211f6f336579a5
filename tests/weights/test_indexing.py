"""Reading a tensor, or part of it, gives what NumPy gives: bit for bit, or the same refusal."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from remote_models.errors import IntegrityError
from remote_models.remote_model._row_selection import select_rows
from remote_models.storage import Location
from weights.artifacts import Array, Cut, opened, same, store_tensors, without_digests

DTYPES: Mapping[str, Any] = {
    "bool": bool,
    **{name: name for name in ("int8", "uint16", "int32", "int64", "float16", "float32",
                               "float64", "complex64", "complex128")},
    "bfloat16": ml_dtypes.bfloat16,
    "float8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8_e5m2": ml_dtypes.float8_e5m2,
    "string": object,
}  # fmt: skip


def values(shape: tuple[int, ...], dtype: str) -> Array:
    """An array in which every element is its own."""
    size = int(np.prod(shape))
    if dtype == "string":
        flat = np.empty(size, object)
        flat[:] = [b"word %d" % number * (number % 3) for number in range(size)]
        return flat.reshape(shape)
    raw = np.arange(1, size + 1)
    made: Array = (raw % 2 if dtype == "bool" else raw).astype(DTYPES[dtype]).reshape(shape)
    return made


OPTIONS = st.fixed_dictionaries({"block_size": st.integers(1, 60), "files": st.integers(1, 3)})
SHAPES = st.lists(st.integers(0, 7), max_size=4).map(tuple)


@st.composite
def cuts_of(draw: st.DrawFn, shape: tuple[int, ...]) -> Cut:
    """No partition, one along the first axis, or one along any."""
    kind = draw(st.sampled_from(["whole", "rows", "any"]))
    if kind == "whole" or not shape or not all(shape):
        return ()
    cut = []
    for axis, length in enumerate(shape):
        edges = (
            draw(st.sets(st.integers(1, length), max_size=2)) if axis == 0 or kind == "any" else ()
        )
        bounds = sorted({0, length, *edges})
        cut.append(tuple(b - a for a, b in pairwise(bounds)))
    return tuple(cut)


SMALL = st.none() | st.integers(-9, 9)
SLICES = st.builds(slice, SMALL, SMALL, st.none() | st.sampled_from([-3, -2, -1, 1, 2, 3]))
INTS = st.integers(-9, 9) | st.integers(-9, 9).map(np.int64)
ROW_LISTS = st.lists(st.integers(-8, 8), max_size=6)


@st.composite
def row_arrays(draw: st.DrawFn) -> Any:
    """Lists, or arrays of one or two dimensions, of row numbers that may repeat."""
    rows = draw(ROW_LISTS)
    if draw(st.booleans()):
        return rows
    array = np.array(rows, draw(st.sampled_from(["int8", "int32", "int64"])))
    if draw(st.booleans()):
        return np.abs(array).astype(draw(st.sampled_from(["uint8", "uint64"])))
    return array.reshape(2, -1) if len(rows) % 2 == 0 and draw(st.booleans()) else array


@st.composite
def indices_of(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    first = draw(
        st.one_of(
            INTS,
            SLICES,
            row_arrays(),
            st.lists(st.booleans(), min_size=1, max_size=7).map(np.array),
            st.lists(
                st.booleans(), min_size=shape[0] if shape else 1, max_size=shape[0] if shape else 1
            ).map(lambda flags: np.array(flags, bool)),
        )
    )
    rest = draw(st.lists(INTS | SLICES, max_size=4))
    words = [first, *rest]
    if draw(st.booleans()):
        # Before an array, NumPy would move the array's axis; it belongs to the front.
        lowest = 0 if isinstance(first, int | slice | np.integer) else 1
        words.insert(draw(st.integers(lowest, len(words))), Ellipsis)
    return words[0] if len(words) == 1 and draw(st.booleans()) else tuple(words)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Location]:
    """A store that is read by requests, and one whose files are mapped into memory."""
    memory = Location.parse("memory://indexing")
    return {
        "memory": memory,
        "local": Location.parse(tmp_path_factory.mktemp("indexing")),
    }


def read(tensor: Any, index: Any) -> Any:
    try:
        return tensor[index]
    except IndexError:
        return IndexError


def check(
    place: Location,
    array: Array,
    indices: list[Any],
    cut: Cut = (),
    *,
    block_size: int = 16,
    files: int = 2,
) -> None:
    neighbours = {"before": np.arange(5.0), "it": array, "behind": np.arange(7, dtype="int8")}
    manifest = store_tensors(
        place, neighbours, block_size=block_size, cuts={"it": cut}, files=files
    )
    for remote in (
        opened(place, manifest),
        opened(place, without_digests(manifest), verify=False),
    ):
        tensor = remote.weights["it"]
        assert same(np.asarray(tensor), array)
        for index in indices:
            found, expected = read(tensor, index), read(array, index)
            if expected is IndexError:
                assert found is IndexError, index
            else:
                assert same(found, expected), index


@pytest.mark.parametrize("place", ["memory", "local"])
@given(data=st.data(), shape=SHAPES, options=OPTIONS)
@settings(max_examples=150, deadline=None)
def test_equal_to_numpy(
    places: Mapping[str, Location],
    place: str,
    data: st.DataObject,
    shape: tuple[int, ...],
    options: dict[str, int],
) -> None:
    dtype = data.draw(st.sampled_from(list(DTYPES)))
    indices = [..., (), *data.draw(st.lists(indices_of(shape), max_size=4))]
    cut = data.draw(cuts_of(shape))
    check(places[place], values(shape, dtype), indices, cut, **options)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "cut"),
    [
        ((), ()),
        ((1,), ()),
        ((0,), ()),
        ((0, 3), ()),
        ((3, 0), ()),
        ((40, 3), ()),
        ((40, 3), ((7, 33), (3,))),
        ((5, 8), ((5,), (3, 5))),
        ((5, 8), ((2, 3), (1, 7))),
        ((2, 3, 4), ()),
    ],
)
def test_every_dtype_and_partition(
    places: Mapping[str, Location], dtype: str, shape: tuple[int, ...], cut: Cut
) -> None:
    indices: list[Any] = [..., ()]
    if shape:
        indices += [
            0, -1, np.uint8(0), slice(None), slice(1, None), slice(None, None, -2), slice(0, 0),
            [0, -1, 0], np.array([[0, -1], [-1, 0]]), np.zeros(shape[0], bool),
            np.ones(shape[0], bool), [], (slice(0, 2), ...), shape[0], -shape[0] - 1,
        ]  # fmt: skip
    check(places["memory"], values(shape, dtype), indices, cut)
    check(places["local"], values(shape, dtype), indices, cut)


def test_narrow_row_numbers_reach_the_end_of_a_long_axis(places: Mapping[str, Location]) -> None:
    array = values((1000, 2), "float32")
    indices = [np.array([3, 200], "uint8"), np.array([-1, -128, 127], "int8"), np.uint8(255),
               np.array([-32768], "int16")]  # fmt: skip
    check(places["memory"], array, indices, block_size=64)


@pytest.mark.parametrize(
    "index",
    [None, (0, None), 1.0, "a", (0, [1]), (0, np.array([1])), (..., ...), (0, True), True,
     np.array([0.0]), np.empty(0), (slice(None), 1.5), (0, 0, 0), np.ones((3, 2), bool)],
    ids=repr,
)  # fmt: skip
def test_what_is_not_supported_is_an_index_error(index: Any) -> None:
    with pytest.raises(IndexError):
        select_rows((3, 2), index)


def test_refusals_come_before_any_request(places: Mapping[str, Location]) -> None:
    """The file is gone, and nobody notices."""
    manifest = store_tensors(places["memory"], {"it": values((3, 2), "float32")})
    tensor = opened(places["memory"].join("nowhere"), manifest).weights["it"]
    for index in (3, -4, (0, 2), (slice(None), -3), [0, 5]):
        with pytest.raises(IndexError):
            tensor[index]


@given(length=st.integers(0, 30), word=SLICES | row_arrays())
@example(length=0, word=[])
def test_rows_are_read_once_and_in_order(length: int, word: Any) -> None:
    try:
        rows = select_rows((length, 2), word)
    except IndexError:
        return
    if not rows.is_everything:
        assert rows.unique.tolist() == sorted(set(np.arange(length)[word].ravel().tolist()))


def test_one_row_of_very_many_costs_no_memory() -> None:
    for index in (5, slice(10, 20), [1, 1 << 61]):
        assert select_rows((1 << 62, 1), index).unique.size <= 10
    assert select_rows((1 << 62, 1), ...).unique.size == 0


class TestArrays:
    """What a caller gets is the caller's own."""

    @pytest.mark.parametrize("place", ["memory", "local"])
    def test_writing_to_one_changes_no_other(
        self, places: Mapping[str, Location], place: str
    ) -> None:
        array = values((8, 2), "float32")
        remote = opened(places[place], store_tensors(places[place], {"it": array}, gap=0))
        tensor = remote.weights["it"]
        for read_it in (np.asarray, lambda t: t[:], lambda t: t[1:], lambda t: t[0]):
            found = read_it(tensor)
            assert found.flags.writeable
            found[...] = 0
            assert same(np.asarray(tensor), array)
        first, second = remote.weights.fetch()["it"], remote.weights.fetch()["it"]
        first[...] = 0
        assert same(second, array)

    @pytest.mark.parametrize("place", ["memory", "local"])
    def test_odd_addresses_in_the_file_are_no_odd_addresses_in_memory(
        self, places: Mapping[str, Location], place: str
    ) -> None:
        array = values((8, 2), "float64")
        manifest = store_tensors(places[place], {"a": array, "b": array}, gap=1)
        for found in opened(places[place], manifest).weights.fetch().values():
            assert found.flags.aligned
            assert same(found, array)

    def test_what_is_written_over_a_local_file_changes_no_array(self, local_base: Location) -> None:
        """In place, as no saver of ours does it."""
        array = values((8, 2), "float32")
        manifest = store_tensors(local_base, {"it": array}, gap=0)
        tensor = opened(local_base, manifest).weights["it"]
        found = np.asarray(tensor)
        with open(local_base.join("data-0").path, "r+b") as file:
            file.write(bytes(array.nbytes))
        assert same(found, array)
        with pytest.raises(IntegrityError):
            np.asarray(tensor)

    def test_a_local_file_cut_short_is_an_error_and_no_crash(self, local_base: Location) -> None:
        """Reading a mapped file behind its end kills a process."""
        arrays = {"a": values((4096,), "float32"), "b": values((4096,), "float32")}
        manifest = store_tensors(local_base, arrays)
        weights = opened(local_base, manifest).weights
        assert same(np.asarray(weights["a"]), arrays["a"])
        os.truncate(local_base.join("data-0").path, 100)
        for read in (lambda: np.asarray(weights["b"]), lambda: weights["b"][7], weights.fetch):
            with pytest.raises(IntegrityError, match="shorter"):
                read()

    def test_conversion(self, places: Mapping[str, Location]) -> None:
        array = values((3, 2), "float32")
        tensor = opened(places["memory"], store_tensors(places["memory"], {"it": array})).weights[
            "it"
        ]
        assert same(np.asarray(tensor, "float64"), array.astype("float64"))
        assert same(np.array(tensor), array)
        assert [row.tolist() for row in tensor] == array.tolist()
        assert len(tensor) == 3
        with pytest.raises(ValueError, match="makes a copy"):
            np.asarray(tensor, copy=False)

    def test_description(self, places: Mapping[str, Location]) -> None:
        manifest = store_tensors(
            places["memory"],
            {
                "it": values((3, 2), "bfloat16"),
                "s": values((2,), "string"),
                "x": values((), "int8"),
            },
        )
        weights = opened(places["memory"], manifest).weights
        tensor = weights["it"]
        assert (tensor.name, tensor.key, tensor.shape) == ("it", "key of it", (3, 2))
        assert (tensor.ndim, tensor.size, tensor.nbytes) == (2, 6, 12)
        assert (tensor.dtype_name, tensor.dtype) == ("bfloat16", np.dtype(ml_dtypes.bfloat16))
        assert weights["s"].dtype == np.dtype(object)
        assert repr(tensor) == "RemoteTensor('it', shape=(3, 2), dtype='bfloat16')"
        with pytest.raises(TypeError):
            len(weights["x"])
