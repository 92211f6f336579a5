"""Read an artifact that may be replaced meanwhile: all of one, or an error."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from remote_models.errors import (
    IncompleteModelError,
    IntegrityError,
    ModelNotFoundError,
    RemoteModelsError,
)
from remote_models.manifest import Manifest, StoredManifest
from remote_models.remote_model._folder import ArtifactFolder

__all__ = ["read_settled"]

T = TypeVar("T")

_ATTEMPTS = 4
"""Reads of an artifact that is as it was before, while a save is under way."""

_MOST_ATTEMPTS = 20
"""Reads of an artifact that is another one each time."""

_BACKOFF_SECONDS = 0.25


def read_settled(
    folder: ArtifactFolder,
    stored: StoredManifest,
    read: Callable[[Manifest], T],
    *,
    reread: Callable[[], StoredManifest],
) -> tuple[Manifest, T]:
    """Read what one of several manifests says, and return that manifest and what was read.

    Args:
        folder: Where the artifact lies.
        stored: The manifest as it was when the artifact was opened.
        read: Reads what a manifest names, checks it, and leaves nothing where it fails.
        reread: Returns the manifest as it is now.

    Raises:
        IntegrityError: a byte differs from what the manifest vouches for.
        IncompleteModelError: only an unfinished save is here.
    """
    waited = 0
    for attempt in range(1, _MOST_ATTEMPTS + 1):
        failures: list[RemoteModelsError] = []
        for manifest in stored.candidates:
            try:
                return manifest, read(manifest)
            except (IntegrityError, ModelNotFoundError) as error:
                failures.append(error)
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
            hint="Wait for it, or save the model again",
        )
    if isinstance(failure, ModelNotFoundError):
        return IntegrityError(
            "a file of the model is missing",
            where=failure.where,
            hint="Save the model again, or restore the file",
        )
    return failure
