"""Checkpoints made by hand: what is read, what is refused, and that nothing else happens."""

from __future__ import annotations

import doctest
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.bundles import (
    FLOAT,
    GRAPH,
    INT64,
    SHARD,
    STRING,
    Files,
    Table,
    block_contents,
    block_entry,
    bundle,
    entry,
    header,
    message,
    number,
    string_tensor,
    table,
    varint,
    with_graph,
)
from remote_models.errors import (
    FormatError,
    IncompleteModelError,
    IntegrityError,
    UnrecognizedFormatError,
)
from remote_models.formats import _crc32c, _names, _slices
from remote_models.formats._crc32c import masked_crc32c
from remote_models.formats._slices import slice_key, tiles
from remote_models.formats._string_tensor import decode_strings, string_checksum
from remote_models.formats._table import read_table
from remote_models.formats._tensor_bundle import check_piece, index_checkpoint
from remote_models.formats._varint import read_varint
from remote_models.tensors import Piece, Role, StoredTensor

FULL = None


def index(files: Files) -> list[StoredTensor]:
    return index_checkpoint("ckpt", files.sizes, files.read, where="memory://m")


def refusal(files: Files) -> str:
    with pytest.raises(UnrecognizedFormatError) as caught:
        index(files)
    return str(caught.value)


class TestTable:
    """The index file itself."""

    @given(
        st.dictionaries(st.binary(max_size=30), st.binary(max_size=30), max_size=40),
        st.integers(1, 10),
    )
    def test_entries_come_back_sorted(self, entries: dict[bytes, bytes], block: int) -> None:
        assert list(read_table(table(entries, block=block), where="t").items()) == sorted(
            entries.items()
        )

    @pytest.mark.parametrize("size", [0, 10, 48])
    def test_other_bytes_are_refused(self, size: int) -> None:
        with pytest.raises(UnrecognizedFormatError, match="t: no index of a TensorFlow checkpoint"):
            read_table(bytes(size), where="t")

    def test_a_truncated_table_is_refused(self) -> None:
        with pytest.raises(UnrecognizedFormatError, match="cut short"):
            read_table(table({b"a": b"b"})[:-1], where="t")

    def test_any_flipped_bit_in_a_block_is_noticed(self) -> None:
        data = table({b"alpha": b"1", b"beta": b"2"})
        for bit in range(8 * (len(data) - 48)):
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            with pytest.raises(IntegrityError, match="t: the checksum of the block at byte"):
                read_table(bytes(flipped), where="t")

    def test_compression_is_refused_by_name(self) -> None:
        made = Table()
        handle = made.add(block_contents([(b"a", b"b")]), kind=1)
        with pytest.raises(UnrecognizedFormatError, match="a compressed index"):
            read_table(made.finish([(b"a", handle)]), where="t")

    def test_many_handles_for_one_block_are_refused(self) -> None:
        made = Table()
        handle = made.add(block_contents([(b"a", b"b")]))
        with pytest.raises(UnrecognizedFormatError, match="blocks overlap"):
            read_table(made.finish([(b"a", handle), (b"b", handle)]), where="t")

    @pytest.mark.parametrize("keys", [(b"b", b"a"), (b"a", b"a")])
    def test_keys_must_ascend(self, keys: tuple[bytes, ...]) -> None:
        made = Table()
        handle = made.add(block_contents([(key, b"") for key in keys]))
        with pytest.raises(UnrecognizedFormatError, match="out of order"):
            read_table(made.finish([(b"z", handle)]), where="t")

    @pytest.mark.parametrize(
        "contents",
        [
            pytest.param(b"", id="empty"),
            pytest.param(bytes(3), id="no restarts"),
            pytest.param(b"\xff\xff\xff\x7f", id="restarts beyond the block"),
            pytest.param(block_entry(1, b"a", b"") + bytes(4), id="shares with nothing"),
            pytest.param(b"\x00\x7f\x00a" + bytes(4), id="key beyond the block"),
            pytest.param(b"\x00\x01\x7fa" + bytes(4), id="value beyond the block"),
            pytest.param(b"\xff" * 12 + bytes(4), id="endless number"),
            pytest.param(b"\x00\x01" + b"\xff" * 9 + b"\x02a" + bytes(4), id="over 64 bits"),
        ],
    )
    def test_a_malformed_block_is_refused(self, contents: bytes) -> None:
        made = Table()
        handle = made.add(contents)
        with pytest.raises(UnrecognizedFormatError, match=r"^t: "):
            read_table(made.finish([(b"z", handle)]), where="t")

    @pytest.mark.parametrize(
        "handle", [b"\xff\xff\xff\xff\xff\x7f\x00", b"\x00\xff\xff\xff\xff\xff\x7f", b"", b"\x80"]
    )
    def test_a_handle_outside_the_file_is_refused(self, handle: bytes) -> None:
        with pytest.raises(UnrecognizedFormatError, match=r"^t: "):
            read_table(Table().finish([(b"z", handle)]), where="t")

    def test_keys_cannot_grow_out_of_proportion(self) -> None:
        made = Table()
        growing = b"".join(
            block_entry(length, b"k", b"") for length in range(60_000)
        )  # 0.4 MB that declare 1.8 GB of keys
        handle = made.add(growing + bytes(4))
        with pytest.raises(UnrecognizedFormatError, match="too many entries"):
            read_table(made.finish([(b"z", handle)]), where="t")

    def test_a_key_has_a_limit(self) -> None:
        with pytest.raises(UnrecognizedFormatError, match="does not fit"):
            read_table(table({b"k" * 100_000: b""}), where="t")


@pytest.mark.parametrize("module", [_crc32c, _names, _slices])
def test_examples_hold(module: ModuleType) -> None:
    done = doctest.testmod(module)
    assert done.attempted
    assert not done.failed


@given(st.integers(0, 2**64 - 1), st.binary(max_size=3))
def test_numbers_come_back(value: int, rest: bytes) -> None:
    data = b"x" + varint(value) + rest
    end = len(data) - len(rest)
    assert read_varint(data, 1, len(data), where="t") == (value, end)
    with pytest.raises(UnrecognizedFormatError):
        read_varint(data, 1, end - 1, where="t")


def test_numbers_have_64_bits() -> None:
    with pytest.raises(UnrecognizedFormatError, match="a number does not end"):
        read_varint(b"\xff" * 9 + b"\x02", 0, 10, where="t")


class TestEntries:
    """Tensors as the index describes them."""

    def test_a_tensor_is_found_where_it_lies(self) -> None:
        data = bytes(range(40))
        crc = masked_crc32c(data[16:])
        [found] = index(bundle({b"w": entry(shape=(2, 3), offset=16, crc=crc)}, data))
        piece = Piece(
            file=SHARD, offset=16, nbytes=24, origin=(0, 0), shape=(2, 3), masked_crc32c=crc
        )
        assert found == StoredTensor(
            key="w", name="w", dtype="float32", shape=(2, 3), pieces=(piece,), role=Role.WEIGHT
        )
        check_piece(found, piece, data[16:], where="m")
        with pytest.raises(IntegrityError, match="m: w: the tensor's checksum differs"):
            check_piece(found, piece, data[15:39], where="m")

    def test_nothing_but_the_index_is_read(self) -> None:
        files = bundle({b"w": entry(shape=(10,))}, bytes(40))
        index(files)
        assert files.reads == [("ckpt.index", 0, files.sizes["ckpt.index"])]

    def test_the_object_graph_alone_is_read_besides(self) -> None:
        files = with_graph(b"", {b"w": entry(shape=(10,))}, bytes(40))
        index(files)
        assert files.reads[1:] == [(SHARD, 40, files.sizes[SHARD])]

    def test_a_key_need_not_be_utf_8(self) -> None:
        [found] = index(bundle({b"\xff\xfe/w": entry()}, bytes(4)))
        assert found.key.encode("utf-8", "surrogateescape") == b"\xff\xfe/w"

    def test_a_stem_may_be_empty(self) -> None:
        files = Files(
            **{
                ".index": table({b"": header(), b"w": entry()}),
                ".data-00000-of-00001": bytes(4),
            }
        )
        [found] = index_checkpoint("", files.sizes, files.read, where="m")
        assert found.pieces[0].file == ".data-00000-of-00001"

    def test_a_variant_is_no_tensor(self) -> None:
        assert index(bundle({b"iterator": entry(dtype=21, size=0)})) == []

    @pytest.mark.parametrize("dtype", [0, 11, 20, 29, 30, 101, 1000])
    def test_a_dtype_without_plain_bytes_is_refused_by_name(self, dtype: int) -> None:
        message = refusal(bundle({b"w": entry(dtype=dtype, size=0)}))
        assert message.startswith("memory://m: ckpt.index: w: a tensor of a dtype")
        assert f"DataType {dtype}" in message

    @pytest.mark.parametrize(
        ("wrong", "why"),
        [
            (entry(shape=(2,), size=4), "4 bytes at 0 for float32[2]"),
            (entry(shape=(2**40, 2**40), size=0), "shape"),
            (entry(shape=(0, 2**62), size=0), "shape"),
            (entry(shape=(2**31, 2**31, 4), size=0), "shape"),
            (entry(shape=(-1,), size=-4), "shape [-1]"),
            (entry(shape=(1,) * 33), "33 dimensions"),
            (entry(offset=-4), "4 bytes at -4"),
            (entry(shard=1), "shard 1 of 1"),
            (entry(shard=-1), "shard -1 of 1"),
            (entry(dtype=STRING, shape=(9,), size=12), "12 bytes at 0 for string[9]"),
            (number(1, FLOAT) + message(2, number(3, 1)) + number(5, 4), "dimensions"),
            (b"\x00", "protocol buffer"),
        ],
    )
    def test_an_impossible_entry_is_refused(self, wrong: bytes, why: str) -> None:
        text = refusal(bundle({b"w": wrong}, bytes(64)))
        assert "ckpt.index: w: " in text
        assert why in text

    def test_overlapping_tensors_are_refused(self) -> None:
        entries = {b"a": entry(shape=(4,)), b"b": entry(shape=(4,), offset=12)}
        assert "tensors overlap" in refusal(bundle(entries, bytes(64)))

    def test_empty_tensors_may_lie_anywhere(self) -> None:
        entries = {b"a": entry(shape=(4,)), b"b": entry(shape=(0, 3), offset=8)}
        assert len(index(bundle(entries, bytes(16)))) == 2

    def test_a_missing_shard_is_named(self) -> None:
        files = bundle({b"w": entry()})
        del files.contents[SHARD]
        with pytest.raises(IncompleteModelError, match=f"memory://m: {SHARD}: a shard .* missing"):
            index(files)

    def test_a_short_shard_is_named(self) -> None:
        with pytest.raises(IncompleteModelError, match=f"{SHARD}: a shard .* too short"):
            index(bundle({b"w": entry(shape=(3,))}, bytes(11)))

    def test_a_missing_index_is_named(self) -> None:
        with pytest.raises(IncompleteModelError, match=r"memory://m: ckpt.index: .* missing"):
            index(Files())

    def test_a_short_read_is_noticed(self) -> None:
        files = bundle({})
        with pytest.raises(IncompleteModelError, match=r"ckpt.index: a file .* too short"):
            index_checkpoint("ckpt", files.sizes, lambda *_: b"", where="m")

    def test_a_huge_index_is_not_even_read(self) -> None:
        files = Files()
        with pytest.raises(UnrecognizedFormatError, match="too large"):
            index_checkpoint("ckpt", {"ckpt.index": 2**28 + 1}, files.read, where="m")
        assert files.reads == []

    @pytest.mark.parametrize(
        ("head", "why"),
        [
            (header(endianness=1), "big-endian"),
            (header(shards=0), "no shards"),
            (header(shards=-1), "no shards"),
            (header(min_consumer=2), "later version"),
            (header() + message(3, number(3, 1)), "later version"),
            (b"\xff", "protocol buffer"),
        ],
    )
    def test_a_header_that_cannot_be_honoured_is_refused(self, head: bytes, why: str) -> None:
        assert why in refusal(bundle({}, head=head))

    def test_a_header_is_needed(self) -> None:
        assert "no header" in refusal(Files(**{"ckpt.index": table({b"w": entry()})}))


class TestSlices:
    """Tensors in several pieces."""

    LEFT, RIGHT = ((0, 2), (0, 1)), ((0, 2), (1, 3))

    def sliced(self, *slices: tuple[tuple[int, int], ...], **changes: bytes) -> Files:
        entries = {b"w": entry(shape=(2, 4), size=0, slices=slices)}
        offset = 0
        for extents in slices:
            shape = tuple(length for _, length in extents)
            made = entry(shape=shape, offset=offset)
            entries.setdefault(slice_key(b"w", extents), made)
            offset += 4 * shape[0] * shape[1]
        entries |= {key.encode("latin-1"): value for key, value in changes.items()}
        return bundle(entries, bytes(offset))

    def test_all_slices_become_one_tensor(self) -> None:
        [found] = index(self.sliced(self.LEFT, self.RIGHT))
        assert found.shape == (2, 4)
        assert [(piece.origin, piece.shape) for piece in found.pieces] == [
            ((0, 0), (2, 1)),
            ((0, 1), (2, 3)),
        ]
        assert [(piece.offset, piece.nbytes) for piece in found.pieces] == [(0, 8), (8, 24)]

    def test_a_slice_may_be_the_whole(self) -> None:
        key = slice_key(b"w", [FULL])
        entries = {
            b"w": entry(shape=(3,), size=0, slices=[[FULL]]),
            key: entry(shape=(3,)),
        }
        [found] = index(bundle(entries, bytes(12)))
        assert found.pieces[0].shape == (3,)

    @pytest.mark.parametrize(
        "slices",
        [
            (LEFT,),
            (LEFT, LEFT),
            (LEFT, RIGHT, RIGHT),
            (LEFT, ((0, 2), (2, 2))),
            (LEFT, ((0, 2), (0, 4))),
            (LEFT, ((0, 2), (1, 4))),
            (LEFT, ((0, 2), (1, -1)), ((0, 2), (0, 4))),
        ],
    )
    def test_gaps_and_overlaps_are_refused(
        self, slices: tuple[tuple[tuple[int, int], ...]]
    ) -> None:
        files = self.sliced(*slices)
        assert "its slices do not make up the tensor" in refusal(files)

    def test_slices_must_be_there_and_fit(self) -> None:
        key = slice_key(b"w", self.LEFT).decode("latin-1")
        for wrong in (entry(shape=(1, 2)), entry(shape=(2, 1), dtype=INT64)):
            text = refusal(self.sliced(self.LEFT, self.RIGHT, **{key: wrong}))
            assert "a slice does not fit its tensor" in text
        missing = bundle({b"w": entry(shape=(2,), size=0, slices=[[(0, 2)]])})
        assert "a slice is missing" in refusal(missing)
        other_rank = bundle({b"w": entry(shape=(2,), size=0, slices=[[(0, 2), (0, 1)]])})
        assert "another rank" in refusal(other_rank)

    def test_stray_slices_are_refused(self) -> None:
        files = bundle({slice_key(b"w", [(0, 2)]): entry(shape=(2,))}, bytes(8))
        assert "slices of no tensor" in refusal(files)

    @given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=3), min_size=0, max_size=3))
    def test_every_grid_tiles(self, lengths: list[list[int]]) -> None:
        blocks: list[tuple[tuple[int, int], ...]] = [()]
        for axis in lengths:
            starts = [sum(axis[:place]) for place in range(len(axis))]
            extents = sorted(set(zip(starts, axis, strict=True)))
            blocks = [(*block, extent) for block in blocks for extent in extents]
        assert tiles(blocks, [sum(axis) for axis in lengths])

    @given(
        st.integers(0, 2).flatmap(
            lambda rank: st.lists(
                st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * rank), max_size=5
            ).map(lambda blocks: (rank, blocks))
        )
    )
    def test_what_tiles_covers_every_element_once(
        self, case: tuple[int, list[tuple[tuple[int, int], ...]]]
    ) -> None:
        rank, blocks = case
        shape = (3,) * rank
        if tiles(blocks, shape):
            covered = [cell for block in blocks for cell in _cells(block)]
            assert sorted(covered) == sorted(_cells(((0, 3),) * rank))


def _cells(extents: tuple[tuple[int, int], ...]) -> list[tuple[int, ...]]:
    cells: list[tuple[int, ...]] = [()]
    for start, length in extents:
        cells = [(*cell, place) for cell in cells for place in range(start, start + length)]
    return cells


class TestStrings:
    """Tensors of strings."""

    @given(st.lists(st.binary(max_size=200), max_size=20))
    def test_strings_come_back(self, strings: list[bytes]) -> None:
        stored, checksum = string_tensor(strings)
        assert decode_strings(stored, len(strings)) == strings
        assert string_checksum(stored, len(strings)) == checksum

    def test_a_string_beyond_127_bytes(self) -> None:
        strings = [b"a" * 300, b"", b"b" * 70_000]
        assert decode_strings(string_tensor(strings)[0], 3) == strings

    def test_flipped_lengths_are_noticed(self) -> None:
        stored, _ = string_tensor([b"ab", b"c"])
        with pytest.raises(IntegrityError, match="v: the checksum of the strings' lengths"):
            decode_strings(b"\x01\x02" + stored[2:], 2, where="v")

    @pytest.mark.parametrize("count", [10**12, 12])
    def test_more_strings_than_bytes_are_refused(self, count: int) -> None:
        with pytest.raises(UnrecognizedFormatError, match="shorter than its shape says"):
            decode_strings(string_tensor([b"ab"])[0], count)

    @pytest.mark.parametrize("change", [lambda data: data + b"x", lambda data: data[:-1]])
    def test_lengths_must_add_up(self, change: Callable[[bytes], bytes]) -> None:
        with pytest.raises(UnrecognizedFormatError, match="malformed string tensor"):
            decode_strings(change(string_tensor([b"ab"])[0]), 1)


def node(
    *,
    children: dict[bytes, int] | None = None,
    key: bytes = b"",
    name: bytes = b"",
    slots: list[tuple[int, bytes, int]] | None = None,
) -> bytes:
    """A node of an object graph."""
    parts = [
        message(1, number(1, child), message(2, local)) for local, child in (children or {}).items()
    ]
    if key:
        parts.append(message(2, message(1, b"VARIABLE_VALUE"), message(2, name), message(3, key)))
    for original, word, slot in slots or []:
        parts.append(message(3, number(1, original), message(2, word), number(3, slot)))
    return message(1, *parts)


class TestObjectGraph:
    """Names and roles."""

    def described(self, graph: bytes, *keys: bytes) -> dict[str, tuple[str | None, Role]]:
        entries = {key: entry(offset=4 * place) for place, key in enumerate(keys)}
        tensors = index(with_graph(graph, entries, bytes(4 * len(keys))))
        return {
            tensor.key: (tensor.name, tensor.role)
            for tensor in tensors
            if tensor.key != GRAPH.decode()
        }

    def test_a_variable_has_its_full_name(self) -> None:
        graph = node(children={b"a": 1}) + node(key=b"a/v", name=b"dense/kernel")
        assert self.described(graph, b"a/v", b"table") == {
            "a/v": ("dense/kernel", Role.WEIGHT),
            "table": ("table", Role.OTHER),
        }

    def test_a_legacy_slot_is_named_after_its_variable(self) -> None:
        graph = (
            node(children={b"w": 1, b"opt": 2})
            + node(key=b"w", name=b"dense/kernel")
            + node(slots=[(1, b"rms", 3)])
            + node(key=b"s", name=b"whatever")
        )
        assert self.described(graph, b"w", b"s")["s"] == (
            "optimizer/velocity/dense/kernel",
            Role.OPTIMIZER,
        )

    def test_weights_under_an_optimizer_stay_weights(self) -> None:
        graph = (
            node(children={b"opt": 1})
            + node(children={b"_iterations": 2, b"_variables": 3, b"_trainable_variables": 4})
            + node(key=b"i", name=b"adam/iteration")
            + node(children={b"0": 2, b"1": 5})
            + node(children={b"0": 6})
            + node(key=b"m", name=b"adam/dense_kernel_momentum")
            + node(key=b"w", name=b"dense/kernel")
        )
        assert self.described(graph, b"i", b"m", b"w") == {
            "i": ("optimizer/iteration", Role.OPTIMIZER),
            "m": ("optimizer/momentum/dense/kernel", Role.OPTIMIZER),
            "w": ("dense/kernel", Role.WEIGHT),
        }

    def test_weights_that_an_optimizer_knows_stay_weights(self) -> None:
        graph = (
            node(children={b"model": 1, b"optimizer": 2})
            + node(children={b"w": 3})
            + node(children={b"model": 1, b"mine": 4})
            + node(key=b"w", name=b"dense/kernel")
            + node(key=b"m", name=b"mine")
        )
        assert self.described(graph, b"m", b"w") == {
            "m": ("optimizer/mine", Role.OPTIMIZER),
            "w": ("dense/kernel", Role.WEIGHT),
        }

    def test_without_a_graph_keys_are_names(self) -> None:
        entries = {
            b"dense/kernel": entry(shape=(2,)),
            b"dense/kernel/Adam": entry(shape=(2,), offset=8),
            b"dense/kernel/part": entry(offset=16),
            b"global_step": entry(dtype=INT64, offset=24),
        }
        assert [(tensor.name, tensor.role) for tensor in index(bundle(entries, bytes(32)))] == [
            ("dense/kernel", Role.WEIGHT),
            ("dense/kernel/Adam", Role.OPTIMIZER),
            ("dense/kernel/part", Role.WEIGHT),
            ("global_step", Role.OTHER),
        ]

    def test_a_very_long_name_is_left_out(self) -> None:
        graph = node(children={b"a": 1}) + node(key=b"k", name=b"n" * 5000)
        assert self.described(graph, b"k") == {"k": ("k", Role.WEIGHT)}

    def test_a_name_need_not_be_utf_8(self) -> None:
        assert self.described(node(key=b"k", name=b"\xff"), b"k") == {"k": ("\udcff", Role.WEIGHT)}

    def test_second_copies_go_only_where_they_are_copies(self) -> None:
        graph = (
            node(children={b"variables": 1, b"_all_variables": 2})
            + node(key=b"variables/0/v", name=b"dense/kernel")
            + node(key=b"_all_variables/0/v", name=b"dense/kernel")
        )
        keys = (b"variables/0/v", b"_all_variables/0/v")
        same = with_graph(
            graph, {key: entry(offset=4 * at, crc=7) for at, key in enumerate(keys)}, bytes(8)
        )
        assert [found.name for found in index(same)[1:]] == ["dense/kernel"]
        other = with_graph(
            graph, {key: entry(offset=4 * at, crc=at) for at, key in enumerate(keys)}, bytes(8)
        )
        assert len(index(other)) == 3

    def test_loops_end(self) -> None:
        graph = node(children={b"a": 0, b"optimizer": 1}) + node(children={b"b": 0, b"c": 1})
        assert self.described(graph) == {}

    @pytest.mark.parametrize(
        "graph",
        [
            node(children={b"a": 1}),
            node(children={b"a": -1}),
            node(slots=[(0, b"m", 9)]),
            node(slots=[(9, b"m", 0)]),
            b"\x0a\x05a",
        ],
    )
    def test_a_malformed_graph_is_refused(self, graph: bytes) -> None:
        assert "memory://m: _CHECKPOINTABLE_OBJECT_GRAPH: " in refusal(with_graph(graph, {}))

    @pytest.mark.parametrize(
        "graph", [b"\x0a\x00" * 1_100_000, node() + message(1, b"\x0a\x00" * 4_200_000)]
    )
    def test_a_graph_of_nothing_is_refused_fast(self, graph: bytes) -> None:
        files = with_graph(graph, {})
        start = time.process_time()
        assert "the object graph is too large" in refusal(files)
        assert time.process_time() - start < 5

    def test_a_graph_that_is_no_string_is_refused(self) -> None:
        assert "malformed object graph" in refusal(bundle({GRAPH: entry()}, bytes(4)))

    def test_a_damaged_graph_is_noticed(self) -> None:
        files = with_graph(node(key=b"k", name=b"name"), {})
        shard = files.contents[SHARD]
        for place in range(len(shard)):
            files.contents[SHARD] = shard[:place] + bytes([shard[place] ^ 4]) + shard[place + 1 :]
            with suppress(UnrecognizedFormatError), pytest.raises(IntegrityError):
                index(files)


_GRAPH = (
    node(children={b"w": 1, b"opt": 2})
    + node(key=b"w", name=b"dense/kernel")
    + node(slots=[(1, b"rms", 3)])
    + node(key=b"s", name=b"adam/dense_kernel_momentum")
)
_SLICES = (((0, 1), FULL), ((1, 1), FULL))
_STORED, _CRC = string_tensor([_GRAPH])
_ENTRIES = {
    b"": header(),
    GRAPH: entry(dtype=STRING, offset=32, size=len(_STORED), crc=_CRC),
    b"s": entry(shape=(2,)),
    b"w": entry(shape=(2, 2), size=0, slices=_SLICES),
    slice_key(b"w", _SLICES[0]): entry(shape=(1, 2), offset=8),
    slice_key(b"w", _SLICES[1]): entry(shape=(1, 2), offset=16),
}
_DATA = bytes(32) + _STORED


def attempt(files: Files) -> None:
    """Index it: well, or with an error that says where. The pieces lie in their files."""
    try:
        tensors = index(files)
    except (FormatError, IntegrityError) as error:
        assert error.where is not None  # noqa: PT017
        return
    for tensor in tensors:
        for piece in tensor.pieces:
            assert 0 <= piece.offset <= piece.offset + piece.nbytes <= files.sizes[piece.file]


MUTATIONS = settings(max_examples=300, deadline=2000)


class TestMutations:
    """Every mutation is read well or refused, fast; checksums are put right behind it."""

    @MUTATIONS
    @given(st.sampled_from(sorted(_ENTRIES)), st.data())
    def test_of_values(self, key: bytes, data: st.DataObject) -> None:
        value = mutated(_ENTRIES[key], data)
        attempt(Files(**{"ckpt.index": table({**_ENTRIES, key: value}), SHARD: _DATA}))

    @MUTATIONS
    @given(st.data())
    def test_of_blocks(self, data: st.DataObject) -> None:
        made = Table()
        handle = made.add(mutated(block_contents(sorted(_ENTRIES.items())), data))
        attempt(Files(**{"ckpt.index": made.finish([(b"z", handle)]), SHARD: _DATA}))

    @MUTATIONS
    @given(st.data())
    def test_of_the_block_of_handles(self, data: st.DataObject) -> None:
        made = Table()
        handle = made.add(block_contents(sorted(_ENTRIES.items())))
        metaindex = made.add(block_contents([]))
        handles = made.add(mutated(block_contents([(b"z", handle)]), data))
        footer = mutated((metaindex + handles).ljust(40, b"\0"), data)[:40].ljust(40, b"\0")
        magic = table({})[-8:]
        attempt(Files(**{"ckpt.index": made.data + footer + magic, SHARD: _DATA}))

    @MUTATIONS
    @given(st.data())
    def test_of_object_graphs(self, data: st.DataObject) -> None:
        attempt(with_graph(mutated(_GRAPH, data), {b"w": entry(), b"s": entry(offset=4)}, bytes(8)))

    @MUTATIONS
    @given(st.data())
    def test_of_files(self, data: st.DataObject) -> None:
        files = {"ckpt.index": table(_ENTRIES), SHARD: _DATA}
        name = data.draw(st.sampled_from(sorted(files)))
        attempt(Files(**{**files, name: mutated(files[name], data)}))

    def test_the_original_is_read(self) -> None:
        tensors = index(Files(**{"ckpt.index": table(_ENTRIES), SHARD: _DATA}))
        assert [tensor.name for tensor in tensors] == [
            GRAPH.decode(),
            "optimizer/velocity/dense/kernel",
            "dense/kernel",
        ]


def mutated(original: bytes, data: st.DataObject) -> bytes:
    """Bytes overwritten, put in or cut out at up to three places."""
    changed = bytearray(original)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(changed)))
        length = data.draw(st.integers(0, 4))
        changed[start : start + length] = data.draw(
            st.binary(max_size=4)
            | st.sampled_from([b"\xff" * 9 + b"\x01", b"\xff\xff\xff\xff\x0f"])
        )
    return bytes(changed)


def test_protobuf_is_imported_only_when_a_checkpoint_is_parsed() -> None:
    program = (
        "import sys; from remote_models.formats import _tensor_bundle;"
        "sys.exit(any(name in sys.modules for name in ('google.protobuf', 'tensorflow', 'keras')))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_large_index_is_read_in_linear_time() -> None:
    count = 20_000
    entries = {b"layer/%d/kernel" % number: entry(offset=4 * number) for number in range(count)}
    files = bundle(entries, bytes(4 * count))
    start = time.process_time()
    assert len(index(files)) == count
    assert time.process_time() - start < 10
