"""Digests: what ``sha256sum`` prints, in one spelling."""

from __future__ import annotations

import hashlib
import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote_models.digest import (
    FileHasher,
    format_digest,
    gaps_between,
    is_sha256,
    parse_digest,
    sha256_hex,
)
from remote_models.errors import ArgumentError

# FIPS 180-4 test vectors: of nothing, of "abc"
NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_digest_is_sha_256(kind: type[bytes]) -> None:
    assert sha256_hex(kind(b"")) == NOTHING
    assert sha256_hex(kind(b"abc")) == ABC


@given(st.binary(min_size=32, max_size=32))
def test_a_digest_that_is_written_is_the_one_that_is_read(data: bytes) -> None:
    assert parse_digest(format_digest(data.hex())) == data.hex()


@pytest.mark.parametrize(
    "digest",
    [
        "", ABC, f"sha256:{ABC.upper()}", f"SHA256:{ABC}", f"sha512:{ABC}", f"sha256:{ABC[1:]}",
        f"sha256:{ABC}0", f"sha256:{ABC}\n", f" sha256:{ABC}", f"sha256: {ABC[1:]}",
        f"sha256={ABC}", f"sha256:sha256:{ABC}", f"sha256:{'²' * 64}", None, 5,
        b"sha256:" + ABC.encode(),
    ],
)  # fmt: skip
def test_another_form_is_refused(digest: str) -> None:
    with pytest.raises(ArgumentError, match="64 lower-case hexadecimal digits") as caught:
        parse_digest(digest)
    assert repr(digest) in str(caught.value)


@pytest.mark.parametrize("value", [None, 1, b"", "", ABC[1:], f"{ABC}\n", "g" * 64, ABC.upper()])
def test_only_lower_case_digits_are_a_sha_256(value: object) -> None:
    assert not is_sha256(value)
    assert is_sha256(ABC)


@given(
    data=st.binary(max_size=200),
    cuts=st.lists(st.integers(0, 200), max_size=8),
    edges=st.lists(st.integers(0, 200), max_size=6, unique=True),
    block_size=st.integers(1, 40),
    seed=st.randoms(use_true_random=False),
)
def test_a_file_and_its_ranges_are_hashed_however_it_is_cut(
    data: bytes, cuts: list[int], edges: list[int], block_size: int, seed: Random
) -> None:
    inside = sorted(min(edge, len(data)) for edge in edges)
    ranges = [(start, stop - start) for start, stop in zip(inside[::2], inside[1::2], strict=False)]
    seed.shuffle(ranges)
    hasher = FileHasher(ranges, block_size=block_size)
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, stop in itertools.pairwise(bounds):
        hasher.update(data[start:stop])
    assert hasher.sha256() == hashlib.sha256(data).hexdigest()
    for index, (offset, nbytes) in enumerate(ranges):
        whole = data[offset : offset + nbytes]
        blocks = [whole[at : at + block_size] for at in range(0, nbytes, block_size)]
        assert hasher.blocks(index) == b"".join(hashlib.sha256(block).digest() for block in blocks)


@given(
    data=st.binary(max_size=100),
    cuts=st.lists(st.integers(0, 100), max_size=8),
    edges=st.lists(st.integers(0, 100), max_size=6, unique=True),
    apart=st.lists(st.tuples(st.integers(0, 110), st.integers(0, 110)), max_size=4),
)
def test_what_lies_in_no_range_is_hashed_however_it_is_cut(
    data: bytes, cuts: list[int], edges: list[int], apart: list[tuple[int, int]]
) -> None:
    inside = sorted(edges)
    ranges = [(start, stop - start) for start, stop in zip(inside[::2], inside[1::2], strict=False)]
    hasher = FileHasher(ranges, block_size=7, apart=apart)
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, stop in itertools.pairwise(bounds):
        hasher.update(data[start:stop])
    taken = {at for offset, nbytes in (*ranges, *apart) for at in range(offset, offset + nbytes)}
    rest = bytes(byte for at, byte in enumerate(data) if at not in taken)
    expected = hashlib.sha256(rest).hexdigest() if taken else None
    assert hasher.rest_sha256() == expected
    assert hasher.sha256() == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("ranges", "gaps"),
    [
        ([], [(0, None)]),
        ([(0, 0), (5, 0)], [(0, None)]),
        ([(0, 3)], [(3, None)]),
        ([(3, 2), (1, 2)], [(0, 1), (5, None)]),
        ([(1, 9), (2, 3), (12, 1)], [(0, 1), (10, 12), (13, None)]),
    ],
)
def test_gaps_lie_between_ranges(
    ranges: list[tuple[int, int]], gaps: list[tuple[int, int | None]]
) -> None:
    assert gaps_between(ranges) == gaps
