"""Where an artifact's files lie in its store."""

from __future__ import annotations

import os
from dataclasses import dataclass

from remote_models.errors import UnsafeFormatError
from remote_models.manifest import Layout
from remote_models.storage import Location, Store

__all__ = ["ArtifactFolder"]

_SNAPSHOTS, _BLOBS = "snapshots", "blobs"
"""Folders of a cache of Hugging Face: the files of a snapshot are links to its blobs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactFolder:
    """An artifact's URL with the store that serves it.

    Attributes:
        store: The store.
        location: The artifact's URL.
        layout: Whether the URL is that of a file or of a folder.
    """

    store: Store
    location: Location
    layout: Layout

    def file(self, path: str) -> Location:
        """Return where the file at the relative ``path`` lies.

        Raises:
            UnsafeFormatError: a link there leads out of the artifact's folder (CWE-59).
        """
        folder = self.location if self.layout is Layout.DIRECTORY else self.location.parent
        location = folder.join(path)
        # The file that the caller names may itself be a link: that is the caller's choice.
        if self.location.is_local and location.path != self.location.path:
            _refuse_escape(folder.path, location)
        return location

    def __str__(self) -> str:
        """The URL to print."""
        return str(self.location)


def _refuse_escape(folder: str, location: Location) -> None:
    target = os.path.realpath(location.path)
    inside = [os.path.realpath(folder)]
    cache, kind = os.path.split(os.path.dirname(inside[0]))
    if kind == _SNAPSHOTS:
        inside.append(os.path.join(cache, _BLOBS))
    if not any(target.startswith(f"{each.rstrip(os.sep)}{os.sep}") for each in inside):
        raise UnsafeFormatError(
            "a link that leads out of the artifact's folder",
            where=str(location),
            hint="Put the file itself there",
        )
