"""Fetch an artifact for a framework: copied, verified and recognised."""

from __future__ import annotations

import os
import shutil
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from remote_models._api._caching import cache_for
from remote_models._api._local_copy import (
    LOCAL_NAMES,
    full_disk_named,
    make_temporary_directory,
)
from remote_models._stack import callers_level
from remote_models.formats import Format, Recognition
from remote_models.manifest import Layout
from remote_models.remote_model import RemoteModel
from remote_models.storage import Location, ProgressCallback

__all__ = [
    "FetchedArtifact",
    "UnverifiedModelWarning",
    "fetched",
    "other_verb",
    "warn_if_unverified",
]

_READ_LATER = {Format.SAVED_MODEL, Format.CHECKPOINT}
"""TensorFlow may read these again after loading: variables that a subclassed model
makes on its first call, optimizer slots, asset files when the model is saved again."""


class UnverifiedModelWarning(UserWarning):
    """An artifact without a manifest was loaded: nothing vouches for its bytes."""


class FetchedArtifact:
    """A verified copy on this machine.

    Attributes:
        location: Where it came from.
        what: What its bytes are.
        path: The copy: a file, a directory or a checkpoint's prefix.
    """

    def __init__(self, location: Location, what: Recognition, path: Path, folder: Path) -> None:
        self.location = location
        self.what = what
        self.path = path
        self._folder = folder
        self.is_kept = False

    def keep_for(self, model: Any) -> None:
        """Let the copy live as long as ``model`` if TensorFlow may read it again."""
        if self.what.format in _READ_LATER:
            weakref.finalize(model, _remove, self._folder, os.getpid())
            self.is_kept = True


def _remove(folder: Path, owner: int) -> None:
    """Remove a copy; a forked child that ends leaves it to its parent, who still reads it."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def warn_if_unverified(remote: RemoteModel) -> None:
    """Warn, at the caller's line, where nothing vouches for the bytes about to be used."""
    if not remote.is_verifiable:
        warnings.warn(
            f"{remote.location}: no manifest vouches for these bytes; adopt the model to get one",
            UnverifiedModelWarning,
            stacklevel=callers_level(),
        )


@contextmanager
def fetched(remote: RemoteModel, progress: ProgressCallback | None) -> Iterator[FetchedArtifact]:
    """Copy, verify and recognise an artifact; the copy goes with the block.

    Raises:
        IntegrityError: bytes are not those that the manifest vouches for.
        FormatError: it is nothing that Keras has to do with.
        StoreFullError: no space is left for the copy.
    """
    warn_if_unverified(remote)
    folder = make_temporary_directory()
    artifact = None
    try:
        with full_disk_named(folder):
            remote.download(folder, progress, cache=cache_for(remote.location), exports=False)
            what = remote.recognise(folder)
            artifact = FetchedArtifact(
                remote.location, what, _named_by_content(folder, remote, what), folder
            )
            yield artifact
    finally:
        if artifact is None or not artifact.is_kept:
            shutil.rmtree(folder, ignore_errors=True)


def other_verb(format: Format) -> str:
    """Return the hint that names the verb for ``format``."""
    if format.is_model:
        return "Load it with load_model() or load_weights()"
    if format is Format.ARCHITECTURE:
        return "Load it with load_architecture()"
    return "Build the model, then call load_weights(model, url)"


def _named_by_content(folder: Path, remote: RemoteModel, what: Recognition) -> Path:
    if remote.layout is Layout.DIRECTORY:
        return folder
    path = folder / remote.location.name
    if what.format not in LOCAL_NAMES:
        return path
    return path.rename(folder / LOCAL_NAMES[what.format])
