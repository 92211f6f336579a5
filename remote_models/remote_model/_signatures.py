"""The signatures of a SavedModel, read from the file of its graph."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import IO, TYPE_CHECKING

from remote_models.documents import StoredDocument
from remote_models.manifest import Manifest
from remote_models.remote_model._architecture import read_document
from remote_models.remote_model._folder import ArtifactFolder

if TYPE_CHECKING:
    from remote_models.formats.indexing import Signature

__all__ = ["read_signatures"]

_GRAPH = "saved_model.pb"


def read_signatures(
    folder: ArtifactFolder,
    manifest: Manifest | None,
    names: Collection[str],
    open_file: Callable[[str], IO[bytes]],
) -> Mapping[str, Signature]:
    """Return the signatures by name; none for what is no SavedModel.

    Args:
        folder: Where the artifact's files lie.
        manifest: What it consists of, if there is a manifest.
        names: The relative paths of its files.
        open_file: Opens one of them where there is no manifest.

    Raises:
        IntegrityError: the graph is not the one that the manifest vouches for.
        FormatError: it is damaged.
        StorageError: the store refused or failed.
    """
    if _GRAPH not in names:
        return {}
    from remote_models.formats.indexing import parse_signatures

    where = str(folder.file(_GRAPH))
    entry = manifest.file(_GRAPH) if manifest else None
    if entry is None:
        with open_file(_GRAPH) as file:
            return parse_signatures(file.read(), where=where)
    whole = StoredDocument(
        name="graph", file=entry.path, offset=0, nbytes=entry.size, sha256=entry.sha256
    )
    return parse_signatures(read_document(folder, manifest, whole), where=where)
