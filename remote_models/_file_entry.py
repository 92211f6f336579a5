"""One file of an artifact, as a manifest names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from remote_models._fields import (
    RelativePath,
    malformed,
    object_field,
    parse_relative_path,
    size_field,
    text_field,
)
from remote_models.digest import is_sha256

__all__ = ["FileEntry"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FileEntry:
    """One file of an artifact.

    Attributes:
        path: Where it lies inside the artifact.
        size: Its length in bytes.
        sha256: Hexadecimal SHA-256 of the whole file.
        rest_sha256: Hexadecimal SHA-256 of the bytes that belong to no tensor and no
            document, one after the other; ``None`` where the manifest does not say.
        version: The store's name for these very bytes (S3 VersionId, GCS
            generation) where the store keeps versions, else ``None``.
        etag: What the store answers for these bytes and no others as long as they are
            there, if it said so when they were written.
    """

    path: RelativePath
    size: int
    sha256: str
    rest_sha256: str | None = None
    version: str | None = None
    etag: str | None = None

    @classmethod
    def from_json(cls, value: object, *, where: str) -> FileEntry:
        """Read one element of ``files``; the inverse of :meth:`to_json`."""
        fields = object_field(value, where)
        names = {
            name: text_field(fields[name], f"{where}.{name}")
            for name in ("version", "etag")
            if name in fields
        }
        rest = "rest_sha256" in fields
        return cls(
            path=parse_relative_path(fields.get("path"), where=f"{where}.path"),
            size=size_field(fields.get("size"), f"{where}.size"),
            sha256=_sha256(fields, "sha256", where),
            rest_sha256=_sha256(fields, "rest_sha256", where) if rest else None,
            version=names.get("version"),
            etag=names.get("etag"),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the element of ``files`` that describes this file."""
        entry: dict[str, Any] = {"path": self.path, "size": self.size, "sha256": self.sha256}
        optional = {"rest_sha256": self.rest_sha256, "version": self.version, "etag": self.etag}
        return {**entry, **{name: text for name, text in optional.items() if text is not None}}


def _sha256(fields: Mapping[str, Any], name: str, where: str) -> str:
    digest = fields.get(name)
    if not is_sha256(digest):
        raise malformed(f"{where}.{name}", "64 lower-case hexadecimal digits", digest)
    return str(digest)
