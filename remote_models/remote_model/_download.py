"""Copy an artifact that may be replaced meanwhile: all of one, or an error."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from remote_models.errors import (
    IncompleteModelError,
    IntegrityError,
    ModelNotFoundError,
    RemoteModelsError,
)
from remote_models.manifest import Manifest, StoredManifest
from remote_models.remote_model._copy import copy_verified, empty_directory
from remote_models.remote_model._folder import ArtifactFolder
from remote_models.storage import ProgressCallback

if TYPE_CHECKING:
    from remote_models.cache import Cache

__all__ = ["copy_whole"]

_ATTEMPTS = 4
"""Reads of an artifact that is as it was before, while a save is under way."""

_MOST_ATTEMPTS = 20
"""Reads of an artifact that is another one each time."""

_BACKOFF_SECONDS = 0.25


def copy_whole(
    folder: ArtifactFolder,
    stored: StoredManifest,
    directory: Path,
    progress: ProgressCallback | None,
    *,
    reread: Callable[[], StoredManifest],
    cache: Cache | None,
) -> Manifest:
    """Copy one whole artifact into an empty directory, and return its manifest.

    Args:
        folder: Where it lies.
        stored: The manifest as it was when the artifact was opened.
        directory: Where to copy it to.
        progress: Whom to tell how far it is.
        reread: Returns the manifest as it is now.
        cache: Where files may come from instead, and are kept; ``None`` to do without.

    Raises:
        IntegrityError: a byte differs from what the manifest vouches for.
        IncompleteModelError: only an unfinished save is here.
    """
    waited = 0
    for attempt in range(1, _MOST_ATTEMPTS + 1):
        failures: list[RemoteModelsError] = []
        # While a save is under way, only the store can tell which candidate is there.
        usable = None if stored.pending else cache
        for manifest in stored.candidates:
            try:
                copy_verified(folder, manifest, directory, progress, usable)
            except (IntegrityError, ModelNotFoundError) as error:
                failures.append(error)
                empty_directory(directory)
            else:
                return manifest
        latest = reread()
        is_stuck = latest == stored and (not stored.pending or waited == _ATTEMPTS - 1)
        if attempt == _MOST_ATTEMPTS or is_stuck:
            raise _failure(folder, stored, failures[0])
        if latest == stored:  # a save is under way; what is read before the pause would age
            waited += 1
            time.sleep(_BACKOFF_SECONDS * waited)
            latest = reread()
        stored = latest
    raise AssertionError("unreachable")


def _failure(
    folder: ArtifactFolder, stored: StoredManifest, failure: RemoteModelsError
) -> RemoteModelsError:
    if stored.pending:
        return IncompleteModelError(
            "a save was cut short here, or is still under way",
            where=str(folder),
            hint="Wait for it, or save the model again with overwrite=True",
        )
    if isinstance(failure, ModelNotFoundError):
        return IntegrityError(
            "a file of the model is missing",
            where=failure.where,
            hint="Save the model again, or restore the file",
        )
    return failure
