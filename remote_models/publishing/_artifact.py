"""An artifact that is to be published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from remote_models.documents import StoredDocument
from remote_models.formats import Format
from remote_models.manifest import Layout
from remote_models.publishing._file_source import FileSource
from remote_models.tensors import StoredTensor

__all__ = ["Artifact"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """An artifact that is to be published.

    Attributes:
        format: What it is.
        layout: How its files will lie around the URL.
        created: When it was made (see :class:`~remote_models.manifest.Manifest`).
        producer: What made it.
        metadata: The user's own JSON object.
        files: The path of every file inside the artifact, and where its bytes come from.
        empty_directories: Folders without a file.
        tensors: Where the tensors lie in the files; nothing vouches for them yet.
        documents: Where the model's configuration lies in the files.
        exports: Those of the files that other runtimes read, by what they are.
    """

    format: Format
    layout: Layout
    created: str
    producer: Mapping[str, str]
    metadata: Mapping[str, Any]
    files: Mapping[str, FileSource]
    empty_directories: Sequence[str] = ()
    tensors: Sequence[StoredTensor] = ()
    documents: Sequence[StoredDocument] = ()
    exports: Mapping[str, str] = field(default_factory=dict)
