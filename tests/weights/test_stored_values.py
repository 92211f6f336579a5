"""Tensors, pieces and documents as JSON and back, and what no manifest may say."""

from __future__ import annotations

import doctest
import json
import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote_models import tensors as tensors_module
from remote_models._tensor_table import check_ranges
from remote_models.documents import StoredDocument
from remote_models.errors import ManifestError
from remote_models.tensors import (
    DIGEST_SIZE,
    DTYPE_BITS,
    MIN_BLOCK_SIZE,
    Piece,
    Role,
    StoredTensor,
    block_count,
)

Draw = Callable[[st.SearchStrategy[Any]], Any]

PATHS = st.sampled_from(["model.h5", "variables/variables.data-00000-of-00001", "ä/ b"])
TEXTS = st.text(max_size=8)
BLOCK_SIZES = st.sampled_from([MIN_BLOCK_SIZE, 1 << 20])


def piece_of(
    draw: Draw, dtype: str, origin: tuple[int, ...], shape: tuple[int, ...], block_size: int
) -> Piece:
    elements = math.prod(shape)
    nbytes = (
        elements + draw(st.integers(0, 9))
        if dtype == "string"
        else -(-elements * DTYPE_BITS[dtype] // 8)
    )
    digests = b"".join(
        bytes([draw(st.integers(0, 255))]) * DIGEST_SIZE
        for _ in range(block_count(nbytes, block_size))
    )
    return Piece(
        file=draw(PATHS),
        offset=draw(st.integers(0, 1 << 40)),
        nbytes=nbytes,
        origin=origin,
        shape=shape,
        digests=digests,
    )


@st.composite
def stored_tensors(draw: st.DrawFn, block_size: int) -> StoredTensor:
    dtype = draw(st.sampled_from([*DTYPE_BITS, "string"]))
    cuts = draw(st.lists(st.lists(st.integers(1, 90), min_size=1, max_size=3), max_size=3))
    shape = tuple(map(sum, cuts))
    if draw(st.booleans()):
        cuts = [[length] for length in shape]
    pieces = []
    for number in product(*(range(len(axis)) for axis in cuts)):
        origin = tuple(sum(axis[:at]) for axis, at in zip(cuts, number, strict=True))
        extent = tuple(axis[at] for axis, at in zip(cuts, number, strict=True))
        pieces.append(piece_of(draw, dtype, origin, extent, block_size))
    return StoredTensor(
        key=draw(TEXTS),
        name=draw(TEXTS),
        dtype=dtype,
        shape=shape,
        pieces=tuple(draw(st.permutations(pieces))),
        role=draw(st.sampled_from(Role)),
    )


@given(st.data(), BLOCK_SIZES)
def test_tensor_there_and_back(data: st.DataObject, block_size: int) -> None:
    tensor = data.draw(stored_tensors(block_size))
    written = json.loads(json.dumps(tensor.to_json()))
    assert StoredTensor.from_json(written, where="here", block_size=block_size) == tensor


@given(st.data(), BLOCK_SIZES)
def test_piece_there_and_back(data: st.DataObject, block_size: int) -> None:
    shape = (data.draw(st.integers(0, 200_000)),)
    piece = piece_of(data.draw, "uint16", (5,), shape, block_size)
    written = json.loads(json.dumps(piece.to_json()))
    assert piece == Piece.from_json(
        written, where="here", block_size=block_size, origin=(5,), shape=shape
    )


@given(
    st.builds(
        StoredDocument,
        name=TEXTS,
        file=PATHS,
        offset=st.integers(0, 1 << 62),
        nbytes=st.integers(0, 1 << 62),
        sha256=st.from_regex("[0-9a-f]{64}", fullmatch=True),
    )
)
def test_document_there_and_back(document: StoredDocument) -> None:
    written = json.loads(json.dumps(document.to_json()))
    assert StoredDocument.from_json(written, where="here") == document


def test_a_tensor_without_a_name_is_called_by_its_key() -> None:
    tensor = StoredTensor(key="k", dtype="bool", shape=(), pieces=(piece(0, 1, shape=()),))
    written = tensor.to_json()
    assert written["name"] == "k"
    assert "key" not in written


def piece(offset: int, nbytes: int, *, file: str = "f", shape: tuple[int, ...] | None = None,
          origin: tuple[int, ...] | None = None) -> Piece:  # fmt: skip
    shape = (nbytes,) if shape is None else shape
    return Piece(
        file=file,
        offset=offset,
        nbytes=nbytes,
        origin=origin or (0,) * len(shape),
        shape=shape,
        digests=bytes(DIGEST_SIZE * block_count(nbytes, MIN_BLOCK_SIZE)),
    )


def tensor_of(*pieces: Piece, shape: tuple[int, ...], dtype: str = "uint8") -> dict[str, Any]:
    return StoredTensor(key="k", name="n", dtype=dtype, shape=shape, pieces=pieces).to_json()


WHOLE = tensor_of(piece(0, 12, shape=(3, 4)), shape=(3, 4))

SLICED = tensor_of(
    piece(0, 8, shape=(2, 4)), piece(8, 4, shape=(1, 4), origin=(2, 0)), shape=(3, 4)
)


def test_the_examples_are_sound() -> None:
    for example in (WHOLE, SLICED):
        StoredTensor.from_json(example, where="here", block_size=MIN_BLOCK_SIZE)


def with_slice(number: int, **members: Any) -> dict[str, Any]:
    slices = [dict(each) for each in SLICED["slices"]]
    slices[number] |= members
    return SLICED | {"slices": slices}


REFUSED: dict[str, tuple[Any, str]] = {
    "no object": ([], "t"),
    "name": (WHOLE | {"name": 3}, "t.name"),
    "key": (WHOLE | {"key": None}, "t.key"),
    "dtype": (WHOLE | {"dtype": "float31"}, "t.dtype"),
    "dtype that is none": (WHOLE | {"dtype": ["bool"]}, "t.dtype"),
    "role": (WHOLE | {"role": "boss"}, "t.role"),
    "shape": (WHOLE | {"shape": 12}, "t.shape"),
    "negative dimension": (WHOLE | {"shape": [-3, -4]}, "t.shape[0]"),
    "true as a dimension": (WHOLE | {"shape": [3, True]}, "t.shape[1]"),
    "33 dimensions": (WHOLE | {"shape": [1] * 33}, "t.shape"),
    "too few bytes": (WHOLE | {"nbytes": 11}, "t.nbytes"),
    "too many bytes": (WHOLE | {"nbytes": 13}, "t.nbytes"),
    "fractional offset": (WHOLE | {"offset": 0.5}, "t.offset"),
    "negative offset": (WHOLE | {"offset": -1}, "t.offset"),
    "absolute path": (WHOLE | {"file": "/etc/passwd"}, "t.file"),
    "path that climbs": (WHOLE | {"file": "../f"}, "t.file"),
    "no digests": ({k: v for k, v in WHOLE.items() if k != "blocks"}, "t.blocks"),
    "empty digests": (WHOLE | {"blocks": ""}, "t.blocks"),
    "too many digests": (WHOLE | {"blocks": WHOLE["blocks"].rstrip("=") + "A" * 45}, "t.blocks"),
    "digests that are no Base64": (WHOLE | {"blocks": "*" * 44}, "t.blocks"),
    "digests that are no text": (WHOLE | {"blocks": 7}, "t.blocks"),
    "slices that are none": (SLICED | {"slices": {}}, "t.slices"),
    "no slices": (SLICED | {"slices": []}, "t.slices"),
    "one slice too few": (SLICED | {"slices": SLICED["slices"][:1]}, "t.slices"),
    "one slice twice": (SLICED | {"slices": [SLICED["slices"][0]] * 2}, "t.slices"),
    "slices that overlap": (with_slice(1, origin=[1, 0]), "t.slices"),
    "a slice outside": (with_slice(1, origin=[3, 0]), "t.slices[1]"),
    "a slice of another rank": (with_slice(1, origin=[2]), "t.slices[1]"),
    "a slice without digests": (with_slice(1, blocks=""), "t.slices[1].blocks"),
    "a string without a byte": (
        tensor_of(piece(0, 3, shape=(4,)), shape=(4,), dtype="string"),
        "t.nbytes",
    ),
    "a shape that NumPy cannot have": (
        tensor_of(piece(0, 0, shape=(1 << 62, 0)), shape=(1 << 62, 0), dtype="float32"),
        "t.shape",
    ),
}


@pytest.mark.parametrize(("entry", "where"), REFUSED.values(), ids=REFUSED)
def test_refused(entry: Any, where: str) -> None:
    with pytest.raises(ManifestError) as caught:
        StoredTensor.from_json(entry, where="t", block_size=MIN_BLOCK_SIZE)
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("member", "value"),
    [("sha256", "0" * 63), ("sha256", "A" * 64), ("name", 1), ("file", "a//b"), ("offset", "0"),
     ("nbytes", -1)],
)  # fmt: skip
def test_refused_documents(member: str, value: Any) -> None:
    sound = {"name": "n", "file": "f", "offset": 0, "nbytes": 1, "sha256": "0" * 64}
    StoredDocument.from_json(sound, where="d")
    with pytest.raises(ManifestError) as caught:
        StoredDocument.from_json(sound | {member: value}, where="d")
    assert caught.value.where == f"d.{member}"


def tensor(*pieces: Piece) -> StoredTensor:
    shape = (sum(each.nbytes for each in pieces),)
    return StoredTensor(key="k", name="n", dtype="uint8", shape=shape, pieces=pieces)


SIZES = {"f": 100, "g": 10}


@pytest.mark.parametrize(
    "tensors",
    [
        [],
        [tensor(piece(0, 100)), tensor(piece(0, 10, file="g"))],
        [tensor(piece(50, 50), piece(0, 50))],
        [tensor(piece(10, 0)), tensor(piece(0, 20)), tensor(piece(100, 0))],
    ],
)
def test_ranges_beside_each_other(tensors: Sequence[StoredTensor]) -> None:
    check_ranges(tensors, [], SIZES)


@pytest.mark.parametrize(
    ("tensors", "where"),
    [
        ([tensor(piece(0, 101))], "tensors[0].nbytes"),
        ([tensor(piece(0, 1)), tensor(piece(10, 1, file="g"))], "tensors[1].nbytes"),
        ([tensor(piece(101, 0))], "tensors[0].nbytes"),
        ([tensor(piece(0, 1, file="h"))], "tensors[0].file"),
        ([tensor(piece(10, 10)), tensor(piece(0, 11))], "tensors[0].offset"),
        ([tensor(piece(0, 100)), tensor(piece(99, 1))], "tensors[1].offset"),
        ([tensor(piece(5, 5), piece(7, 1))], "tensors[0].offset"),
        ([tensor(piece(5, 5)), tensor(piece(5, 5))], "tensors[1].offset"),
    ],
)
def test_ranges_that_cannot_be(tensors: Sequence[StoredTensor], where: str) -> None:
    with pytest.raises(ManifestError) as caught:
        check_ranges(tensors, [], SIZES)
    assert caught.value.where == where


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 5)), max_size=5))
def test_overlap_is_what_it_is(ranges: list[tuple[int, int]]) -> None:
    covered = [at for offset, nbytes in ranges for at in range(offset, offset + nbytes)]
    fits = len(covered) == len(set(covered)) and all(o + n <= 14 for o, n in ranges)
    tensors = [tensor(piece(offset, nbytes)) for offset, nbytes in ranges]
    assert fits == _passes(lambda: check_ranges(tensors, [], {"f": 14}))


def _passes(check: Callable[[], None]) -> bool:
    try:
        check()
    except ManifestError:
        return False
    return True


def document(offset: int, nbytes: int, file: str = "f") -> StoredDocument:
    return StoredDocument(name="n", file=file, offset=offset, nbytes=nbytes, sha256="0" * 64)


def test_documents_lie_in_their_files() -> None:
    check_ranges([], [document(0, 100), document(50, 50)], SIZES)
    for bad, where in [
        (document(1, 100), "documents[0].nbytes"),
        (document(0, 1, "h"), "documents[0].file"),
    ]:
        with pytest.raises(ManifestError) as caught:
            check_ranges([], [bad], SIZES)
        assert caught.value.where == where


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(tensors_module).attempted > 0
    assert doctest.testmod(tensors_module).failed == 0
