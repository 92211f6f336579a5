"""Small models saved as versions, without a framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from publishing.artifacts import Content, directory, download, expected, save, single

from remote_models.formats import Format
from remote_models.manifest import Manifest
from remote_models.publishing import FindBase
from remote_models.remote_model import RemoteModel
from remote_models.repository import Repository, Version
from remote_models.repository._saving import save_version
from remote_models.storage import Location, Store, open_store

FORMATS = {"tf": Format.SAVED_MODEL, "keras": Format.KERAS, "h5": Format.H5}


def content_of(label: str, save_format: str, metadata: Mapping[str, Any]) -> Content:
    """Return a model whose every byte tells its label."""
    if save_format == "tf":
        made = directory(label)
    else:
        name = f"model.{save_format}"
        (data,) = single(label).files.values()
        made = replace(single(label), name=name, format=FORMATS[save_format], files={name: data})
    return replace(made, metadata={"version": label, **metadata})


def save_next(
    root: Location,
    label: str,
    *,
    save_format: str = "tf",
    store: Store | None = None,
    **metadata: Any,
) -> Version:
    """Save as the next version what a framework would have made."""
    content = content_of(label, save_format, metadata)

    def publish(location: Location, _find_base: FindBase) -> Manifest:
        return save(location, content, overwrite=False, store=store)

    return save_version(store or open_store(root), root, FORMATS[save_format], publish)


def repository_at(root: Location, store: Store | None = None) -> Repository:
    """Return the repository there, seen through another store if one is given."""
    repository = Repository(root.url, storage_options=root.storage_options)
    if store is not None:
        repository._store = store
    return repository


def label_of(remote: RemoteModel) -> str:
    """Return the label of a model, every byte of which is compared with what it must be."""
    found = download(remote)
    label = str(remote.metadata["version"])
    save_format = next(word for word, each in FORMATS.items() if each is remote.format)
    assert found == expected(content_of(label, save_format, {})), "a mixture"
    return label


def fill(root: Location, count: int, **metadata: Any) -> list[Version]:
    """Save so many versions, labelled by their numbers."""
    return [save_next(root, f"v{number}", **metadata) for number in range(1, count + 1)]


each_format = pytest.mark.parametrize("save_format", FORMATS)
