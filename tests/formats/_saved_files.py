"""Index saved files and compare the index with the files."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from remote_models.formats._hdf5_index import Index, index_hdf5
from remote_models.formats._keras_index import index_keras_archive
from remote_models.formats._sharded_index import index_sharded
from remote_models.tensors import StoredTensor


def index(folder: Path, file: str, **options: Any) -> Index:
    path = folder / file
    with path.open("rb") as opened:
        if file.endswith(".keras"):
            return index_keras_archive(opened, file, path.stat().st_size, where=file)
        if file.endswith(".json"):
            return index_sharded(
                opened,
                lambda name: ((folder / name).open("rb"), (folder / name).stat().st_size),
                where=file,
                **options,
            )
        return index_hdf5(opened, file, path.stat().st_size, where=file, **options)


def named(folder: Path, found: Index) -> dict[str, str]:
    """Return the digests of the tensors that have a name, as plain reads give them."""
    return {each.label: digest(folder, each) for each in found.tensors if each.label != each.key}


def check_bytes(folder: Path, file: str, found: Index) -> None:
    """Check that plain reads give what h5py gives, for every dataset."""
    expected = {
        key: (hashlib.sha256(value.tobytes()).hexdigest(), value.shape)
        for key, value in _datasets(folder, file)
    }
    assert {each.key: (digest(folder, each), each.shape) for each in found.tensors} == expected
    assert not found.skipped


def digest(folder: Path, tensor: StoredTensor) -> str:
    (piece,) = tensor.pieces
    with (folder / piece.file).open("rb") as file:
        file.seek(piece.offset)
        data = file.read(piece.nbytes)
    assert len(data) == piece.nbytes
    return hashlib.sha256(data).hexdigest()


def _datasets(folder: Path, file: str) -> Iterator[tuple[str, Any]]:
    if file.endswith(".json"):
        for shard in folder.glob(f"{file.removesuffix('.weights.json')}_*.weights.h5"):
            yield from _datasets(folder, shard.name)
        return
    data = (folder / file).read_bytes()
    if file.endswith(".keras"):
        data = zipfile.ZipFile(io.BytesIO(data)).read("model.weights.h5")
    found: list[tuple[str, Any]] = []
    with h5py.File(io.BytesIO(data)) as root:
        root.visititems(
            lambda key, item: found.append((key, item[()])) if hasattr(item, "shape") else None
        )
    yield from found
