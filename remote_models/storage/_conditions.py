"""Whether a store keeps the conditions on which it is asked to write."""

from __future__ import annotations

import warnings
from contextlib import ExitStack

from remote_models.errors import ConflictError, StorageError
from remote_models.storage._location import Location
from remote_models.storage._staging import CommittedFile
from remote_models.storage._store import Store

__all__ = ["UnconditionalStoreWarning", "check_conditions", "warn_of_missing_conditions"]


class UnconditionalStoreWarning(UserWarning):
    """A store does not keep conditions: savers that meet there are not kept apart."""


def check_conditions(store: Store, location: Location, data: bytes) -> CommittedFile | None:
    """Create once more what has just been created, and warn if the store lets that pass.

    Servers that do not know ``If-None-Match`` ignore it and write: only trying tells. A store
    is tried once.

    Returns:
        What the store calls the second object, which has the same bytes as the first one;
        ``None`` where the first is still there.
    """
    if store.refuses is not None or not store.may_lose_answers:
        return None
    try:
        with store.errors(location), ExitStack() as stack:
            staged = store.stage(location, len(data), if_absent=True)
            stack.callback(staged.discard)
            staged.write(data)
            committed = staged.commit()
    except ConflictError:
        store.refuses = True
        return None
    except StorageError:
        return None  # it says nothing, and what has been created is not touched by it
    store.refuses = False
    warn_of_missing_conditions(location, "creates what is there already")
    return committed


def warn_of_missing_conditions(location: Location, what: str) -> None:
    """Say what a store does instead of keeping conditions."""
    warnings.warn(
        f"{location}: the store {what}; overwrite=False and several savers at a time are not"
        " safe here",
        UnconditionalStoreWarning,
        stacklevel=3,
    )
