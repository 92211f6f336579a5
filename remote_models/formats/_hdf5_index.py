"""The index of Keras' HDF5 files: every tensor with its name and its range of bytes.

Keras writes contiguous, uncompressed datasets only, so that each tensor is one range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from remote_models.errors import FormatError
from remote_models.formats._architecture import (
    MAX_ARCHITECTURE_BYTES,
    container_names,
    has_bfloat16_variables,
    parse_architecture,
)
from remote_models.formats._hdf5_text import Texts
from remote_models.formats._hdf5_walk import (
    Dataset,
    Hdf5Tree,
    Skipped,
    address_of,
    open_hdf5,
    text_attributes,
    walk_hdf5,
)
from remote_models.formats._legacy_names import name_legacy_tensors
from remote_models.formats._names import unique_names
from remote_models.formats._numbered_names import name_numbered_tensors
from remote_models.tensors import Piece, StoredTensor

if TYPE_CHECKING:
    import h5py

__all__ = ["Index", "architecture_of_hdf5", "index_hdf5", "stored_tensor"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Index:
    """What an artifact's files hold.

    Attributes:
        tensors: Those that can be read by ranges, each with a name of its own.
        skipped: What else is there, and why it cannot be. Keras itself writes nothing
            of the kind, so for an own save this is empty.
    """

    tensors: Sequence[StoredTensor]
    skipped: Sequence[Skipped]


def index_hdf5(
    file: IO[bytes],
    path: str,
    size: int,
    *,
    where: str,
    base: int = 0,
    architecture: Mapping[str, Any] | None = None,
) -> Index:
    """Index a legacy ``.h5`` of either kind, a ``.weights.h5``, or any other HDF5 file.

    A dataset that no plain range can hold (chunked, compressed, external, virtual,
    big-endian, text) is skipped, not an error: the others can still be read.

    Args:
        file: The HDF5 file.
        path: What the tensors' pieces name as their file.
        size: The size of the HDF5 file.
        where: Its name, for messages.
        base: Where it begins in the file that ``path`` names; added to every offset.
        architecture: The model's configuration, from which variables that are only
            numbered get their names. A legacy file holds its own.

    Raises:
        FormatError: it is damaged, or too large in a way that no model is.
        UnsafeFormatError: two datasets share bytes.
    """
    with open_hdf5(file, where=where) as root:
        texts = text_attributes(file, root, where=where)
        architecture = architecture or _architecture(root, texts, where)
        opaque_is_bfloat16 = architecture is not None and has_bfloat16_variables(architecture)
        tree = walk_hdf5(root, texts, size, where=where, opaque_is_bfloat16=opaque_is_bfloat16)
    tensors = [stored_tensor(each, path, base) for each in tree.datasets]
    return Index(tensors=unique_names(_named(tensors, tree, architecture)), skipped=tree.skipped)


def architecture_of_hdf5(file: IO[bytes], *, where: str) -> dict[str, Any] | None:
    """Return the configuration that a whole-model ``.h5`` holds.

    It is the JSON object ``model_config``; the member ``training_config`` is added to it
    if the model was compiled.

    Returns:
        The configuration, or ``None`` for a file of weights.

    Raises:
        FormatError: the file or the configuration is damaged.
    """
    with open_hdf5(file, where=where) as root:
        return _architecture(root, text_attributes(file, root, where=where), where)


def stored_tensor(dataset: Dataset, path: str, base: int) -> StoredTensor:
    """Return a dataset as a tensor without a name."""
    return StoredTensor(
        key=dataset.key,
        dtype=dataset.dtype,
        shape=dataset.shape,
        pieces=(
            Piece(
                file=path,
                offset=base + dataset.offset,
                nbytes=dataset.nbytes,
                origin=(0,) * len(dataset.shape),
                shape=dataset.shape,
            ),
        ),
    )


def _named(
    tensors: Sequence[StoredTensor], tree: Hdf5Tree, architecture: Mapping[str, Any] | None
) -> list[StoredTensor]:
    if tree.layers:
        containers = container_names(architecture) if architecture else ()
        return name_legacy_tensors(tensors, tree.layers, tree.layer_names, containers)
    return name_numbered_tensors(tensors, tree.labels, architecture)


def _architecture(root: h5py.File, texts: Texts, where: str) -> dict[str, Any] | None:
    config = _read_config(root, texts, "model_config", where)
    if config is None:
        return None
    architecture = parse_architecture(config, where=where)
    training = _read_config(root, texts, "training_config", where)
    if training is not None:
        # Not the configuration of an object: it has no class.
        wrapped = parse_architecture(f'{{"class_name": "", "config": {training}}}', where=where)
        architecture["training_config"] = wrapped["config"]
    return architecture


def _read_config(root: h5py.File, texts: Texts, name: str, where: str) -> str | None:
    if name not in root.attrs:
        return None
    text = texts.one(address_of(root.id), name, limit=MAX_ARCHITECTURE_BYTES)
    if text is None:
        raise FormatError(
            "the model's configuration is damaged, too large, or not where Keras puts it",
            where=f"{where}: {name}",
            expected=f"a text of at most {MAX_ARCHITECTURE_BYTES} bytes",
        )
    return text
