"""Which models lie below a URL, by the names of objects alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from remote_models._api._arguments import URL, StorageOptions
from remote_models.errors import BucketNotFoundError, ModelNotFoundError, StorageError
from remote_models.manifest import DIRECTORY_MANIFEST, FILE_MANIFEST_SUFFIX
from remote_models.signing import DIRECTORY_SIGNATURE, FILE_SIGNATURE_SUFFIX
from remote_models.storage import Location, Store, open_store, read_range

__all__ = ["ModelListing", "list_models", "refuse_missing_bucket"]

_SAVED_MODEL = "saved_model.pb"
_BESIDE_FILES = (DIRECTORY_MANIFEST, DIRECTORY_SIGNATURE)
_FILE_SUFFIXES = (".keras", ".h5", ".hdf5", ".weights.json")
_MAP_SUFFIX = ".weights.json"

_CHECKPOINT_PART = re.compile(r"(.+)\.(?:index|data-[0-9]{5}-of-[0-9]{5})", re.DOTALL)
"""tensorflow/core/util/tensor_bundle/naming.h"""

_SHARD = re.compile(r"(.+)_[0-9]{5,}\.weights\.h5", re.DOTALL)
"""ShardedH5IOStore in keras/src/saving/saving_lib.py"""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelListing:
    """A model found below a URL.

    Attributes:
        path: Its path below that URL.
        size: The bytes of its files as far as their names tell, without manifest and signature.
        has_manifest: Whether a manifest lies with it.
        is_signed: Whether a signature lies with it; it is not checked here.
    """

    path: str
    size: int
    has_manifest: bool
    is_signed: bool = False


def list_models(url: URL, *, storage_options: StorageOptions | None = None) -> list[ModelListing]:
    """Return the models below ``url``, sorted by path; one listing, and no object is read.

    A model is what a manifest lies with, a directory with ``saved_model.pb``, or a
    file with an extension of Keras.

    Raises:
        ModelNotFoundError: nothing at all is there.
        BucketNotFoundError: the bucket does not exist.
        StorageError: the store refused or failed.
    """
    location = Location.parse(url, storage_options)
    store = open_store(location)
    sizes = {path: info.size for path, info in store.list(location).items()}
    if not sizes:
        refuse_missing_bucket(store, location)
        raise ModelNotFoundError(
            "nothing is stored below this URL", where=str(location), hint="Check the URL"
        )
    found = [*_directories(sizes), *_files(sizes)]
    return sorted(found, key=lambda listing: listing.path)


def refuse_missing_bucket(store: Store, location: Location) -> None:
    """Tell an empty place from a bucket that does not exist, which a listing does not."""
    try:
        read_range(store, location.join(DIRECTORY_MANIFEST), 0, 1)
    except BucketNotFoundError:
        if not location.is_local:
            raise
    except StorageError:
        return


def _directories(sizes: Mapping[str, int]) -> Iterator[ModelListing]:
    folders = _model_folders(sizes)
    total: Counter[str] = Counter()
    for path, size in sizes.items():
        for folder in folders.intersection(_folders_of(path)):
            if path not in (_inside(folder, name) for name in _BESIDE_FILES):
                total[folder] += size
    for folder in folders:
        yield ModelListing(
            path=folder or ".",
            size=total[folder],
            has_manifest=_inside(folder, DIRECTORY_MANIFEST) in sizes,
            is_signed=_inside(folder, DIRECTORY_SIGNATURE) in sizes,
        )


def _files(sizes: Mapping[str, int]) -> Iterator[ModelListing]:
    folders = _model_folders(sizes)
    outside = {path: size for path, size in sizes.items() if folders.isdisjoint(_folders_of(path))}
    total: Counter[str] = Counter()
    for path, size in outside.items():
        total[path] += size
        whole = _whole_of(path, outside)
        if whole != path:
            total[whole] += size
    for model in {named for path in outside if (named := _model_named_by(path, outside))}:
        yield ModelListing(
            path=model,
            size=total[model],
            has_manifest=f"{model}{FILE_MANIFEST_SUFFIX}" in outside,
            is_signed=f"{model}{FILE_SIGNATURE_SUFFIX}" in outside,
        )


def _model_folders(sizes: Mapping[str, int]) -> set[str]:
    pairs = (path.rpartition("/") for path in sizes)
    return {folder for folder, _, name in pairs if name in (DIRECTORY_MANIFEST, _SAVED_MODEL)}


def _model_named_by(path: str, paths: Mapping[str, int]) -> str | None:
    """Return the file artifact that this object stands for, if it stands for one."""
    model = path.removesuffix(FILE_MANIFEST_SUFFIX)
    if model != path:
        return model if model.rpartition("/")[2] else None
    is_whole = path.lower().endswith(_FILE_SUFFIXES) and _whole_of(path, paths) == path
    return path if is_whole else None


def _whole_of(path: str, paths: Mapping[str, int]) -> str:
    """Return the artifact that a file named like this is a part of: itself, mostly."""
    if part := _CHECKPOINT_PART.fullmatch(path):
        return part[1]
    shard = _SHARD.fullmatch(path)
    if shard and f"{shard[1]}{_MAP_SUFFIX}" in paths:
        return f"{shard[1]}{_MAP_SUFFIX}"
    return path


def _folders_of(path: str) -> Iterator[str]:
    """Yield every folder around ``path``, the URL itself (``""``) last."""
    while path:
        path = path.rpartition("/")[0]
        yield path


def _inside(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
