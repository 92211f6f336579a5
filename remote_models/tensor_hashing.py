"""Hash an artifact's files, the tensors inside them and what is around these in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from remote_models.digest import FileHasher
from remote_models.documents import StoredDocument
from remote_models.tensors import StoredTensor, choose_block_size

__all__ = ["ArtifactHasher"]


class ArtifactHasher:
    """Gives each file a hasher that knows the tensors in it.

    Args:
        tensors: The artifact's tensors, as its index describes them.
        documents: Its documents, whose bytes have digests of their own.

    Attributes:
        block_size: Bytes per block of the digests; 0 without tensors.
    """

    def __init__(
        self, tensors: Sequence[StoredTensor], documents: Sequence[StoredDocument] = ()
    ) -> None:
        self._tensors = tensors
        total = sum(tensor.nbytes for tensor in tensors)
        self.block_size = choose_block_size(total) if tensors else 0
        self._hashers: dict[str, FileHasher] = {}
        self._documents = documents
        self._places: dict[str, list[tuple[int, int]]] = {}
        for index, tensor in enumerate(tensors):
            for number, piece in enumerate(tensor.pieces):
                self._places.setdefault(piece.file, []).append((index, number))

    def of_file(self, path: str) -> FileHasher:
        """Return a new hasher for the file at ``path``; feed it the whole file."""
        pieces = [self._tensors[i].pieces[n] for i, n in self._places.get(path, ())]
        hasher = FileHasher(
            [(piece.offset, piece.nbytes) for piece in pieces],
            block_size=self.block_size,
            apart=[(each.offset, each.nbytes) for each in self._documents if each.file == path],
        )
        self._hashers[path] = hasher
        return hasher

    def tensors(self) -> Sequence[StoredTensor]:
        """Return the tensors with their digests, once every file has passed."""
        digests = {
            place: self._hashers[path].blocks(position)
            for path, places in self._places.items()
            for position, place in enumerate(places)
        }
        return tuple(
            replace(
                tensor,
                pieces=tuple(
                    replace(piece, digests=digests[index, number], masked_crc32c=None)
                    for number, piece in enumerate(tensor.pieces)
                ),
            )
            for index, tensor in enumerate(self._tensors)
        )
