"""Save a model under the next number.

The protocol. A save first *claims* a number by the exclusive creation of
``claims/N.json``, so that of several savers each has its own before it builds or sends
anything. Then it looks whether ``latest`` has come to N meanwhile, publishes the model,
moves ``latest`` and deletes the claim, in this order. So whoever finds no claim of a
number that has been used finds ``latest`` at that number or above, and takes a higher
one: numbers are never used again, whatever was deleted in between, without a listing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from itertools import count

from remote_models._api._neighbours import is_in_version, is_there
from remote_models.errors import (
    AccessDeniedError,
    ConflictError,
    CredentialsError,
    ModelExistsError,
    RemoteModelsError,
    StorageError,
)
from remote_models.formats import Format
from remote_models.manifest import DIRECTORY_MANIFEST, Layout, Manifest
from remote_models.publishing import Base, FindBase
from remote_models.repository._aliases import LATEST, Alias, Aliases
from remote_models.repository._layout import CLAIMS, Contents, layout_of, path_of_format
from remote_models.repository._small_objects import SmallObjects
from remote_models.repository._version import Version, read_version
from remote_models.storage import Location, Store

__all__ = ["save_version"]

_ATTEMPTS = 10
"""Numbers that are tried where others have put models that may not be listed."""

Publish = Callable[[Location, FindBase], Manifest]
"""Saves a model where nothing may be, and returns its manifest. It is told how to find the
version before, from which the store may copy what is the same."""


def save_version(store: Store, root: Location, format: Format, publish: Publish) -> Version:
    """Let ``publish`` save a model under the next number, and move ``latest`` to it.

    Several may do this at once: each gets a number of its own, before it sends a byte. A
    save that fails where the store failed, or is killed, leaves its number unused.

    Raises:
        ModelExistsError: the repository would lie inside a model.
        RemoteModelsError: what ``publish`` raises; ``latest`` is where it was.
        StorageError: the store refused or failed.
    """
    number = _highest(store, root)
    claims = SmallObjects(store=store, root=root, folder=CLAIMS)
    claims.make_folder()
    aliases = Aliases(store, root)
    for attempt in count(1):
        number = _claim(claims, aliases, number + 1)
        path = path_of_format(number, format)
        try:
            manifest = _publish(store, root, path, publish, partial(_base, store, root, format))
        except ModelExistsError as error:
            # Others, who claim nothing, were here: this number is theirs.
            _release(claims, number, error)
            if attempt == _ATTEMPTS:
                raise
            continue
        except BaseException as error:
            # When the store fails, or somebody interrupts, the model may have been seen
            # for a moment; then the number stays claimed for good.
            if isinstance(error, Exception) and not isinstance(error, StorageError):
                _release(claims, number, error)
            raise
        version = Version(number=number, url=str(root.join(path)), manifest=manifest)
        _move_latest(aliases, claims, version, path)
        return version
    raise AssertionError("unreachable")


def _highest(store: Store, root: Location) -> int:
    """Return the highest number in use, as far as one may look; claims find the rest.

    Raises:
        ModelExistsError: a model is here, or a version of another repository around it.
    """
    try:
        contents = Contents.read(store, root)
    except CredentialsError:
        raise
    except AccessDeniedError:
        listed, holds_model = 0, is_there(store, root.join(DIRECTORY_MANIFEST))
    else:
        listed, holds_model = contents.highest, contents.holds_model
    if holds_model or is_in_version(store, root):
        # Who overwrites or prunes that model would delete versions of this repository.
        raise ModelExistsError(
            "a model is here, so that no repository can be", where=str(root),
            hint="Choose a folder of its own for the repository",
        )  # fmt: skip
    return max(listed, Aliases(store, root).highest())


def _claim(claims: SmallObjects, aliases: Aliases, number: int) -> int:
    """Claim ``number``, or the first one above it that nobody has claimed or used."""
    owner = {"owner": secrets.token_hex(16)}
    while True:
        try:
            claims.create(str(number), owner)
        except ConflictError:
            number += 1
            continue
        highest = aliases.highest()
        if highest == 0:
            _check_may_read(claims, number)
        if highest < number:
            return number
        claims.delete(str(number))
        number = highest + 1


def _check_may_read(claims: SmallObjects, number: int) -> None:
    """Tell a `latest` that is not there from one that may not be read, which is no start."""
    try:
        claims.read(str(number))
    except AccessDeniedError as error:
        _release(claims, number, error)
        raise


def _base(store: Store, root: Location, format: Format) -> Base | None:
    """Return the version that `latest` leads to; ``None`` if it cannot serve as a base."""
    try:
        alias = Aliases(store, root).read(LATEST)
        if alias is None or alias.path != path_of_format(alias.version, format):
            return None
        version = read_version(store, root, alias.version, alias.path)
    except RemoteModelsError:  # which costs no more than bytes that travel again
        return None
    if version is None:
        return None
    location = root.join(alias.path)
    is_folder = layout_of(alias.path) is Layout.DIRECTORY
    return Base(manifest=version.manifest, folder=location if is_folder else location.parent)


def _publish(
    store: Store, root: Location, path: str, publish: Publish, find_base: FindBase
) -> Manifest:
    """Publish at a path below the root, in a folder that goes again if that fails."""
    location = root.join(path)
    if layout_of(path) is Layout.DIRECTORY:
        return publish(location, find_base)
    is_new = store.make_directory(location.parent)
    try:
        return publish(location, find_base)
    except BaseException as error:
        if is_new:
            try:
                store.remove_directory(location.parent)
            except StorageError as leftover:  # must not hide what went wrong first
                error.add_note(f"An empty folder may be left behind: {leftover}")
        raise


def _release(claims: SmallObjects, number: int, error: BaseException) -> None:
    try:
        claims.delete(str(number))
    except StorageError as leftover:  # must not hide what went wrong first
        error.add_note(f"The claim of version {number} is left behind: {leftover}")


def _move_latest(aliases: Aliases, claims: SmallObjects, version: Version, path: str) -> None:
    try:
        aliases.advance(Alias.of(version, path))
        claims.delete(str(version.number))
    except StorageError as error:
        error.add_note(
            f"Version {version.number} is saved. If `latest` was not moved to it, the next "
            "save or prune moves it."
        )
        raise
