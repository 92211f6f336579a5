"""Small JSON documents in one folder: aliases, claims and marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remote_models._api._neighbours import DOCUMENT_SUFFIX
from remote_models._fields import object_field
from remote_models._strict_json import canonical_json, parse_json
from remote_models.errors import (
    BucketNotFoundError,
    IntegrityError,
    ManifestError,
    ModelNotFoundError,
)
from remote_models.storage import Location, Publication, Store, read_all

__all__ = ["SCHEMA", "SUFFIX", "SmallObjects", "parse_document"]

SCHEMA = 1
"""The version of the documents that this room writes."""

SUFFIX = DOCUMENT_SUFFIX

_MOST_BYTES = 64 * 1024
"""A longer document is none of ours, and is refused."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SmallObjects:
    """Small JSON documents ``NAME.json`` in one folder of a store.

    Attributes:
        store: The store.
        root: The folder in which the folder lies; both are made where there are folders.
        folder: The folder's name.
    """

    store: Store
    root: Location
    folder: str

    def location(self, name: str) -> Location:
        """Return where a document lies."""
        return self.root.join(self.folder).join(f"{name}{SUFFIX}")

    def make_folder(self) -> None:
        """Make the folder, and the repository's around it, where the store has folders."""
        for folder in (self.root, self.root.join(self.folder)):
            self.store.make_directory(folder)

    def names(self) -> Sequence[str]:
        """Return the names of the documents, sorted."""
        found = self.store.list(self.root.join(self.folder))
        return sorted(
            name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX) and "/" not in name
        )

    def read(self, name: str) -> bytes | None:
        """Return a document, in one request, or ``None`` if there is none.

        Raises:
            AccessDeniedError: one may not read; S3 says so, too, of a missing object to
                those who may not list.
        """
        location = self.location(name)
        try:
            return read_all(self.store, location, limit=_MOST_BYTES)
        except BucketNotFoundError:
            if not location.is_local:  # locally the folder is made with the first document
                raise
            return None
        except ModelNotFoundError:
            return None

    def look(self, name: str) -> tuple[bytes, str | None] | None:
        """Return a document and the etag that :meth:`replace` takes, or ``None``."""
        location = self.location(name)
        try:
            data, info = self.store.transfer.retry.retried(
                lambda: self.store.read_whole(location, limit=_MOST_BYTES)
            )
        except BucketNotFoundError:
            if not location.is_local:
                raise
            return None
        except ModelNotFoundError:
            return None
        except IntegrityError:  # too long for one of ours; what replaces it need not read it
            return b"", self.store.head(location).etag
        return bytes(data), info.etag

    def create(self, name: str, document: Mapping[str, Any]) -> None:
        """Write a document that must not be there: the store refuses it otherwise.

        Raises:
            ConflictError: there is one.
            AmbiguousCommitError: the answer was lost, and the store cannot be asked.
        """
        self._write(name, document, if_absent=True)

    def replace(self, name: str, document: Mapping[str, Any], etag: str | None) -> None:
        """Write a document in the place of the one that :meth:`look` has seen.

        Raises:
            ConflictError: another one is there by now, or none.
            AmbiguousCommitError: the answer was lost, and the store cannot be asked.
        """
        self._write(name, document, if_match=etag)

    def put(self, name: str, document: Mapping[str, Any]) -> None:
        """Write a document whatever is there."""
        self._write(name, document)

    def delete(self, name: str) -> None:
        """Delete a document; that it is gone already is no error."""
        self.store.delete(self.location(name))

    def _write(
        self,
        name: str,
        document: Mapping[str, Any],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> None:
        location = self.location(name)
        data = canonical_json({"schema": SCHEMA, **document})
        self.make_folder()
        with Publication(self.store, if_absent=if_absent, if_match=if_match) as publication:
            publication.stage(location, len(data), [data])
            publication.commit(lambda _location, _committed: None)


def parse_document(data: bytes, where: str) -> Mapping[str, Any]:
    """Read a document that :class:`SmallObjects` wrote.

    Raises:
        ManifestError: it is no JSON object, or one of a later version.
    """
    try:
        document = object_field(parse_json(data), "document")
    except ManifestError as error:
        raise ManifestError(error.message, where=where, found=error.found) from error
    if document.get("schema") != SCHEMA:
        raise ManifestError(
            "unknown document", where=where, expected=f"schema {SCHEMA}",
            hint="It may have been written by a later version: upgrade remote_models",
        )  # fmt: skip
    return document
