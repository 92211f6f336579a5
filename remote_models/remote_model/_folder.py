"""Where an artifact's files lie in its store."""

from __future__ import annotations

from dataclasses import dataclass

from remote_models.manifest import Layout
from remote_models.storage import Location, Store

__all__ = ["ArtifactFolder"]


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
        """Return where the file at the relative ``path`` lies."""
        folder = self.location if self.layout is Layout.DIRECTORY else self.location.parent
        return folder.join(path)

    def __str__(self) -> str:
        """The URL to print."""
        return str(self.location)
