"""Foreign errors to errors of our own: the table for what every filesystem raises.

Stores that raise more specific errors (S3, GCS) put a table of their own before
this one.
"""

from __future__ import annotations

import errno

from remote_models.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    ConflictError,
    IntegrityError,
    ModelExistsError,
    ModelNotFoundError,
    ReadOnlyStoreError,
    RemoteModelsError,
    StorageError,
    StoreFullError,
    StoreUnavailableError,
)
from remote_models.storage._location import Location
from remote_models.storage._secrets import without_secrets

__all__ = ["missing_parent", "replaced", "translate"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_UNREACHABLE = {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN}

_TABLE: tuple[tuple[type[Exception], type[RemoteModelsError], str, str | None], ...] = (
    (FileNotFoundError, ModelNotFoundError, "nothing is stored here", None),
    (FileExistsError, ConflictError, "something is stored here already",
     "Pass overwrite=True to replace it"),
    (IsADirectoryError, ModelExistsError, "a folder is in the way", "Choose another name"),
    (NotADirectoryError, ModelExistsError, "a file stands where a folder is needed",
     "Choose another name"),
    (PermissionError, AccessDeniedError, "access denied",
     "Check the permissions of whoever runs this"),
    (TimeoutError, StoreUnavailableError, "the store did not answer in time",
     "Check the network and the endpoint, then try again"),
    (ConnectionError, StoreUnavailableError, "the store cannot be reached",
     "Check the network and the endpoint, then try again"),
    (NotImplementedError, ReadOnlyStoreError, "this store cannot do that",
     "Choose a store that can be written to"),
)  # fmt: skip


def translate(error: Exception, location: Location) -> Exception | None:
    """Return the error of our tree for ``error``, or ``None`` if it is no storage error."""
    if isinstance(error, RemoteModelsError):
        return None
    where = str(location)
    if isinstance(error, OSError) and error.errno in _FULL:
        return StoreFullError(
            "no space left", where=where, hint="Free some space or choose another place"
        )
    if isinstance(error, OSError) and error.errno == errno.EROFS:
        return ReadOnlyStoreError(
            "the file system is read-only", where=where, hint="Choose another place"
        )
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        # aiohttp's errors have the number, but not the type.
        error = ConnectionError(error.errno, error.strerror)
    for foreign, own, message, hint in _TABLE:
        if isinstance(error, foreign):
            return own(message, where=where, hint=hint)
    if isinstance(error, OSError):
        return StorageError(
            without_secrets(str(error), location) or type(error).__name__, where=where
        )
    return None


def replaced(location: Location) -> IntegrityError:
    """Return the error for an object that is not the one that was opened."""
    return IntegrityError(
        "the file was replaced while it was being read",
        where=str(location),
        hint="Open the model again",
    )


def missing_parent(location: Location) -> BucketNotFoundError:
    """Return the error for a local path whose folder does not exist."""
    return BucketNotFoundError(
        "the folder does not exist", where=str(location.parent), hint="Make it first"
    )
