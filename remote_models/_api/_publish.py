"""From the files of a model to a published artifact."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

from remote_models._api._arguments import Progress
from remote_models._api._metadata import plain_metadata
from remote_models._api._neighbours import refuse_bucket, refuse_repository
from remote_models._progress_bar import progress_callback
from remote_models._version import __version__
from remote_models.formats import Format, Recognition
from remote_models.frameworks import ModelDescription
from remote_models.manifest import Layout, Manifest
from remote_models.publishing import Artifact, FileSource, FindBase, publish
from remote_models.storage import Location, TransferSettings, open_store

if TYPE_CHECKING:
    from remote_models.documents import StoredDocument
    from remote_models.formats.indexing import Index

__all__ = ["publish_artifact", "publish_files"]


_DIRECTORIES = {Format.SAVED_MODEL, Format.KERAS_DIRECTORY}


def publish_files(
    location: Location,
    format: Format,
    files: Mapping[str, FileSource],
    *,
    producer: Mapping[str, str],
    overwrite: bool,
    metadata: Mapping[str, Any] | None,
    progress: Progress,
    transfer: TransferSettings | None = None,
    created: str | None = None,
    empty_directories: Sequence[str] = (),
    description: ModelDescription | None = None,
    find_base: FindBase = lambda: None,
    exports: Mapping[str, str] | None = None,
) -> Manifest:
    """Publish files as one artifact, with a manifest, and return the manifest.

    What the artifact has in common with the one that ``find_base`` finds in the same store
    need not travel. ``exports`` are those of the files that other runtimes read, by what
    they are.
    """
    exports = exports or {}
    refuse_bucket(location)
    layout = Layout.DIRECTORY if format in _DIRECTORIES else Layout.FILE
    store = open_store(location, transfer)
    refuse_repository(store, location, layout, overwrite=overwrite)
    what = Recognition(format=format)
    own = {path: files[path] for path in files if path not in exports.values()}
    index, documents = _index(what, location.name, own, description)
    artifact = Artifact(
        format=format,
        layout=layout,
        created=created or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        producer={
            **producer,
            "remote_models": __version__,
            "python": platform.python_version(),
        },
        metadata=plain_metadata(metadata),
        files=files,
        empty_directories=empty_directories,
        tensors=index.tensors,
        documents=documents,
        exports=exports,
    )
    return publish(
        store,
        location,
        artifact,
        overwrite=overwrite,
        find_base=find_base,
        progress=progress_callback(progress),
    )


def publish_artifact(
    location: Location,
    artifact: Artifact,
    *,
    overwrite: bool,
    progress: Progress,
    transfer: TransferSettings | None,
) -> Manifest:
    """Publish what is described already, and return the manifest."""
    refuse_bucket(location)
    store = open_store(location, transfer)
    refuse_repository(store, location, artifact.layout, overwrite=overwrite)
    return publish(
        store,
        location,
        artifact,
        overwrite=overwrite,
        progress=progress_callback(progress),
    )


def _index(
    what: Recognition,
    name: str,
    files: Mapping[str, FileSource],
    description: ModelDescription | None,
) -> tuple[Index, Sequence[StoredDocument]]:
    """Find the tensors and the configuration in files, without reading a tensor.

    Raises:
        FormatError: a file is damaged.
    """
    from remote_models.formats.indexing import (
        find_documents,
        index_artifact,
        with_variable_names,
        without_model_name,
    )

    def open_file(path: str) -> IO[bytes]:
        return files[path].open()

    sizes = {path: source.size for path, source in files.items()}
    index = index_artifact(
        what,
        sizes,
        open_file,
        name=name,
        where=name,
        architecture=description.architecture if description else None,
    )
    if description is not None and description.variables:
        index = with_variable_names(index, description.variables, description.name)
    elif description is not None:
        index = without_model_name(index, description.name)
    return index, find_documents(what.format, sizes, open_file, name=name, where=name)
