"""Digests of files and blocks, in one pass, against hashing each by itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from remote_models.digest import FileHasher
from remote_models.tensor_hashing import ArtifactHasher
from remote_models.tensors import MIN_BLOCK_SIZE, Piece, StoredTensor, choose_block_size
from weights.artifacts import block_digests

DATA = hashlib.shake_256(b"some bytes").digest(400)


@st.composite
def disjoint_ranges(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Ranges of DATA, empty ones among them, in any order."""
    edges = sorted(draw(st.lists(st.integers(0, len(DATA)), max_size=12)))
    ranges = [(start, stop - start) for start, stop in zip(edges[::2], edges[1::2], strict=False)]
    return draw(st.permutations(ranges))


def chunks(sizes: list[int]) -> Iterator[bytes]:
    """DATA in chunks of these sizes, and then in one."""
    position = 0
    for size in sizes:
        yield DATA[position : position + size]
        position += size
    yield DATA[position:]


@given(disjoint_ranges(), st.lists(st.integers(0, 60), max_size=20), st.integers(1, 80))
def test_whole_and_blocks(ranges: list[tuple[int, int]], sizes: list[int], block_size: int) -> None:
    hasher = FileHasher(ranges, block_size=block_size)
    for chunk in chunks(sizes):
        hasher.update(chunk)
    assert hasher.sha256() == hashlib.sha256(DATA).hexdigest()
    for index, (offset, nbytes) in enumerate(ranges):
        assert hasher.blocks(index) == block_digests(DATA[offset : offset + nbytes], block_size)


def test_a_view_does_as_well() -> None:
    hasher = FileHasher([(1, 9)], block_size=4)
    hasher.update(memoryview(bytearray(DATA)))
    assert hasher.blocks(0) == block_digests(DATA[1:10], 4)


@given(disjoint_ranges(), disjoint_ranges(), st.lists(st.integers(0, 60), max_size=20))
def test_artifact_of_two_files(
    first: list[tuple[int, int]], second: list[tuple[int, int]], sizes: list[int]
) -> None:
    places = [("a", *each) for each in first] + [("b", *each) for each in second]
    pieces = [
        Piece(
            file=file, offset=offset, nbytes=nbytes, origin=(0,), shape=(nbytes,), masked_crc32c=7
        )
        for file, offset, nbytes in places
    ]
    # Every tensor has two pieces, which may lie in different files.
    tensors = [
        StoredTensor(key=str(n), dtype="uint8", shape=(n,), pieces=tuple(pieces[n : n + 2]))
        for n in range(0, len(pieces), 2)
    ]
    hashers = ArtifactHasher(tensors)
    for file in ("b", "a"):
        hasher = hashers.of_file(file)
        for chunk in chunks(sizes):
            hasher.update(chunk)
        assert hasher.sha256() == hashlib.sha256(DATA).hexdigest()
    found = hashers.tensors()
    assert [tensor.key for tensor in found] == [tensor.key for tensor in tensors]
    for piece in (piece for tensor in found for piece in tensor.pieces):
        content = DATA[piece.offset : piece.offset + piece.nbytes]
        assert piece.digests == block_digests(content, hashers.block_size)
        assert piece.masked_crc32c is None  # what vouches from now on is the manifest


def test_block_size_without_tensors() -> None:
    hashers = ArtifactHasher([])
    hashers.of_file("a").update(DATA)
    assert hashers.block_size == 0
    assert hashers.tensors() == ()


@given(st.integers(0, 1 << 45))
def test_blocks_are_a_thousand_at_most_and_no_smaller_than_needed(nbytes: int) -> None:
    size = choose_block_size(nbytes)
    assert size & (size - 1) == 0
    assert size >= MIN_BLOCK_SIZE
    assert nbytes <= 1024 * size
    assert size == MIN_BLOCK_SIZE or nbytes > 512 * size
