"""An opened artifact: its manifest, its files, and the bytes that they vouch for."""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from remote_models.digest import format_digest, parse_digest
from remote_models.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    CredentialsError,
    IncompleteModelError,
    IntegrityError,
    ManifestError,
    ModelNotFoundError,
    RemoteModelsError,
)
from remote_models.formats import (
    Format,
    Recognition,
    recognise_directory,
    recognise_file,
    shard_names,
)
from remote_models.manifest import (
    MAX_MANIFEST_BYTES,
    FileEntry,
    Layout,
    Manifest,
    RelativePath,
    StoredManifest,
    parse_relative_path,
)
from remote_models.storage import (
    Location,
    ProgressCallback,
    ProgressMeter,
    Store,
    open_reader,
    read_all,
    read_chunks,
)

__all__ = [
    "FileMismatch",
    "RemoteModel",
    "VerifyReport",
    "manifest_location",
    "read_stored_manifest",
]

_ATTEMPTS = 4
"""Reads of an artifact that is being replaced meanwhile, before giving up."""

_BACKOFF_SECONDS = 0.25

_FILE_SUFFIXES = (".h5", ".hdf5", ".keras", ".json")


@dataclass(frozen=True, kw_only=True, slots=True)
class FileMismatch:
    """A file that is not what the manifest says.

    Attributes:
        path: The file, relative to the artifact.
        expected: The size and digest in the manifest.
        found: What lies in the store.
    """

    path: str
    expected: str
    found: str


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifyReport:
    """What verification of an artifact found.

    Attributes:
        url: The artifact.
        manifest_digest: The digest of the manifest that was checked against.
        verified: Files whose every byte is as the manifest says.
        missing: Files that the manifest names and the store does not hold.
        mismatched: Files with another size or digest.
        unexpected: Files in the artifact's directory that the manifest does not
            name; ``None`` where they could not be listed.
        bytes_read: Bytes read to find out.
    """

    url: str
    manifest_digest: str
    verified: Sequence[str]
    missing: Sequence[str]
    mismatched: Sequence[FileMismatch]
    unexpected: Sequence[str] | None
    bytes_read: int

    @property
    def ok(self) -> bool:
        """Whether the artifact is whole, unchanged and without a foreign file."""
        return not (self.missing or self.mismatched or self.unexpected)


class RemoteModel:
    """An artifact in a store, opened by reading its manifest and nothing else.

    Attributes:
        location: Where it lies.
        manifest: What it consists of; ``None`` for an artifact without a manifest,
            for whose bytes nothing vouches.
        layout: Whether it is a file (or several side by side) or a directory.
        files: The relative path and size of every file.
    """

    def __init__(
        self,
        store: Store,
        location: Location,
        *,
        layout: Layout,
        stored: StoredManifest | None,
        files: Mapping[str, int],
        pinned: str | None = None,
    ) -> None:
        self._store = store
        self._stored = stored
        self._pinned = pinned
        self.location = location
        self.layout = layout
        self.files = files

    @property
    def manifest(self) -> Manifest | None:
        """The likeliest manifest of what is there, or ``None``."""
        return self._stored.candidates[0] if self._stored else None

    @property
    def is_verifiable(self) -> bool:
        """Whether a manifest vouches for the bytes."""
        return self._stored is not None

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The user's own metadata; empty without a manifest."""
        return self.manifest.metadata if self.manifest else {}

    @property
    def total_size(self) -> int:
        """The bytes of all files together."""
        return sum(self.files.values())

    @property
    def format(self) -> Format | None:
        """The format that the manifest states; ``None`` without one, or from a later version."""
        known = {each.value: each for each in Format}
        return known.get(self.manifest.format) if self.manifest else None

    @classmethod
    def open(
        cls, store: Store, location: Location, *, manifest_digest: str | None = None
    ) -> RemoteModel:
        """Open what lies at ``location``: one small read where there is a manifest.

        Args:
            store: The store that serves ``location``.
            location: The artifact's URL.
            manifest_digest: ``sha256:<hex>`` that the manifest must have.

        Raises:
            ModelNotFoundError: nothing is there.
            ManifestError: the manifest is malformed or not the pinned one.
        """
        if manifest_digest is not None:
            parse_digest(manifest_digest)
        found = _find_manifest(store, location)
        if found is None:
            if manifest_digest is not None:
                raise ManifestError(
                    "no manifest is here to compare with the pinned digest",
                    where=str(location),
                    expected=manifest_digest,
                )
            layout, files = _find_files(store, location)
            return cls(store, location, layout=layout, stored=None, files=files)
        layout, stored = found
        if manifest_digest is not None:
            stored = _pin(stored, manifest_digest, str(location))
        files = {entry.path: entry.size for entry in stored.candidates[0].files}
        return cls(
            store, location, layout=layout, stored=stored, files=files, pinned=manifest_digest
        )

    def file_location(self, path: str) -> Location:
        """Return where the file at the relative ``path`` lies."""
        folder = self.location if self.layout is Layout.DIRECTORY else self.location.parent
        return folder.join(path)

    def download(self, directory: Path, progress: ProgressCallback | None = None) -> list[str]:
        """Copy every file into ``directory``, which must be empty, and return their paths.

        Each file is checked against the manifest while it is copied. When the
        artifact is replaced meanwhile, the copy starts again with the new one: it
        is the old model, the new model or an error, never a mixture.

        Raises:
            IntegrityError: a byte differs from what the manifest vouches for.
            IncompleteModelError: only an unfinished save is here.
        """
        if self._stored is None:
            return self._copy_unverified(directory, progress)
        return self._with_candidates(
            self._stored, lambda manifest: self._copy(manifest, directory, progress), directory
        )

    def recognise(self, copy: Path | None = None) -> Recognition:
        """Say what the artifact is, by its bytes.

        Args:
            copy: The directory with a verified copy; without one the structure is
                read from the store by ranges, and nothing checks those bytes.

        Raises:
            UnrecognizedFormatError: it is no model; the message says what it is.
            UnsafeFormatError: it is a pickle.
        """

        def open_file(path: str) -> IO[bytes]:
            if copy is not None:
                return (copy / path).open("rb")
            return open_reader(self._store, self.file_location(path), self.files[path])

        where = str(self.location)
        if self.layout is Layout.DIRECTORY:
            return recognise_directory(tuple(self.files), open_file, where=where)
        name = self.location.name
        if name not in self.files and f"{name}.index" in self.files:
            return Recognition(format=Format.CHECKPOINT, generation=2)
        with open_file(name) as file:
            return recognise_file(file, where=where)

    def verify(self, progress: ProgressCallback | None = None) -> VerifyReport:
        """Read every byte and compare it with the manifest; report all that differs.

        Raises:
            ManifestError: there is no manifest to compare with.
        """
        if self._stored is None:
            raise ManifestError(
                "no manifest vouches for these files",
                where=str(self.location),
                hint="Save the model with remote_models, or push a copy of it, to get one",
            )
        reports = [self._report(manifest, progress) for manifest in self._stored.candidates[:1]]
        for manifest in self._stored.candidates[1:]:
            if not reports[-1].ok:
                reports.append(self._report(manifest, None))
        return next((report for report in reports if report.ok), reports[0])

    def _report(self, manifest: Manifest, progress: ProgressCallback | None) -> VerifyReport:
        meter = ProgressMeter("verify", str(self.location), manifest.total_size, progress)
        verified: list[str] = []
        missing: list[str] = []
        mismatched: list[FileMismatch] = []
        read = 0
        for entry in manifest.files:
            try:
                size, digest = self._digest(entry, meter)
            except ModelNotFoundError:
                missing.append(entry.path)
                continue
            read += size
            if (size, digest) == (entry.size, entry.sha256):
                verified.append(entry.path)
            else:
                mismatched.append(
                    FileMismatch(
                        path=entry.path,
                        expected=_describe(entry.size, entry.sha256),
                        found=_describe(size, digest),
                    )
                )
        return VerifyReport(
            url=str(self.location),
            manifest_digest=manifest.digest,
            verified=verified,
            missing=missing,
            mismatched=mismatched,
            unexpected=self._unexpected(manifest),
            bytes_read=read,
        )

    def _digest(self, entry: FileEntry, meter: ProgressMeter) -> tuple[int, str]:
        """Return the true size of a file and its digest, or "" if the size alone differs."""
        location = self.file_location(entry.path)
        size = self._store.head(location).size
        if size != entry.size:
            return size, ""
        hasher = hashlib.sha256()
        for chunk in read_chunks(self._store, location, size):
            hasher.update(chunk)
            meter.advance(len(chunk))
        return size, hasher.hexdigest()

    def _unexpected(self, manifest: Manifest) -> Sequence[str] | None:
        if self.layout is Layout.FILE:
            return []  # what else lies in the folder belongs to others
        known = {entry.path for entry in manifest.files} | {_MANIFEST_NAME}
        try:
            return sorted(set(self._store.list(self.location)) - known)
        except AccessDeniedError:
            return None

    def _with_candidates(
        self,
        stored: StoredManifest,
        read: Callable[[Manifest], list[str]],
        directory: Path,
    ) -> list[str]:
        """Try what may be there until one candidate is there as a whole."""
        for attempt in range(1, _ATTEMPTS + 1):
            failures: list[RemoteModelsError] = []
            for manifest in stored.candidates:
                try:
                    paths = read(manifest)
                except (IntegrityError, ModelNotFoundError) as error:
                    failures.append(error)
                    _empty(directory)
                else:
                    self._settle(manifest)
                    return paths
            latest = self._reread()
            if attempt == _ATTEMPTS or (latest == stored and not stored.pending):
                raise self._failure(stored, failures[0])
            stored = latest
            time.sleep(_BACKOFF_SECONDS * attempt)
        raise AssertionError("unreachable")

    def _settle(self, manifest: Manifest) -> None:
        """Describe from now on what was read, which may be newer than what was opened."""
        self._stored = StoredManifest(current=manifest)
        self.files = {entry.path: entry.size for entry in manifest.files}

    def _reread(self) -> StoredManifest:
        stored = read_stored_manifest(
            self._store, manifest_location(self.location, self.layout), self.layout
        )
        if self._pinned is not None:
            return _pin(stored, self._pinned, str(self.location))
        return stored

    def _failure(self, stored: StoredManifest, failure: RemoteModelsError) -> RemoteModelsError:
        if stored.pending:
            return IncompleteModelError(
                "a save was cut short here, or is still under way",
                where=str(self.location),
                hint="Wait for it, or save the model again with overwrite=True",
            )
        if isinstance(failure, ModelNotFoundError):
            return IntegrityError(
                "a file of the model is missing",
                where=failure.where,
                hint="Save the model again, or restore the file",
            )
        return failure

    def _copy(
        self, manifest: Manifest, directory: Path, progress: ProgressCallback | None
    ) -> list[str]:
        meter = ProgressMeter("download", str(self.location), manifest.total_size, progress)
        for entry in manifest.files:
            self._copy_entry(entry, directory / entry.path, meter)
        for path in manifest.empty_directories:
            (directory / path).mkdir(parents=True, exist_ok=True)
        return [entry.path for entry in manifest.files]

    def _copy_entry(self, entry: FileEntry, target: Path, meter: ProgressMeter) -> None:
        try:
            self._copy_version(entry, None, target, meter)
        except (IntegrityError, ModelNotFoundError):
            if entry.version is None:
                raise
            # Replaced since, but the store still holds the version that the
            # manifest pins. (Asked for second: it needs s3:GetObjectVersion.)
            self._copy_version(entry, entry.version, target, meter)

    def _copy_version(
        self, entry: FileEntry, version: str | None, target: Path, meter: ProgressMeter
    ) -> None:
        location = self.file_location(entry.path)
        chunks = read_chunks(self._store, location, entry.size, version=version)
        with _counted_back(meter) as count:
            digest = _write_file(target, count(chunks))
            if digest != entry.sha256:
                raise IntegrityError(
                    "the bytes are not those that the manifest vouches for",
                    where=str(location),
                    expected=format_digest(entry.sha256),
                    found=format_digest(digest),
                    hint="Restore the file or save the model again",
                )

    def _copy_unverified(self, directory: Path, progress: ProgressCallback | None) -> list[str]:
        meter = ProgressMeter("download", str(self.location), self.total_size, progress)
        for path, size in self.files.items():
            with _counted_back(meter) as count:
                chunks = read_chunks(self._store, self.file_location(path), size)
                _write_file(directory / path, count(chunks))
        return list(self.files)


_MANIFEST_NAME = "manifest.json"
_MANIFEST_SUFFIX = ".manifest.json"


def manifest_location(location: Location, layout: Layout) -> Location:
    """Return where the manifest of the artifact at ``location`` lies."""
    if layout is Layout.DIRECTORY:
        return location.join(_MANIFEST_NAME)
    return location.with_suffix(_MANIFEST_SUFFIX)


def read_stored_manifest(store: Store, location: Location, layout: Layout) -> StoredManifest:
    """Read and check the manifest at ``location``.

    Raises:
        ModelNotFoundError: none is there.
        ManifestError: it is malformed, unsafe, or one of another layout.
    """
    data = read_all(store, location, limit=MAX_MANIFEST_BYTES)
    stored = StoredManifest.from_bytes(data, where=str(location))
    for manifest in stored.candidates:
        if manifest.layout is not layout:
            raise ManifestError(
                "the manifest describes another kind of artifact",
                where=str(location),
                expected=f"layout {layout.value}",
                found=manifest.layout.value,
            )
    return stored


def _find_manifest(store: Store, location: Location) -> tuple[Layout, StoredManifest] | None:
    refused: AccessDeniedError | None = None
    for layout in _likely_layouts(location):
        try:
            stored = read_stored_manifest(store, manifest_location(location, layout), layout)
        except BucketNotFoundError:
            if not location.is_local:  # locally it only says that `location` is no folder
                raise
        except ModelNotFoundError:
            continue
        except CredentialsError:
            raise
        except AccessDeniedError as error:
            # S3 says 403 of a missing object to those who may not list the bucket.
            refused = refused or error
        else:
            return layout, stored
    if refused is not None:
        raise refused
    return None


def _likely_layouts(location: Location) -> tuple[Layout, Layout]:
    if location.name.lower().endswith(_FILE_SUFFIXES):
        return Layout.FILE, Layout.DIRECTORY
    return Layout.DIRECTORY, Layout.FILE


def _find_files(store: Store, location: Location) -> tuple[Layout, Mapping[str, int]]:
    """Find the files of an artifact that has no manifest."""
    try:
        files = {location.name: store.head(location).size, **_shards(store, location)}
    except ModelNotFoundError as missing:
        inside = store.list(location)
        if inside:
            return Layout.DIRECTORY, {_checked(path): size for path, size in inside.items()}
        around = store.list_names(location.parent, location.name)
        files = {
            name: size
            for name, size in around.items()
            if name[len(location.name) :].startswith((".index", ".data-"))
        }
        if not files:
            raise ModelNotFoundError(
                "no model is stored here", where=str(location), hint="Check the URL"
            ) from missing
    return Layout.FILE, files


def _shards(store: Store, location: Location) -> Mapping[str, int]:
    """Return the shards beside a ``.weights.json`` map, which are part of its artifact."""
    if not location.name.endswith(".weights.json"):
        return {}
    content = read_all(store, location, limit=MAX_MANIFEST_BYTES)
    names = shard_names(io.BytesIO(content), where=str(location))
    return {name: store.head(location.parent.join(name)).size for name in names}


def _checked(path: str) -> RelativePath:
    return parse_relative_path(path, where="file name")


def _pin(stored: StoredManifest, digest: str, where: str) -> StoredManifest:
    """Keep the candidate with this digest, and no other."""
    for manifest in stored.candidates:
        if manifest.digest == digest:
            return StoredManifest(current=manifest)
    raise ManifestError(
        "not the pinned manifest",
        where=where,
        expected=digest,
        found=stored.candidates[0].digest,
        hint="The model was replaced: pin the new digest if that was meant",
    )


@contextmanager
def _counted_back(
    meter: ProgressMeter,
) -> Iterator[Callable[[Iterator[bytes]], Iterator[bytes]]]:
    """Count bytes as they pass, and take them back if the block fails."""
    passed = 0

    def count(chunks: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal passed
        for chunk in chunks:
            passed += len(chunk)
            meter.advance(len(chunk))
            yield chunk

    try:
        yield count
    except (IntegrityError, ModelNotFoundError):
        meter.advance(-passed)
        raise


def _write_file(target: Path, chunks: Iterator[bytes]) -> str:
    """Write a new file and return the SHA-256 of what was written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    hasher = hashlib.sha256()
    with open(target, "wb") as file:
        for chunk in chunks:
            hasher.update(chunk)
            file.write(chunk)
    return hasher.hexdigest()


def _empty(directory: Path) -> None:
    for folder, folders, names in os.walk(directory, topdown=False):
        for name in names:
            os.unlink(os.path.join(folder, name))
        for name in folders:
            os.rmdir(os.path.join(folder, name))


def _describe(size: int, digest: str) -> str:
    return f"{size} bytes, {format_digest(digest)}" if digest else f"{size} bytes"
