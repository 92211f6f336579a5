"""Which models lie below a URL, by the names of objects alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from remote_models._api._arguments import URL, StorageOptions
from remote_models.errors import ModelNotFoundError
from remote_models.storage import Location, open_store

__all__ = ["ModelListing", "list_models"]

_MANIFEST = "manifest.json"
_MANIFEST_SUFFIX = ".manifest.json"
_SAVED_MODEL = "saved_model.pb"
_FILE_SUFFIXES = (".keras", ".h5", ".hdf5", ".weights.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelListing:
    """A model found below a URL.

    Attributes:
        path: Its path below that URL.
        size: The bytes of its files as far as their names tell, without the manifest.
        has_manifest: Whether a manifest lies with it.
    """

    path: str
    size: int
    has_manifest: bool


def list_models(url: URL, *, storage_options: StorageOptions | None = None) -> list[ModelListing]:
    """Return the models below ``url``, sorted by path; one listing, and no object is read.

    A model is what a manifest lies with, a directory with ``saved_model.pb``, or a
    file with an extension of Keras.

    Raises:
        ModelNotFoundError: nothing at all is there.
        StorageError: the store refused or failed.
    """
    location = Location.parse(url, storage_options)
    sizes = open_store(location).list(location)
    if not sizes:
        raise ModelNotFoundError(
            "nothing is stored below this URL", where=str(location), hint="Check the URL"
        )
    folders = set(_folders(sizes))
    found = [_directory(folder, sizes) for folder in sorted(folders)]
    found.extend(
        _file(path, sizes)
        for path in _files(sizes)
        if not any(path.startswith(f"{folder}/") or not folder for folder in folders)
    )
    return sorted(found, key=lambda listing: listing.path)


def _folders(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        folder, _, name = path.rpartition("/")
        if name in (_MANIFEST, _SAVED_MODEL):
            yield folder


def _files(paths: Iterable[str]) -> set[str]:
    found = set()
    for path in paths:
        if path.endswith(_MANIFEST_SUFFIX):
            found.add(path.removesuffix(_MANIFEST_SUFFIX))
        elif path.endswith(_FILE_SUFFIXES):
            found.add(path)
    return found


def _directory(folder: str, sizes: Mapping[str, int]) -> ModelListing:
    inside = f"{folder}/" if folder else ""
    manifest = f"{inside}{_MANIFEST}"
    return ModelListing(
        path=folder or ".",
        size=sum(
            size for path, size in sizes.items() if path.startswith(inside) and path != manifest
        ),
        has_manifest=manifest in sizes,
    )


def _file(path: str, sizes: Mapping[str, int]) -> ModelListing:
    beside = (path, f"{path}.index", f"{path}.data-")
    return ModelListing(
        path=path,
        size=sum(
            size for name, size in sizes.items() if name in beside[:2] or name.startswith(beside[2])
        ),
        has_manifest=f"{path}{_MANIFEST_SUFFIX}" in sizes,
    )
