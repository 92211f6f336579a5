"""Compare an artifact's files with its manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from remote_models.digest import format_digest
from remote_models.errors import AccessDeniedError, ModelNotFoundError
from remote_models.manifest import FileEntry, Layout, Manifest
from remote_models.remote_model._discovery import BESIDE_FILES
from remote_models.remote_model._folder import ArtifactFolder
from remote_models.storage import ProgressCallback, ProgressMeter, read_chunks

__all__ = ["FileMismatch", "VerifyReport", "verify_candidates"]


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
        manifest_digest: The digest of the manifest that was checked against; ``None``
            where a signature of whole files was.
        verified: Files whose every byte is as the manifest says.
        missing: Files that the manifest names and the store does not hold.
        mismatched: Files with another size or digest.
        unexpected: Files in the artifact's directory that the manifest does not
            name; ``None`` where they could not be listed.
        bytes_read: Bytes read to find out.
    """

    url: str
    manifest_digest: str | None
    verified: Sequence[str]
    missing: Sequence[str]
    mismatched: Sequence[FileMismatch]
    unexpected: Sequence[str] | None
    bytes_read: int

    @property
    def ok(self) -> bool:
        """Whether the artifact is whole, unchanged and without a foreign file."""
        return not (self.missing or self.mismatched or self.unexpected)


def verify_candidates(
    folder: ArtifactFolder, candidates: Sequence[Manifest], progress: ProgressCallback | None
) -> VerifyReport:
    """Compare an artifact with the first manifest that it agrees with, or the first of all.

    Raises:
        StorageError: the store refused or failed.
    """
    reports: list[VerifyReport] = []
    for manifest in candidates:
        reports.append(_verify_files(folder, manifest, None if reports else progress))
        if reports[-1].ok:
            return reports[-1]
    return reports[0]


def _verify_files(
    folder: ArtifactFolder, manifest: Manifest, progress: ProgressCallback | None
) -> VerifyReport:
    """Read every byte of an artifact and report what differs from ``manifest``.

    Raises:
        StorageError: the store refused or failed.
    """
    meter = ProgressMeter("verify", str(folder), manifest.total_size, progress)
    verified: list[str] = []
    missing: list[str] = []
    mismatched: list[FileMismatch] = []
    read = 0
    for entry in manifest.files:
        try:
            size, digest = _digest(folder, entry, meter)
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
        url=str(folder),
        manifest_digest=manifest.digest,
        verified=verified,
        missing=missing,
        mismatched=mismatched,
        unexpected=_unexpected(folder, manifest),
        bytes_read=read,
    )


def _digest(folder: ArtifactFolder, entry: FileEntry, meter: ProgressMeter) -> tuple[int, str]:
    """Return the true size of a file and its digest, or "" if the size alone differs."""
    location = folder.file(entry.path)
    size = folder.store.head(location).size
    if size != entry.size:
        return size, ""
    hasher = hashlib.sha256()
    for chunk in read_chunks(folder.store, location, size):
        hasher.update(chunk)
        meter.advance(len(chunk))
    return size, hasher.hexdigest()


def _unexpected(folder: ArtifactFolder, manifest: Manifest) -> Sequence[str] | None:
    if folder.layout is Layout.FILE:
        return []  # what else lies in the folder belongs to others
    known = {entry.path for entry in manifest.files} | BESIDE_FILES
    try:
        return sorted(set(folder.store.list(folder.location)) - known)
    except AccessDeniedError:
        return None


def _describe(size: int, digest: str) -> str:
    return f"{size} bytes, {format_digest(digest)}" if digest else f"{size} bytes"
