"""Publish artifacts: stage their files, then make them and their manifest visible."""

from remote_models.publishing._artifact import Artifact
from remote_models.publishing._base import Base, FindBase
from remote_models.publishing._file_source import FileSource, LocalFile, local_files
from remote_models.publishing._publish import publish
from remote_models.publishing._unfinished import (
    UnfinishedSaves,
    find_unfinished,
    layout_of_manifest,
)

__all__ = [
    "Artifact",
    "Base",
    "FileSource",
    "FindBase",
    "LocalFile",
    "UnfinishedSaves",
    "find_unfinished",
    "layout_of_manifest",
    "local_files",
    "publish",
]
