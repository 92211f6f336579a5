"""The manifest: what an artifact consists of, and the digests that vouch for it.

The format is specified in docs/manifest.md; this module is its only reader and
writer. A *stored manifest* (:class:`StoredManifest`) is the document as it lies
in the store: the manifest of the artifact that is there, plus, while a save is
under way, the manifests of artifacts that may be about to replace it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from remote_models._checksum import DAMAGED, check_checksum, checksum_of
from remote_models._exports import parse_exports
from remote_models._fields import (
    RelativePath,
    array_field,
    malformed,
    object_field,
    parse_relative_path,
    shorten,
    shorten_text,
    text_field,
    texts_field,
    time_field,
)
from remote_models._file_entry import FileEntry
from remote_models._layout import DIRECTORY_MANIFEST, Layout, check_paths, parse_layout
from remote_models._strict_json import (
    MAX_MANIFEST_BYTES,
    NOT_CANONICAL,
    canonical_json,
    parse_json,
)
from remote_models._tensor_table import (
    check_ranges,
    check_rests,
    parse_documents,
    parse_tensors,
)
from remote_models.digest import format_digest, sha256_hex
from remote_models.documents import StoredDocument
from remote_models.errors import ArgumentError, ManifestError
from remote_models.tensors import StoredTensor

__all__ = [
    "DIRECTORY_MANIFEST",
    "FILE_MANIFEST_SUFFIX",
    "MAX_MANIFEST_BYTES",
    "SCHEMA",
    "SCHEMAS",
    "FileEntry",
    "Layout",
    "Manifest",
    "RelativePath",
    "StoredManifest",
    "parse_relative_path",
]

SCHEMA = 2
"""The version of the manifest format that this module writes."""

SCHEMAS = (1, 2)
"""The versions that it reads. From the second on a manifest vouches for itself, and for
each byte of a file by itself, whether it belongs to a tensor or not."""

FILE_MANIFEST_SUFFIX = ".manifest.json"
"""What follows the artifact's name in the name of a file artifact's manifest."""

# What a document holds if it names a present artifact besides those that are pending.
_MEMBERS_OF_CURRENT = frozenset({"format", "layout", "created", "producer", "files"})


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
        tensors: Every tensor in the files, where it lies and what vouches for it.
        block_size: Bytes per block of the tensors' digests; 0 without tensors.
        documents: Where the model's configuration lies in the files.
        exports: The model for other runtimes: words like ``tflite`` to paths in ``files``.
        schema: The version of the manifest format that it is, or will be, written in.
    """

    format: str
    layout: Layout
    created: str
    producer: Mapping[str, str]
    files: Sequence[FileEntry]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    empty_directories: Sequence[RelativePath] = ()
    tensors: Sequence[StoredTensor] = ()
    block_size: int = 0
    documents: Sequence[StoredDocument] = ()
    exports: Mapping[str, RelativePath] = field(default_factory=dict)
    schema: int = SCHEMA
    # The document it was read from, unknown members included. No argument, so that
    # dataclasses.replace() cannot carry it over to other values.
    _source: bytes | None = field(default=None, init=False, repr=False, compare=False)

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

    @property
    def own_files(self) -> Sequence[FileEntry]:
        """The files that the format consists of: all but the exports."""
        exported = set(self.exports.values())
        return [entry for entry in self.files if entry.path not in exported]

    def with_files(self, files: Iterable[FileEntry]) -> Manifest:
        """Return the same manifest with other file entries."""
        return replace(self, files=tuple(files))

    def to_bytes(self) -> bytes:
        """Return the canonical document (docs/manifest.md, "Canonical form")."""
        if self._source is not None:
            return self._source
        document = self.to_json()
        with _json_alone():
            return canonical_json(document)

    def to_json(self) -> dict[str, Any]:
        """Return the document as a JSON object, unknown members and the checksum included."""
        document: dict[str, Any]
        if self._source is not None:
            document = json.loads(self._source)
            return document
        with _json_alone():
            document = self._members()
            return document if self.schema == 1 else {**document, "checksum": checksum_of(document)}

    def _members(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "schema": self.schema,
            "format": self.format,
            "layout": self.layout.value,
            "created": self.created,
            "producer": dict(self.producer),
            "files": [entry.to_json() for entry in self.files],
        }
        if self.metadata:
            # Numbers as names become text, as which they may sort otherwise.
            document["metadata"] = json.loads(canonical_json(self.metadata))
        if self.empty_directories:
            document["empty_directories"] = list(self.empty_directories)
        if self.tensors:
            document["block_size"] = self.block_size
            document["tensors"] = [tensor.to_json() for tensor in self.tensors]
        if self.documents:
            document["documents"] = [each.to_json() for each in self.documents]
        if self.exports:
            document["exports"] = dict(self.exports)
        return document

    @classmethod
    def from_json(cls, value: object, *, where: str = "manifest") -> Manifest:
        """Read a document; the inverse of :meth:`to_json`.

        Raises:
            ManifestError: a member is absent, malformed or unsafe; the message
                names it, as in ``files[2].sha256``.
        """
        document = object_field(value, where)
        schema = _check_schema(document)
        source = _canonical(document)
        check_checksum(document, required=schema > 1)
        if "pending" in document:
            raise malformed("pending", "nothing: it belongs to the stored document", "a member")
        tensors, block_size = parse_tensors(document)
        manifest = cls(
            format=text_field(document.get("format"), "format"),
            layout=parse_layout(document.get("layout")),
            created=time_field(document.get("created"), "created"),
            producer=texts_field(document.get("producer"), "producer"),
            files=tuple(
                FileEntry.from_json(entry, where=f"files[{index}]")
                for index, entry in enumerate(array_field(document.get("files"), "files"))
            ),
            metadata=object_field(document.get("metadata", {}), "metadata"),
            empty_directories=tuple(
                parse_relative_path(path, where=f"empty_directories[{index}]")
                for index, path in enumerate(
                    array_field(document.get("empty_directories", []), "empty_directories")
                )
            ),
            documents=parse_documents(document),
            exports=parse_exports(document),
            tensors=tensors,
            block_size=block_size,
            schema=schema,
        )
        check_paths(manifest.layout, manifest.files, manifest.empty_directories)
        check_ranges(
            manifest.tensors,
            manifest.documents,
            {entry.path: entry.size for entry in manifest.files},
        )
        if schema > 1:
            check_rests(manifest.tensors, manifest.documents, manifest.files)
        object.__setattr__(manifest, "_source", source)
        return manifest


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
        """Return the canonical document; the inverse of :meth:`from_bytes`.

        Raises:
            ArgumentError: no reader would accept it, say for the sake of a number
                in the metadata.
        """
        data = self._encode()
        try:
            StoredManifest.from_bytes(data, where="manifest")
        except ManifestError as error:
            raise ArgumentError(
                f"no reader would accept this manifest: {error.message}",
                where=error.where, expected=error.expected, found=error.found,
            ) from error  # fmt: skip
        return data

    def _encode(self) -> bytes:
        if not self.pending:
            if self.current is None:
                raise ValueError("a stored manifest names at least one artifact")
            return self.current.to_bytes()
        documents = [json.loads(each.to_bytes()) for each in self.candidates]
        schema = max(each.schema for each in self.candidates)
        document = {"schema": schema} if self.current is None else documents.pop(0)
        return canonical_json({**document, "pending": documents})

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
            document = parse_json(data)
            stored = cls._from_document(document)
            _check_form(stored, document, data)
        except ManifestError as error:
            raise _moved(error, f"{where} ({error.where})" if error.where else where) from error
        return stored

    @classmethod
    def _from_document(cls, value: object) -> StoredManifest:
        document = dict(object_field(value, "manifest"))
        schema = _check_schema(document)
        pending = tuple(
            _pending(entry, f"pending[{index}]")
            for index, entry in enumerate(array_field(document.pop("pending", []), "pending"))
        )
        if pending and not _MEMBERS_OF_CURRENT & document.keys():
            if schema < max(each.schema for each in pending):
                raise malformed("schema", "that of the latest in pending, at least", schema)
            return cls(current=None, pending=pending)
        return cls(current=Manifest.from_json(document), pending=pending)


def _pending(value: object, where: str) -> Manifest:
    try:
        return Manifest.from_json(value, where="")
    except ManifestError as error:
        raise _moved(error, f"{where}.{error.where}" if error.where else where) from error


def _moved(error: ManifestError, where: str) -> ManifestError:
    return ManifestError(
        error.message, where=where, expected=error.expected, found=error.found, hint=error.hint
    )


@contextmanager
def _json_alone() -> Iterator[None]:
    """Refuse in a block what JSON cannot hold; only metadata come from outside."""
    try:
        yield
    except NOT_CANONICAL as error:
        raise ArgumentError(
            "cannot be written as JSON", where="metadata", found=shorten_text(str(error)),
            hint="Pass only text, finite numbers, booleans, None, lists and dictionaries of them",
        ) from error  # fmt: skip


def _canonical(document: Mapping[str, Any]) -> bytes:
    try:
        return canonical_json(document)
    except NOT_CANONICAL as error:
        raise ManifestError("not JSON", found=shorten_text(str(error))) from error


def _check_form(stored: StoredManifest, document: object, data: bytes) -> None:
    """Hold that the bytes are those that a writer writes: no other ones mean the same."""
    if all(each.schema == 1 for each in stored.candidates):
        return
    if stored.current is not None and not stored.pending:
        canonical = stored.current.to_bytes()
    else:
        canonical = _canonical(object_field(document, "manifest"))
    if canonical != data:
        raise ManifestError("not in the canonical form", hint=DAMAGED)


def _check_schema(document: Mapping[str, Any]) -> int:
    schema = document.get("schema")
    if type(schema) is int and schema in SCHEMAS:  # neither true nor 1.0
        return schema
    hint = None
    if isinstance(schema, int) and schema > SCHEMA:
        hint = "It was written by a later version: upgrade remote_models"
    raise ManifestError(
        "unknown manifest", where="schema", expected=" or ".join(map(str, SCHEMAS)),
        found=shorten(schema), hint=hint,
    )  # fmt: skip
