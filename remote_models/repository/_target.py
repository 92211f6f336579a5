"""What a number or an alias leads to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, TypeVar

from remote_models.errors import (
    AccessDeniedError,
    CredentialsError,
    IntegrityError,
    ModelNotFoundError,
    RemoteModelsError,
)
from remote_models.remote_model import manifest_location
from remote_models.repository._aliases import LATEST, Alias, Aliases, check_alias
from remote_models.repository._layout import Contents, check_number, layout_of, paths_of
from remote_models.repository._version import read_newest
from remote_models.storage import Location, Store

__all__ = ["Target", "find_target", "follow", "missing_version"]

_T = TypeVar("_T")

_ATTEMPTS = 3
"""Times that a reader follows an alias that moves while it reads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What a number or an alias leads to.

    Attributes:
        number: The version's number.
        path: Where its model lies below the repository.
        manifest_digest: The digest that the alias names; ``None`` without an alias.
        alias: The alias, if one led here.
    """

    number: int
    path: str
    manifest_digest: str | None = None
    alias: str | None = None

    @classmethod
    def of(cls, name: str, alias: Alias) -> Self:
        """Return what an alias leads to."""
        return cls(
            number=alias.version,
            path=alias.path,
            manifest_digest=alias.manifest_digest,
            alias=name,
        )


def find_target(store: Store, root: Location, version: int | str) -> Target:
    """Find what a number or an alias leads to.

    An alias takes one small read. A number takes one look at a manifest, and ``latest``
    a listing if the alias is not there.

    Raises:
        ModelNotFoundError: there is no such version or alias.
        ManifestError: the alias is damaged.
        ArgumentError: it is neither a number nor the name of an alias.
    """
    if not isinstance(version, str):
        return _find_number(store, root, check_number(version))
    aliases = Aliases(store, root)
    alias = aliases.read(check_alias(version))
    if alias is not None:
        return Target.of(version, alias)
    if version != LATEST:
        raise aliases.missing(version)
    newest = _find_newest(store, root)
    if newest is None:
        raise ModelNotFoundError(
            "no version is here", where=str(root), hint="Check the URL; save() makes a version"
        )
    return newest


def follow(store: Store, root: Location, version: int | str, use: Callable[[Target], _T]) -> _T:
    """Use what a number or an alias leads to, and once more if that was pruned meanwhile.

    Raises:
        RemoteModelsError: what ``use`` raises, as far as no other version is to be had.
    """
    target = find_target(store, root, version)
    for _ in range(_ATTEMPTS):
        try:
            return use(target)
        except (ModelNotFoundError, IntegrityError) as error:
            target = _next(store, root, target, error)
    return use(target)


def missing_version(root: Location, number: int) -> ModelNotFoundError:
    """Return the error for a version that is not there."""
    return ModelNotFoundError(
        f"there is no version {number}", where=str(root),
        hint="versions() tells which there are; a model that others put here has to be adopted",
    )  # fmt: skip


def _find_number(store: Store, root: Location, number: int) -> Target:
    refused: AccessDeniedError | None = None
    for path in paths_of(number):
        try:
            store.head(manifest_location(root.join(path), layout_of(path)))
        except ModelNotFoundError:
            continue
        except CredentialsError:
            raise
        except AccessDeniedError as error:
            # S3 says 403 of a missing object to those who may not list the bucket.
            refused = refused or error
        else:
            return Target(number=number, path=path)
    raise refused or missing_version(root, number)


def _find_newest(store: Store, root: Location) -> Target | None:
    contents = Contents.read(store, root)
    newest = read_newest(store, root, contents)
    if newest is None:
        return None
    return Target(number=newest.number, path=contents.models[newest.number], alias=LATEST,
                  manifest_digest=newest.digest)  # fmt: skip


def _next(store: Store, root: Location, target: Target, error: RemoteModelsError) -> Target:
    """Return what to use after a target has failed, or raise why there is nothing else."""
    if target.alias is None:
        raise error
    moved = find_target(store, root, target.alias)
    if moved != target:
        return moved
    try:
        _find_number(store, root, target.number)
    except ModelNotFoundError as missing:
        newest = _find_newest(store, root) if target.alias == LATEST else None
        if newest is None:
            missing.message = f"the alias {target.alias!r} leads to nothing: {missing.message}"
            raise missing from error
        return newest
    raise error
