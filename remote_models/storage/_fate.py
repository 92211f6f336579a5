"""What became of a commit that was answered with an error: its writer's name tells."""

from __future__ import annotations

from remote_models.errors import (
    AmbiguousCommitError,
    BucketNotFoundError,
    ConflictError,
    ModelNotFoundError,
    StorageError,
    StoreUnavailableError,
)
from remote_models.storage._location import Location
from remote_models.storage._staging import CommittedFile, StagedFile
from remote_models.storage._store import ObjectInfo, Store

__all__ = ["settle"]


def settle(
    store: Store,
    location: Location,
    staged: StagedFile,
    error: StorageError,
    *,
    size: int,
    if_absent: bool,
    if_match: str | None,
) -> CommittedFile:
    """Return what a store calls a file that it has committed although it said otherwise.

    An answer may be lost after the store has done what was asked for. Clients then ask
    again by themselves, and what comes back is a refusal: the condition does not hold
    any more, or the upload is gone. Every object carries the random name of its writer:
    the one that is there decides.

    Raises:
        ConflictError: the object that is there is another writer's, and was to be spared.
        AmbiguousCommitError: nobody says what is there.
        StorageError: ``error``, where the file is not there.
    """
    if not _is_uncertain(error):
        raise error
    if not store.may_lose_answers:
        found = None
    else:
        found = _look(store, location, error)
        if found is not None and staged.writer is not None and found.writer == staged.writer:
            if found.size != size:  # a part of it is there twice, say, or not at all
                raise error
            return CommittedFile(version=found.version, etag=found.etag)
    refused = isinstance(error, ConflictError)
    if if_absent and (refused or found is not None):
        raise ConflictError(
            "something is stored here already: another writer was faster",
            where=str(location),
            hint="Pass overwrite=True to replace it",
        ) from error
    if if_match is not None and (refused or _is_gone(error, found) or _is_other(found, if_match)):
        raise ConflictError(
            "another writer has just replaced or deleted this",
            where=str(location),
            hint="Save again",
        ) from error
    raise error


def _is_uncertain(error: StorageError) -> bool:
    """Whether the file may be there although the store, or its client, has said this."""
    # An upload that is completed already is one that does not exist.
    kinds = (ConflictError, StoreUnavailableError, ModelNotFoundError)
    return isinstance(error, kinds) or type(error) is StorageError


def _look(store: Store, location: Location, error: StorageError) -> ObjectInfo | None:
    try:
        return store.transfer.retry.retried(lambda: store.head(location))
    except ModelNotFoundError:
        return None
    except StorageError as silence:
        raise AmbiguousCommitError(
            "whether this was written is not known: the answer was lost, and nobody says what"
            " is here",
            where=str(location),
            found=f"{error.message}; then: {silence.message}",
            hint="Check with verify_model(url) what is here, and save again if it is not yours",
        ) from error


def _is_gone(error: StorageError, found: ObjectInfo | None) -> bool:
    """Whether there is nothing left to be replaced, of which S3 says 404 and not 412."""
    missing = isinstance(error, ModelNotFoundError) and not isinstance(error, BucketNotFoundError)
    return missing and found is None


def _is_other(found: ObjectInfo | None, if_match: str) -> bool:
    return found is not None and found.etag is not None and found.etag != if_match
