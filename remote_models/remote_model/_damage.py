"""Say what of a damaged file is damaged."""

from __future__ import annotations

from pathlib import Path

from remote_models.digest import FileHasher, sha256_hex
from remote_models.manifest import FileEntry, Manifest

__all__ = ["name_damage"]

_CHUNK = 8 * 1024 * 1024

_SHOWN = 3
"""Tensors and documents that are named."""


def name_damage(copy: Path, manifest: Manifest, entry: FileEntry) -> str | None:
    """Return which tensors and documents, or what else, differ in a copy of a file.

    ``None`` where the manifest knows nothing but the whole.
    """
    pieces = [
        (tensor.label, piece)
        for tensor in manifest.tensors
        for piece in tensor.pieces
        if piece.file == entry.path
    ]
    documents = [each for each in manifest.documents if each.file == entry.path]
    hasher = FileHasher(
        [(piece.offset, piece.nbytes) for _, piece in pieces],
        block_size=manifest.block_size or 1,
        apart=[(each.offset, each.nbytes) for each in documents],
    )
    with copy.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
        damaged = [
            f"tensor {label}"
            for number, (label, piece) in enumerate(pieces)
            if hasher.blocks(number) != piece.digests
        ]
        for each in documents:
            file.seek(each.offset)
            if sha256_hex(file.read(each.nbytes)) != each.sha256:
                damaged.append(each.name)
    rest = hasher.rest_sha256()
    if rest is not None and entry.rest_sha256 is not None and rest != entry.rest_sha256:
        damaged.append("the file's structure")
    if len(damaged) > _SHOWN:
        damaged[_SHOWN:] = [f"{len(damaged) - _SHOWN} more"]
    return ", ".join(damaged) or None
