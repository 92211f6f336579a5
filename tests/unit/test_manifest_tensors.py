"""Tensors and documents in a manifest: what is written is what is read; rules that are broken."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remote_models.documents import StoredDocument
from remote_models.errors import ManifestError
from remote_models.manifest import Manifest, StoredManifest
from remote_models.tensors import MIN_BLOCK_SIZE, Piece, StoredTensor, choose_block_size
from unit.manifest_samples import (
    BLOCK_SIZE,
    DATA,
    HEX,
    LONGEST_MESSAGE,
    LOOSE,
    accept_or_refuse,
    blocks,
    canonical,
    document,
    encode,
    manifests,
    read_current,
    sealed,
    tensor_document,
    with_described,
    with_slice,
    with_tensor,
    without,
    without_in_tensor,
)


@settings(max_examples=50)
@given(manifests())
def test_a_tensor_that_is_written_is_the_one_that_is_read(manifest: Manifest) -> None:
    for tensor in manifest.tensors:
        again = StoredTensor.from_json(
            tensor.to_json(), where="tensors[0]", block_size=manifest.block_size
        )
        assert again == tensor
        assert again.to_json() == tensor.to_json()
    for each in manifest.documents:
        assert StoredDocument.from_json(each.to_json(), where="documents[0]") == each


def test_a_tensor_without_a_name_is_written_with_its_key() -> None:
    piece = Piece(file="f", offset=0, nbytes=0, origin=(0,), shape=(0,))
    nameless = StoredTensor(key="k", dtype="bool", shape=(0,), pieces=(piece,))
    entry = nameless.to_json()
    assert (entry["name"], "key" in entry) == ("k", False)
    again = StoredTensor.from_json(entry, where="t", block_size=BLOCK_SIZE)
    assert (again.name, again.key) == ("k", "k")


def test_a_block_size_without_tensors_is_ignored_and_kept() -> None:
    for odd in (0, None, "x"):
        manifest = read_current(document(block_size=odd, tensors=[]))
        assert (manifest.tensors, manifest.block_size) == ((), 0)
        assert manifest.to_json()["block_size"] == odd


def test_a_tensor_with_slices_has_no_range_of_its_own() -> None:
    whole = with_tensor(2, file="../..", offset=-1)
    assert read_current(whole).tensors == read_current(tensor_document()).tensors


def test_the_block_size_is_the_smallest_that_makes_about_a_thousand_blocks() -> None:
    assert choose_block_size(0) == MIN_BLOCK_SIZE == BLOCK_SIZE
    assert choose_block_size(1024 * BLOCK_SIZE) == BLOCK_SIZE
    assert choose_block_size(1024 * BLOCK_SIZE + 1) == 2 * BLOCK_SIZE
    assert choose_block_size(10**12) == 2**30


# Every rule broken once


def sliced(shape: list[int], *extents: tuple[list[int], list[int]]) -> dict[str, Any]:
    """Return a document whose embedding, of bytes, consists of such slices: origin and shape."""
    offset = 200_004
    slices = []
    for origin, extent in extents:
        nbytes = math.prod(extent)
        slices.append(
            {"origin": origin, "shape": extent, "file": DATA, "offset": offset, "nbytes": nbytes,
             "blocks": blocks(1 if nbytes else 0)}
        )  # fmt: skip
        offset += nbytes
    return with_tensor(2, shape=shape, dtype="int8", slices=slices)


TENSOR_RULES: Mapping[str, tuple[object, str]] = {
    "block_size absent": (without(tensor_document(), "block_size"), "block_size"),
    "block_size text": (tensor_document() | {"block_size": "65536"}, "block_size"),
    "block_size true": (tensor_document() | {"block_size": True}, "block_size"),
    "block_size too small": (tensor_document() | {"block_size": BLOCK_SIZE - 1}, "block_size"),
    "block_size too large": (tensor_document() | {"block_size": 2**63}, "block_size"),
    "tensors object": (tensor_document() | {"tensors": {}}, "tensors"),
    "tensors null": (tensor_document() | {"tensors": None}, "tensors"),
    "tensor text": (tensor_document() | {"tensors": ["x"]}, "tensors[0]"),
    **{
        f"no {name}": (without_in_tensor(0, name), f"tensors[0].{name}")
        for name in ("name", "role", "dtype", "shape", "file", "offset", "nbytes", "blocks")
    },
    "name number": (with_tensor(1, name=1), "tensors[1].name"),
    "name twice": (with_tensor(1, name="dense/kernel"), "tensors[1].name"),
    "key null": (with_tensor(1, key=None), "tensors[1].key"),
    "role unknown": (with_tensor(1, role="bias"), "tensors[1].role"),
    "role list": (with_tensor(1, role=["other"]), "tensors[1].role"),
    "dtype unknown": (with_tensor(1, dtype="float80"), "tensors[1].dtype"),
    "dtype of NumPy's": (with_tensor(1, dtype="<i4"), "tensors[1].dtype"),
    "dtype of objects": (with_tensor(1, dtype="object"), "tensors[1].dtype"),
    "shape number": (with_tensor(1, shape=1), "tensors[1].shape"),
    "shape null": (with_tensor(1, shape=None), "tensors[1].shape"),
    "shape negative": (with_tensor(0, shape=[50_000, -1]), "tensors[0].shape[1]"),
    "shape fraction": (with_tensor(0, shape=[50_000.0, 1]), "tensors[0].shape[0]"),
    "shape of 33 dimensions": (with_tensor(1, shape=[1] * 33), "tensors[1].shape"),
    "shape too large": (with_tensor(0, shape=[2**40, 2**40]), "tensors[0].shape"),
    "shape too large though empty": (with_tensor(0, shape=[2**62, 0]), "tensors[0].shape"),
    "file unsafe": (with_tensor(1, file="../x"), "tensors[1].file"),
    "file unknown": (with_tensor(1, file="absent"), "tensors[1].file"),
    "offset negative": (with_tensor(1, offset=-1), "tensors[1].offset"),
    "nbytes text": (with_tensor(1, nbytes="4"), "tensors[1].nbytes"),
    "nbytes too few": (with_tensor(1, nbytes=3), "tensors[1].nbytes"),
    "nbytes too many": (with_tensor(1, nbytes=5), "tensors[1].nbytes"),
    "nbytes fewer than strings": (with_tensor(3, nbytes=1), "tensors[3].nbytes"),
    "beyond the file": (with_tensor(1, offset=299_997), "tensors[1].nbytes"),
    "an overlap": (with_tensor(1, offset=199_999), "tensors[1].offset"),
    "an overlap with a slice": (with_tensor(1, offset=200_005), "tensors[1].offset"),
    "blocks number": (with_tensor(1, blocks=1), "tensors[1].blocks"),
    "blocks no Base64": (with_tensor(1, blocks="*" * 44), "tensors[1].blocks"),
    "blocks of the URL's Base64": (
        with_tensor(1, blocks=base64.urlsafe_b64encode(b"\xfb" * 32).decode()), "tensors[1].blocks"
    ),
    "blocks without padding": (with_tensor(1, blocks=blocks(1)[:-1]), "tensors[1].blocks"),
    "blocks with white space": (with_tensor(1, blocks=f"{blocks(1)}\n"), "tensors[1].blocks"),
    "blocks too few": (with_tensor(0, blocks=blocks(3)), "tensors[0].blocks"),
    "blocks too many": (with_tensor(0, blocks=blocks(5)), "tensors[0].blocks"),
    "blocks hexadecimal": (with_tensor(1, blocks=HEX), "tensors[1].blocks"),
    "slices object": (with_tensor(2, slices={}), "tensors[2].slices"),
    "slices null": (with_tensor(2, slices=None), "tensors[2].slices"),
    "no slices": (with_tensor(2, slices=[]), "tensors[2].slices"),
    "slice text": (with_tensor(2, slices=["x"]), "tensors[2].slices[0]"),
    "slice origin number": (with_slice(origin=0), "tensors[2].slices[1].origin"),
    "slice origin negative": (with_slice(origin=[0, -1]), "tensors[2].slices[1].origin[1]"),
    "slice shape null": (with_slice(shape=None), "tensors[2].slices[1].shape"),
    "slice of fewer dimensions": (with_slice(origin=[0], shape=[2]), "tensors[2].slices[1]"),
    "slice beyond the tensor": (with_slice(origin=[0, 1]), "tensors[2].slices[1]"),
    "slice nbytes": (with_slice(nbytes=3), "tensors[2].nbytes"),
    "slice offset": (with_slice(offset=True), "tensors[2].slices[1].offset"),
    "slice file": (with_slice(file="/x"), "tensors[2].slices[1].file"),
    "slice blocks": (with_slice(blocks=""), "tensors[2].slices[1].blocks"),
    "slice twice": (with_slice(origin=[1, 0]), "tensors[2].slices"),
    "a slice's bytes twice": (with_slice(offset=200_004), "tensors[2].offset"),
    "a gap": (sliced([3], ([0], [1]), ([2], [1])), "tensors[2].slices"),
    "an overlap of slices": (sliced([3], ([0], [2]), ([1], [2])), "tensors[2].slices"),
    "as many elements, elsewhere": (
        sliced([2, 2], ([0, 0], [2, 1]), ([0, 0], [1, 2])), "tensors[2].slices"
    ),
    "documents object": (tensor_document() | {"documents": {}}, "documents"),
    "documents null": (tensor_document() | {"documents": None}, "documents"),
    "document text": (tensor_document() | {"documents": ["x"]}, "documents[0]"),
    "document name number": (with_described(name=1), "documents[1].name"),
    "document name twice": (with_described(name="model_config"), "documents[1].name"),
    "document file unsafe": (with_described(file="a\\b"), "documents[1].file"),
    "document file unknown": (with_described(file="absent"), "documents[1].file"),
    "document offset": (with_described(offset=None), "documents[1].offset"),
    "document nbytes": (with_described(nbytes=-1), "documents[1].nbytes"),
    "document beyond the file": (with_described(offset=51), "documents[1].nbytes"),
    "document sha256": (with_described(sha256=HEX.upper()), "documents[1].sha256"),
    "document without sha256": (with_described(sha256=None), "documents[1].sha256"),
}  # fmt: skip


@pytest.mark.parametrize("rule", TENSOR_RULES)
def test_a_broken_rule_of_tensors_is_refused_and_named(rule: str) -> None:
    value, field = TENSOR_RULES[rule]
    for whole in (value, sealed(value)):
        with pytest.raises(ManifestError) as caught:
            StoredManifest.from_bytes(canonical(whole), where="s3://b/m")
        assert caught.value.where == f"s3://b/m ({field})"
        assert len(str(caught.value)) < LONGEST_MESSAGE
        pending = {"schema": 2, "pending": [whole]}
        with pytest.raises(ManifestError) as caught:
            StoredManifest.from_bytes(canonical(pending), where="s3://b/m")
        assert caught.value.where == f"s3://b/m (pending[0].{field})"


@pytest.mark.parametrize(
    "value",
    [
        tensor_document(),
        with_tensor(1, later=1),
        with_tensor(1, offset=299_986),
        with_tensor(3, nbytes=2),
        with_described(nbytes=0, offset=300),
        sliced([3], ([2], [1]), ([0], [2])),
        sliced([2, 3], ([0, 0], [1, 1]), ([0, 1], [1, 2]), ([1, 0], [1, 3])),
        sliced([2, 0], ([0, 0], [2, 0])),
    ],
    ids=range(8),
)  # fmt: skip
def test_tensors_that_break_no_rule_are_read(value: dict[str, Any]) -> None:
    manifest = read_current(value)
    assert manifest.to_json() == value
    assert [each.label for each in manifest.tensors] == [e["name"] for e in value["tensors"]]
    assert [each.to_json() for each in manifest.documents] == value["documents"]


TENSOR_MEMBERS = st.sampled_from(
    ["name", "key", "role", "dtype", "shape", "file", "offset", "nbytes", "blocks", "slices",
     "origin", "sha256"]
)  # fmt: skip
NUMBERS = st.integers(-1, 5) | st.sampled_from([2**31, 2**62, 2**63 - 1, 2**63])


@given(
    st.sampled_from(["tensors", "documents"]),
    st.integers(0, 3),
    st.dictionaries(TENSOR_MEMBERS, LOOSE | NUMBERS | st.lists(NUMBERS, max_size=3), max_size=3),
)
def test_tensors_with_random_members_are_a_manifest_or_refused(
    table: str, index: int, members: dict[str, Any]
) -> None:
    for inside in (False, True):
        value = tensor_document()
        entry = value[table][index % len(value[table])]
        for place in entry.get("slices", [entry]) if inside else [entry]:
            place.update(members)
        accept_or_refuse(encode(value))
