"""Lazy weights: a mapping of names to tensors whose bytes are read on demand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from remote_models.errors import TensorNotFoundError
from remote_models.remote_model._tensor_reader import Companion, Selection, TensorReader
from remote_models.tensors import Role, StoredTensor

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    from remote_models.formats.indexing import Index
    from remote_models.manifest import Manifest
    from remote_models.remote_model._folder import ArtifactFolder

__all__ = [
    "RemoteTensor",
    "TensorSelector",
    "Weights",
    "open_weights",
    "stored_tensors",
    "vouched_weights",
]

TensorSelector = str | Iterable[str] | Callable[["RemoteTensor"], bool] | None
"""Which tensors: a name or a prefix, several, a predicate, or all of them (``None``)."""


class RemoteTensor:
    """A stored tensor: its description is here, its bytes are in the store.

    ``np.asarray(tensor)`` reads all of it; ``tensor[...]`` reads the rows that an index
    along the first axis needs: integers, slices, an ellipsis, and integer or boolean
    arrays. What is read is compared with the manifest block by block before it is
    handed out. Pickling carries the address, not the bytes.

    Attributes:
        name: As in ``conv1/kernel`` (docs/names.md).
        key: Its name inside the file.
        role: What it is for.
        shape: Its shape.
        dtype: The NumPy dtype of what a read returns; ``object`` (``bytes``) for strings.
    """

    def __init__(self, entry: StoredTensor, reader: TensorReader) -> None:
        self._entry = entry
        self._reader = reader

    @property
    def name(self) -> str:
        """The framework's name for the tensor, or its key where there is none."""
        return self._entry.label

    @property
    def key(self) -> str:
        """The tensor's name inside the file."""
        return self._entry.key

    @property
    def role(self) -> Role:
        """What the tensor is for."""
        return self._entry.role

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape."""
        return self._entry.shape

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._entry.size

    @property
    def nbytes(self) -> int:
        """The bytes that the tensor takes in the store."""
        return self._entry.nbytes

    @property
    def dtype_name(self) -> str:
        """The logical dtype, as in ``bfloat16``; needs no package to be known."""
        return self._entry.dtype

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype.

        Raises:
            MissingDependencyError: NumPy does not know it and ml_dtypes is not installed.
        """
        return self._reader.numpy_dtype(self._entry)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Read the whole tensor.

        Raises:
            IntegrityError: the bytes are not those that the manifest vouches for, or
                nothing vouches for them.
            StorageError: the store refused or failed.
        """
        if copy is False:
            raise ValueError("a remote tensor has to be read, which makes a copy")
        array: NDArray[Any] = self._reader.read(Selection(self._entry))
        return array if dtype is None else array.astype(dtype, copy=False)

    def __getitem__(self, index: Any) -> Any:
        """Read what an index selects; only the rows that it needs move.

        Raises:
            IndexError: the index is out of bounds or of a kind that is not supported.
            IntegrityError: as for the whole tensor.
            StorageError: the store refused or failed.
        """
        return self._reader.read(Selection(self._entry, index))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a tensor without dimensions")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        # Row by row would be a request each; NumPy would do that without a word.
        return iter(np.asarray(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return _tensor_of, (self._reader.owner, self.name)

    def __repr__(self) -> str:
        return f"RemoteTensor({self.name!r}, shape={self.shape}, dtype={self.dtype_name!r})"


class Weights(Mapping[str, RemoteTensor]):
    """The tensors of an artifact by name, in the order in which they lie in it.

    Iterating and looking up cost no request. A tensor is found by its key, too.
    """

    def __init__(self, entries: Collection[StoredTensor], reader: TensorReader) -> None:
        self._reader = reader
        ordered = sorted(entries, key=lambda entry: entry.role is Role.OTHER)  # weights first
        self._tensors = {entry.label: RemoteTensor(entry, reader) for entry in ordered}
        self._by_key = {entry.key: entry.label for entry in entries}

    def __getitem__(self, name: str) -> RemoteTensor:
        """Return the tensor called ``name``.

        Raises:
            TensorNotFoundError: there is none; the message names similar ones.
        """
        label = name if name in self._tensors else self._by_key.get(name)
        if label is None:
            raise self._unknown(name)
        return self._tensors[label]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __reduce__(self) -> tuple[Any, ...]:
        return _weights_of, (self._reader.owner,)

    def __repr__(self) -> str:
        return f"<Weights: {len(self)} tensors, {sum(t.nbytes for t in self.values())} bytes>"

    def select(self, selector: TensorSelector = None) -> list[RemoteTensor]:
        """Return the tensors that ``selector`` means; no request is made.

        Args:
            selector: A name; a prefix at a ``/`` (``"encoder"`` means ``encoder/…``);
                several of these; a predicate on a tensor; or ``None`` for all.

        Raises:
            TensorNotFoundError: a name or prefix means nothing.
        """
        if selector is None:
            return list(self.values())
        if callable(selector):
            return [tensor for tensor in self.values() if selector(tensor)]
        words = [selector] if isinstance(selector, str) else list(selector)
        chosen = {tensor.name: tensor for word in words for tensor in self._meant(word)}
        return list(chosen.values())

    def fetch(self, selector: TensorSelector = None) -> dict[str, NDArray[Any]]:
        """Read many tensors at once: neighbours in one request, requests in parallel.

        Args:
            selector: As in :meth:`select`.

        Returns:
            Name to array, in the order of :meth:`select`.

        Raises:
            TensorNotFoundError: a name or prefix means nothing.
            IntegrityError: the bytes are not those that the manifest vouches for, or
                nothing vouches for them.
            StorageError: the store refused or failed.
        """
        chosen = self.select(selector)
        arrays = dict(self._stream(chosen))
        return {tensor.name: arrays[tensor.name] for tensor in chosen}

    def stream(self, selector: TensorSelector = None) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield ``(name, array)`` as the tensors arrive, in whatever order; else as :meth:`fetch`.

        Only what is under way is held in memory.
        """
        return self._stream(self.select(selector))

    def check(self, selector: TensorSelector = None) -> None:
        """Compare tensors with the manifest, and hand out nothing; else as :meth:`fetch`."""
        self._reader.check([tensor._entry for tensor in self.select(selector)])  # noqa: SLF001

    def _stream(self, chosen: list[RemoteTensor]) -> Iterator[tuple[str, NDArray[Any]]]:
        entries = [tensor._entry for tensor in chosen]  # noqa: SLF001 - one class in two halves
        for index, array in self._reader.read_many(entries):
            yield chosen[index].name, array

    def _meant(self, word: str) -> list[RemoteTensor]:
        if not isinstance(word, str):
            raise self._unknown(word)
        if word in self._tensors or word in self._by_key:
            return [self[word]]
        prefix = f"{word.rstrip('/')}/"
        found = [tensor for name, tensor in self._tensors.items() if name.startswith(prefix)]
        if not found:
            raise self._unknown(word)
        return found

    def _unknown(self, name: str) -> TensorNotFoundError:
        import difflib

        near = difflib.get_close_matches(str(name), self._tensors, n=3)
        return TensorNotFoundError(
            "no tensor has this name",
            where=self._reader.where,
            found=repr(name),
            hint=f"Did you mean {' or '.join(map(repr, near))}?" if near else None,
        )


def open_weights(
    owner: object,
    folder: ArtifactFolder,
    files: Collection[str],
    manifest: Manifest | None,
    index_now: Callable[[], Index],
    *,
    etags: Mapping[str, str],
    verify: bool,
) -> Weights:
    """Return the weights of an artifact, from its manifest or from an index made now.

    Args:
        owner: The opened artifact, whose ``weights`` these are.
        folder: Where its files lie.
        files: Their relative paths.
        manifest: What vouches for them, if there is a manifest.
        index_now: Builds the index where there is none.
        etags: What the store said of the files when the index was made from them.
        verify: Whether bytes that nothing vouches for are refused.

    Raises:
        FormatError: there is no manifest, and the files are damaged or no model's.
        StorageError: the store refused or failed.
    """
    if manifest is not None:
        return vouched_weights(owner, folder, manifest, verify=verify)
    reader = TensorReader(
        owner=owner,
        where=str(folder),
        store=folder.store,
        files={path: folder.file(path) for path in files},
        versions={},
        etags=etags,
        block_size=1,
        verify=verify,
    )
    return Weights(index_now().tensors, reader)


def vouched_weights(
    owner: object,
    folder: ArtifactFolder,
    manifest: Manifest,
    *,
    verify: bool = True,
    companion: Companion | None = None,
) -> Weights:
    """Return the weights that a manifest vouches for.

    Args:
        owner: The opened artifact, whose ``weights`` these are.
        folder: Where its files lie.
        manifest: What it consists of.
        verify: Whether tensors without digests are refused.
        companion: What is read along with tensors, and is told which have been.
    """
    reader = TensorReader(
        owner=owner,
        where=str(folder),
        store=folder.store,
        files={entry.path: folder.file(entry.path) for entry in manifest.files},
        versions={entry.path: entry.version for entry in manifest.files if entry.version},
        etags={},
        block_size=manifest.block_size or 1,
        verify=verify,
        companion=companion,
    )
    return Weights(manifest.tensors, reader)


def stored_tensors(weights: Weights) -> tuple[Mapping[str, StoredTensor], TensorReader]:
    """Return where each tensor lies, by its name, and what reads it."""
    entries = {name: tensor._entry for name, tensor in weights.items()}  # noqa: SLF001
    return entries, weights._reader  # noqa: SLF001 - as in its own class


def _weights_of(owner: Any) -> Weights:
    weights: Weights = owner.weights
    return weights


def _tensor_of(owner: Any, name: str) -> RemoteTensor:
    tensor: RemoteTensor = owner.weights[name]
    return tensor
