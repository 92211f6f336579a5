"""Aliases: names that lead to a version, each a small document of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from remote_models._api._neighbours import ALIASES, LATEST
from remote_models._fields import shorten, size_field, text_field, time_field
from remote_models.digest import parse_digest
from remote_models.errors import (
    AccessDeniedError,
    ArgumentError,
    ConflictError,
    CredentialsError,
    IntegrityError,
    ManifestError,
    ModelNotFoundError,
    StoreUnavailableError,
)
from remote_models.repository._layout import paths_of
from remote_models.repository._small_objects import SmallObjects, parse_document
from remote_models.repository._version import Version
from remote_models.storage import Location, Store

__all__ = ["LATEST", "Alias", "Aliases", "check_alias"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,62}")
"""A letter first, so that no alias is a number. No slash: it is one object in its folder."""

_ATTEMPTS = 100
"""Changes of one alias by others that a change of ours waits for."""


def check_alias(name: object) -> str:
    """Return ``name`` if an alias may have it.

    Raises:
        ArgumentError: it may not.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ArgumentError(
            "not the name of an alias", where="alias", found=shorten(name),
            expected="a letter, and at most 62 letters, digits, '.', '_' and '-' after it",
        )  # fmt: skip
    return name


@dataclass(frozen=True, kw_only=True, slots=True)
class Alias:
    """Which version a name stands for.

    Attributes:
        version: The version's number.
        path: Where its model lies below the repository, so that a reader need not look.
        manifest_digest: The digest of its manifest: the alias leads to these bytes.
        updated: When the alias was set, UTC, ``YYYY-MM-DDThh:mm:ssZ``.
    """

    version: int
    path: str
    manifest_digest: str
    updated: str

    @classmethod
    def of(cls, version: Version, path: str) -> Self:
        """Return the alias that leads to ``version``, from now on."""
        return cls(
            version=version.number,
            path=path,
            manifest_digest=version.digest,
            updated=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )

    @classmethod
    def from_bytes(cls, data: bytes, *, where: str) -> Self:
        """Read a document; the inverse of :meth:`to_json`.

        Raises:
            ManifestError: it is malformed, or leads out of the version that it names.
        """
        document = parse_document(data, where)
        number = size_field(document.get("version"), f"{where} (version)")
        path = text_field(document.get("path"), f"{where} (path)")
        if number < 1 or path not in paths_of(number):
            # Whoever writes an alias must not lead readers to another place (CWE-22).
            raise ManifestError(
                "unsafe path", where=f"{where} (path)", found=shorten(path),
                expected=" or ".join(paths_of(number)),
            )  # fmt: skip
        digest = text_field(document.get("manifest_digest"), f"{where} (manifest_digest)")
        try:
            parse_digest(digest)
        except ArgumentError as error:
            raise ManifestError(
                error.message, where=f"{where} (manifest_digest)",
                expected=error.expected, found=shorten(digest),
            ) from error  # fmt: skip
        return cls(
            version=number,
            path=path,
            manifest_digest=digest,
            updated=time_field(document.get("updated"), f"{where} (updated)"),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the document as a JSON object."""
        return {
            "version": self.version,
            "path": self.path,
            "manifest_digest": self.manifest_digest,
            "updated": self.updated,
        }


class Aliases:
    """The aliases of a repository.

    A change is a compare-and-swap: of two at once, each sees what the other has left.
    """

    def __init__(self, store: Store, root: Location) -> None:
        self._objects = SmallObjects(store=store, root=root, folder=ALIASES)
        self._store = store

    def read(self, name: str) -> Alias | None:
        """Return what a name stands for, in one small read.

        Raises:
            ManifestError: the alias is damaged.
        """
        data = self._objects.read(name)
        return None if data is None else self._parse(name, data)

    def location(self, name: str) -> Location:
        """Return where an alias lies."""
        return self._objects.location(name)

    def read_all(self) -> Mapping[str, Alias]:
        """Return all aliases, by name; one listing and one small read each.

        Raises:
            ManifestError: one of them is damaged.
        """
        names = [name for name in self._objects.names() if _NAME.fullmatch(name)]
        return self.read_these(names)

    def read_these(self, names: Sequence[str]) -> Mapping[str, Alias]:
        """Return those of some aliases that are there."""
        if not names:
            return {}
        workers = min(self._store.transfer.max_concurrency, len(names))
        with ThreadPoolExecutor(workers, thread_name_prefix="remote_models") as pool:
            found = zip(names, pool.map(self.read, names), strict=True)
            return {name: alias for name, alias in found if alias is not None}

    def highest(self) -> int:
        """Return the version of ``latest``; 0 without it, or where one may not read it.

        Raises:
            CredentialsError: credentials are no good.
        """
        try:
            alias = self.read(LATEST)
        except CredentialsError:
            raise
        except (AccessDeniedError, IntegrityError):
            return 0  # absent, as S3 says it to those who may not list; or to be made good
        return alias.version if alias else 0

    def advance(self, coming: Alias) -> None:
        """Let ``latest`` lead to a version, unless it leads to that or a later one already.

        It never goes back, however many do this at once.
        """
        for _ in range(_ATTEMPTS):
            found = self._look(LATEST)
            present = None if found is None else self._version_in(found[0])
            if present is not None and present >= coming.version:
                return
            try:
                self._change(LATEST, coming, found)
            except ConflictError:
                continue
            return
        raise _too_busy(self._objects.location(LATEST))

    def set(self, name: str, coming: Alias) -> bytes | None:
        """Let a name lead to a version, and return the document that was there before."""
        for _ in range(_ATTEMPTS):
            found = self._look(name)
            try:
                self._change(name, coming, found)
            except ConflictError:
                continue
            return None if found is None else found[0]
        raise _too_busy(self._objects.location(name))

    def take_back(self, name: str, ours: Alias, before: bytes | None) -> None:
        """Undo :meth:`set`, unless somebody else has set the name meanwhile."""
        found = self._look(name)
        if found is None or self._parse(name, found[0]) != ours:
            return
        if before is None:
            self._objects.delete(name)
            return
        try:
            self._change(name, self._parse(name, before), found)
        except ConflictError:
            return

    def delete(self, name: str) -> None:
        """Delete an alias.

        Raises:
            ModelNotFoundError: there is none of this name.
        """
        if self._objects.look(name) is None:
            raise missing_alias(self._objects.location(name), name)
        self._objects.delete(name)

    def missing(self, name: str) -> ModelNotFoundError:
        """Return the error for an alias that is not there."""
        return missing_alias(self._objects.location(name), name)

    def _look(self, name: str) -> tuple[bytes, str | None] | None:
        try:
            return self._objects.look(name)
        except CredentialsError:
            raise
        except AccessDeniedError:
            return None  # if it is there after all, the exclusive create will say so

    def _version_in(self, data: bytes) -> int | None:
        try:
            return self._parse(LATEST, data).version
        except ManifestError:
            return None  # damaged: it says nothing, and is replaced

    def _change(self, name: str, coming: Alias, found: tuple[bytes, str | None] | None) -> None:
        if found is None:
            self._objects.create(name, coming.to_json())
        else:
            self._objects.replace(name, coming.to_json(), found[1])

    def _parse(self, name: str, data: bytes) -> Alias:
        return Alias.from_bytes(data, where=str(self._objects.location(name)))


def missing_alias(location: Location, name: str) -> ModelNotFoundError:
    """Return the error for an alias that is not there."""
    return ModelNotFoundError(
        f"there is no alias {name!r}", where=str(location),
        hint="set_alias() sets one, aliases() tells which there are",
    )  # fmt: skip


def _too_busy(location: Location) -> StoreUnavailableError:
    return StoreUnavailableError(
        "others change this alias all the time", where=str(location), hint="Try again"
    )
