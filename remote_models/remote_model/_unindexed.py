"""What an artifact is and holds, read from its files now and not from a manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import IO, TYPE_CHECKING

from remote_models.formats import Format, Recognition, recognise_directory, recognise_file
from remote_models.manifest import Layout
from remote_models.remote_model._folder import ArtifactFolder

if TYPE_CHECKING:
    from remote_models.documents import StoredDocument
    from remote_models.formats.indexing import Index

__all__ = ["Opener", "documents_now", "index_now", "recognise_now"]

Opener = Callable[[str], IO[bytes]]
"""Opens a file of an artifact by its relative path."""


def recognise_now(
    folder: ArtifactFolder, files: Mapping[str, int], open_file: Opener
) -> Recognition:
    """Say what an artifact is, by its bytes.

    Raises:
        UnrecognizedFormatError: it is no model; the message says what it is.
        UnsafeFormatError: it is a pickle.
    """
    name = folder.location.name
    if folder.layout is Layout.DIRECTORY:
        return recognise_directory(tuple(files), open_file, where=str(folder))
    if name not in files and f"{name}.index" in files:
        return Recognition(format=Format.CHECKPOINT, generation=2)
    with open_file(name) as file:
        return recognise_file(file, where=str(folder))


def index_now(folder: ArtifactFolder, files: Mapping[str, int], open_file: Opener) -> Index:
    """Find the tensors.

    Raises:
        FormatError: the files are damaged or no model's.
    """
    from remote_models.formats.indexing import index_artifact

    what = recognise_now(folder, files, open_file)
    return index_artifact(what, files, open_file, name=folder.location.name, where=str(folder))


def documents_now(
    folder: ArtifactFolder, files: Mapping[str, int], open_file: Opener
) -> Sequence[StoredDocument]:
    """Find what describes the model.

    Raises:
        FormatError: the files are damaged or no model's.
    """
    from remote_models.formats.indexing import find_documents

    format = recognise_now(folder, files, open_file).format
    return find_documents(format, files, open_file, name=folder.location.name, where=str(folder))
