"""Copy one whole artifact, or read one of its files, though it may be replaced meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from remote_models.errors import IntegrityError, ModelNotFoundError
from remote_models.manifest import FileEntry, Manifest, StoredManifest
from remote_models.remote_model._copy import copy_verified, empty_directory, read_verified
from remote_models.remote_model._folder import ArtifactFolder
from remote_models.remote_model._settled import read_settled
from remote_models.storage import ProgressCallback

if TYPE_CHECKING:
    from remote_models.cache import Cache

__all__ = ["copy_whole", "read_export"]


def copy_whole(
    folder: ArtifactFolder,
    stored: StoredManifest,
    directory: Path,
    progress: ProgressCallback | None,
    *,
    reread: Callable[[], StoredManifest],
    cache: Cache | None,
    exports: bool,
) -> Manifest:
    """Copy one whole artifact into an empty directory, and return its manifest.

    Args:
        folder: Where it lies.
        stored: The manifest as it was when the artifact was opened.
        directory: Where to copy it to.
        progress: Whom to tell how far it is.
        reread: Returns the manifest as it is now.
        cache: Where files may come from instead, and are kept; ``None`` to do without.
        exports: Whether its exports are copied, too.

    Raises:
        IntegrityError: a byte differs from what the manifest vouches for.
        IncompleteModelError: only an unfinished save is here.
    """
    latest = stored

    def copy(manifest: Manifest) -> None:
        # While a save is under way, only the store can tell which candidate is there.
        usable = None if latest.pending else cache
        files: Sequence[FileEntry] = manifest.files if exports else manifest.own_files
        try:
            copy_verified(folder, manifest.with_files(files), directory, progress, usable)
        except (IntegrityError, ModelNotFoundError):
            empty_directory(directory)
            raise

    def reread_latest() -> StoredManifest:
        nonlocal latest
        latest = reread()
        return latest

    return read_settled(folder, stored, copy, reread=reread_latest)[0]


def read_export(
    folder: ArtifactFolder,
    stored: StoredManifest,
    kind: str,
    *,
    reread: Callable[[], StoredManifest],
) -> tuple[Manifest, bytes | None]:
    """Return the bytes of an export, and the manifest that vouches for them.

    Args:
        folder: Where the artifact lies.
        stored: The manifest as it was when the artifact was opened.
        kind: What is wanted, as in ``tflite``.
        reread: Returns the manifest as it is now.

    Returns:
        The bytes are ``None`` where the artifact has no such export.

    Raises:
        IntegrityError: a byte differs from what the manifest vouches for.
        IncompleteModelError: only an unfinished save is here.
    """

    def read(manifest: Manifest) -> bytes | None:
        entry = manifest.file(manifest.exports[kind]) if kind in manifest.exports else None
        return read_verified(folder, entry) if entry is not None else None

    return read_settled(folder, stored, read, reread=reread)
