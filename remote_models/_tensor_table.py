"""The tensors and documents of a manifest as a whole: names, ranges, overlaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from remote_models._fields import array_field, malformed, size_field
from remote_models._file_entry import FileEntry
from remote_models.documents import StoredDocument
from remote_models.tensors import MIN_BLOCK_SIZE, StoredTensor

__all__ = ["check_ranges", "check_rests", "parse_documents", "parse_tensors"]


def parse_tensors(document: Mapping[str, Any]) -> tuple[Sequence[StoredTensor], int]:
    """Return the member ``tensors`` and the size of the blocks of their digests.

    Raises:
        ManifestError: a member is malformed, or a name stands twice.
    """
    entries = array_field(document.get("tensors", []), "tensors")
    if not entries:
        return (), 0
    block_size = size_field(document.get("block_size"), "block_size")
    if block_size < MIN_BLOCK_SIZE:
        raise malformed("block_size", f"at least {MIN_BLOCK_SIZE}", block_size)
    tensors = tuple(
        StoredTensor.from_json(entry, where=f"tensors[{index}]", block_size=block_size)
        for index, entry in enumerate(entries)
    )
    _refuse_twice("tensors", [tensor.label for tensor in tensors])
    return tensors, block_size


def parse_documents(document: Mapping[str, Any]) -> Sequence[StoredDocument]:
    """Return the member ``documents``.

    Raises:
        ManifestError: a member is malformed, or a name stands twice.
    """
    documents = tuple(
        StoredDocument.from_json(entry, where=f"documents[{index}]")
        for index, entry in enumerate(array_field(document.get("documents", []), "documents"))
    )
    _refuse_twice("documents", [each.name for each in documents])
    return documents


def check_ranges(
    tensors: Sequence[StoredTensor],
    documents: Sequence[StoredDocument],
    sizes: Mapping[str, int],
) -> None:
    """Hold every range against its file, and the tensors' ranges against each other.

    Args:
        tensors: The tensors of one manifest.
        documents: Its documents.
        sizes: The size of every file by path.

    Raises:
        ManifestError: a range leaves its file, or two tensors share bytes.
    """
    for index, document in enumerate(documents):
        where = f"documents[{index}]"
        _check_range(where, document.file, document.offset + document.nbytes, sizes)
    ranges = []
    for index, tensor in enumerate(tensors):
        for piece in tensor.pieces:
            _check_range(f"tensors[{index}]", piece.file, piece.stop, sizes)
            if piece.nbytes:
                ranges.append((piece.file, piece.offset, piece.stop, index))
    ranges.sort()
    for before, after in pairwise(ranges):
        if before[0] == after[0] and after[1] < before[2]:
            raise malformed(
                f"tensors[{after[3]}].offset", f"no overlap with tensors[{before[3]}]", after[1]
            )


def check_rests(
    tensors: Sequence[StoredTensor],
    documents: Sequence[StoredDocument],
    files: Sequence[FileEntry],
) -> None:
    """Hold that each file with tensors or documents in it has a digest of its other bytes.

    Raises:
        ManifestError: one has none.
    """
    filled = {piece.file for tensor in tensors for piece in tensor.pieces if piece.nbytes}
    filled |= {document.file for document in documents if document.nbytes}
    for index, entry in enumerate(files):
        if entry.rest_sha256 is None and entry.path in filled:
            raise malformed(f"files[{index}].rest_sha256", "64 lower-case hexadecimal digits", None)


def _refuse_twice(member: str, names: Sequence[str]) -> None:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            raise malformed(f"{member}[{index}].name", "no name twice", name)
        seen.add(name)


def _check_range(where: str, file: str, stop: int, sizes: Mapping[str, int]) -> None:
    if file not in sizes:
        raise malformed(f"{where}.file", "a path in files", file)
    if stop > sizes[file]:
        raise malformed(f"{where}.nbytes", f"a range inside {sizes[file]} bytes", f"up to {stop}")
