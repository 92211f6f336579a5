"""The manifest: what an artifact consists of, and the digests that vouch for it.

The format is specified in docs/manifest.md; this module is its only reader and
writer. A *stored manifest* (:class:`StoredManifest`) is the document as it lies
in the store: the manifest of the artifact that is there, plus, while a save is
under way, the manifests of artifacts that may be about to replace it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, NewType

from remote_models.digest import format_digest, is_sha256, sha256_hex
from remote_models.errors import ArgumentError, ManifestError

__all__ = [
    "MAX_MANIFEST_BYTES",
    "SCHEMA",
    "FileEntry",
    "Layout",
    "Manifest",
    "RelativePath",
    "StoredManifest",
    "parse_relative_path",
]

SCHEMA = 1
"""The version of the manifest format that this module writes."""

MAX_MANIFEST_BYTES = 256 * 1024 * 1024
"""A larger document is refused unread: 10,000 tensors of 1 GiB need about 8 MB."""

RelativePath = NewType("RelativePath", str)
"""A path inside an artifact that :func:`parse_relative_path` let through."""

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Layout(Enum):
    """How an artifact's files lie around its URL."""

    FILE = "file"
    """One file, or several that share the URL's folder: paths start at that folder."""

    DIRECTORY = "directory"
    """A folder: the URL is the folder, and paths start inside it."""


def parse_relative_path(text: object, *, where: str) -> RelativePath:
    """Return ``text`` if it is a safe path inside an artifact.

    Safe is: parts joined by single ``/``, none of them empty, ``.`` or ``..``, no
    backslash and no control character. So no path leaves the artifact (CWE-22)
    and every file has one spelling.

    Raises:
        ManifestError: it is not; ``where`` names the field in the message.
    """
    if not isinstance(text, str):
        raise ManifestError("not a path", where=where, expected="text", found=repr(text))
    if any(part in ("", ".", "..") for part in text.split("/")):
        raise ManifestError(
            "unsafe path",
            where=where,
            expected="a relative path without empty, '.' or '..' parts",
            found=repr(text),
        )
    if "\\" in text or _CONTROL.search(text):
        raise ManifestError(
            "unsafe path", where=where, expected="no backslash, no control character",
            found=repr(text),
        )  # fmt: skip
    return RelativePath(text)


@dataclass(frozen=True, kw_only=True, slots=True)
class FileEntry:
    """One file of an artifact.

    Attributes:
        path: Where it lies inside the artifact.
        size: Its length in bytes.
        sha256: Hexadecimal SHA-256 of the whole file.
        version: The store's name for these very bytes (S3 VersionId, GCS
            generation) where the store keeps versions, else ``None``.
    """

    path: RelativePath
    size: int
    sha256: str
    version: str | None = None

    @classmethod
    def from_json(cls, value: object, *, where: str) -> FileEntry:
        """Read one element of ``files``; the inverse of :meth:`to_json`."""
        fields = _object(value, where)
        version = fields.get("version")
        if version is not None and not isinstance(version, str):
            raise _unexpected(f"{where}.version", "text", version)
        digest = fields.get("sha256")
        if not is_sha256(digest):
            raise _unexpected(f"{where}.sha256", "64 lower-case hexadecimal digits", digest)
        return cls(
            path=parse_relative_path(fields.get("path"), where=f"{where}.path"),
            size=_size(fields.get("size"), f"{where}.size"),
            sha256=str(digest),
            version=version,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the element of ``files`` that describes this file."""
        entry: dict[str, Any] = {"path": self.path, "size": self.size, "sha256": self.sha256}
        if self.version is not None:
            entry["version"] = self.version
        return entry


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What one whole artifact consists of.

    Attributes:
        format: The artifact's format, a value of ``formats.Format``.
        layout: How the files lie around the URL.
        created: When the artifact was made, UTC, ``YYYY-MM-DDThh:mm:ssZ``.
        producer: What made it: names of programs to their versions.
        metadata: The user's own JSON object (step, metrics, git commit, …).
        files: Every file, sorted by path.
        empty_directories: Folders without a file, which a store of objects
            cannot hold and a download makes again.
    """

    format: str
    layout: Layout
    created: str
    producer: Mapping[str, str]
    files: Sequence[FileEntry]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    empty_directories: Sequence[RelativePath] = ()
    _source: bytes | None = field(default=None, repr=False, compare=False)

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of the canonical document: it pins the whole artifact."""
        return format_digest(sha256_hex(self.to_bytes()))

    @property
    def total_size(self) -> int:
        """The bytes of all files together."""
        return sum(entry.size for entry in self.files)

    def file(self, path: str) -> FileEntry | None:
        """Return the entry of the file at ``path``, or ``None``."""
        return next((entry for entry in self.files if entry.path == path), None)

    def with_files(self, files: Iterable[FileEntry]) -> Manifest:
        """Return the same manifest with other file entries."""
        return replace(self, files=tuple(files), _source=None)

    def to_bytes(self) -> bytes:
        """Return the canonical document (docs/manifest.md, "Canonical form")."""
        return self._source if self._source is not None else _canonical(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Return the document as a JSON object, unknown members included."""
        document: dict[str, Any]
        if self._source is not None:
            document = json.loads(self._source)
            return document
        document = {
            "schema": SCHEMA,
            "format": self.format,
            "layout": self.layout.value,
            "created": self.created,
            "producer": dict(self.producer),
            "files": [entry.to_json() for entry in self.files],
        }
        if self.metadata:
            document["metadata"] = dict(self.metadata)
        if self.empty_directories:
            document["empty_directories"] = list(self.empty_directories)
        return document

    @classmethod
    def from_json(cls, value: object, *, where: str = "manifest") -> Manifest:
        """Read a document; the inverse of :meth:`to_json`.

        Raises:
            ManifestError: a member is absent, malformed or unsafe; the message
                names it, as in ``files[2].sha256``.
        """
        document = _object(value, where)
        _check_schema(document)
        files = tuple(
            FileEntry.from_json(entry, where=f"files[{index}]")
            for index, entry in enumerate(_array(document.get("files"), "files"))
        )
        directories = tuple(
            parse_relative_path(path, where=f"empty_directories[{index}]")
            for index, path in enumerate(
                _array(document.get("empty_directories", []), "empty_directories")
            )
        )
        _check_paths([entry.path for entry in files], directories)
        layout = document.get("layout")
        if layout not in [each.value for each in Layout]:
            raise _unexpected("layout", "'file' or 'directory'", layout)
        created = document.get("created")
        if not isinstance(created, str) or not _TIMESTAMP.fullmatch(created):
            raise _unexpected("created", "YYYY-MM-DDThh:mm:ssZ", created)
        return cls(
            format=_text(document.get("format"), "format"),
            layout=Layout(layout),
            created=created,
            producer=_texts(document.get("producer"), "producer"),
            files=files,
            metadata=_object(document.get("metadata", {}), "metadata"),
            empty_directories=directories,
            _source=_canonical(document),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredManifest:
    """The document as it lies in the store.

    Attributes:
        current: The artifact that a finished save left, or ``None`` while the
            first save is under way.
        pending: Artifacts whose save has begun and may or may not have come
            through, oldest first.
    """

    current: Manifest | None
    pending: Sequence[Manifest] = ()

    @property
    def candidates(self) -> Sequence[Manifest]:
        """Every manifest that may describe what lies in the store, likeliest first."""
        return (*((self.current,) if self.current else ()), *self.pending)

    def to_bytes(self) -> bytes:
        """Return the canonical document; the inverse of :meth:`from_bytes`."""
        if not self.pending:
            if self.current is None:
                raise ValueError("a stored manifest names at least one artifact")
            return self.current.to_bytes()
        document: dict[str, Any] = {"schema": SCHEMA}
        if self.current is not None:
            document = self.current.to_json()
        document["pending"] = [manifest.to_json() for manifest in self.pending]
        return _canonical(document)

    @classmethod
    def from_bytes(cls, data: bytes, *, where: str) -> StoredManifest:
        """Read a stored document.

        Args:
            data: The bytes of the object or file.
            where: Its URL, for messages.

        Raises:
            ManifestError: it is no manifest, or one that breaks a rule of
                docs/manifest.md; such a manifest is refused whole.
        """
        try:
            return cls._from_document(_parse_json(data))
        except ManifestError as error:
            inside = f"{where} ({error.where})" if error.where else where
            raise ManifestError(
                error.message, where=inside, expected=error.expected, found=error.found,
                hint=error.hint,
            ) from error  # fmt: skip

    @classmethod
    def _from_document(cls, value: object) -> StoredManifest:
        document = dict(_object(value, "manifest"))
        _check_schema(document)
        pending = tuple(
            Manifest.from_json(entry, where=f"pending[{index}]")
            for index, entry in enumerate(_array(document.pop("pending", []), "pending"))
        )
        current = None
        if "files" in document or not pending:
            current = Manifest.from_json(document)
        return cls(current=current, pending=pending)


def _parse_json(data: bytes) -> object:
    if len(data) > MAX_MANIFEST_BYTES:
        raise ManifestError(
            "too large", expected=f"at most {MAX_MANIFEST_BYTES} bytes", found=len(data)
        )
    try:
        return json.loads(data, object_pairs_hook=_unique_members, parse_constant=_refuse_constant)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ManifestError(
            "not JSON", found=str(error), hint="The file is damaged, or belongs to something else"
        ) from error
    except RecursionError as error:
        raise ManifestError("nested too deeply") from error


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        # Two readers that keep different duplicates would see different manifests.
        raise ManifestError(
            "a member stands twice in one object", found=sorted(k for k, _ in pairs)
        )
    return members


def _refuse_constant(name: str) -> object:
    raise ManifestError("not JSON", found=name)


def _canonical(document: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(
            document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        ).encode()
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            "cannot be written as JSON", where="metadata", found=str(error),
            hint="Pass only text, finite numbers, booleans, None, lists and dictionaries of them",
        ) from error  # fmt: skip


def _check_schema(document: Mapping[str, Any]) -> None:
    schema = document.get("schema")
    if schema == SCHEMA and not isinstance(schema, bool):
        return
    hint = None
    if isinstance(schema, int) and schema > SCHEMA:
        hint = "It was written by a later version: upgrade remote_models"
    raise ManifestError(
        "unknown manifest", where="schema", expected=SCHEMA, found=schema, hint=hint
    )


def _check_paths(files: Sequence[RelativePath], directories: Sequence[RelativePath]) -> None:
    if not files:
        raise ManifestError("no file", where="files", expected="at least one")
    taken = set(files)
    if len(taken) != len(files):
        raise ManifestError(
            "a file stands twice", where="files", found=f"{len(files) - len(taken)} repeated paths"
        )
    for path in (*files, *directories):
        for parent in _parents(path):
            if parent in taken:
                raise ManifestError(
                    "a path is both a file and a folder", where="files", found=repr(parent)
                )
    for path in directories:
        if path in taken:
            raise ManifestError(
                "a path is both a file and a folder", where="empty_directories", found=repr(path)
            )


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _unexpected(where: str, expected: str, found: object) -> ManifestError:
    return ManifestError("malformed", where=where, expected=expected, found=_shorten(found))


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _unexpected(where, "an object", value)
    return value


def _array(value: object, where: str) -> Sequence[object]:
    if not isinstance(value, list):
        raise _unexpected(where, "an array", value)
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise _unexpected(where, "text", value)
    return value


def _texts(value: object, where: str) -> Mapping[str, str]:
    return {key: _text(text, f"{where}.{key}") for key, text in _object(value, where).items()}


def _size(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise _unexpected(where, "a whole number of bytes", value)
    return value
