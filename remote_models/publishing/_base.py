"""An earlier artifact, from which a coming one may have its bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from remote_models.manifest import FileEntry, Manifest
from remote_models.storage import Location

__all__ = ["Base", "FindBase"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """An earlier artifact in the same store, from which a coming one may have its bytes.

    Attributes:
        manifest: Its manifest.
        folder: The folder that the paths of its files start from.
    """

    manifest: Manifest
    folder: Location

    def file(self, path: str) -> FileEntry | None:
        """Return the file of this path, or the only one, whatever it is called."""
        files = self.manifest.files
        return files[0] if len(files) == 1 else self.manifest.file(path)


FindBase = Callable[[], Base | None]
"""Finds the artifact that is most like a coming one, if the store can make use of it."""
