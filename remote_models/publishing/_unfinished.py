"""What saves that were killed have left of the artifact at a URL."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from remote_models.errors import (
    AccessDeniedError,
    ConflictError,
    IntegrityError,
    ModelNotFoundError,
)
from remote_models.manifest import (
    DIRECTORY_MANIFEST,
    FILE_MANIFEST_SUFFIX,
    FileEntry,
    Layout,
    Manifest,
    StoredManifest,
)
from remote_models.publishing._manifest_file import ManifestFile
from remote_models.publishing._stage import is_entry_point, parents_of
from remote_models.storage import Location, ObjectInfo, Store, read_chunks

__all__ = ["UnfinishedSaves", "find_unfinished", "layout_of_manifest"]


def layout_of_manifest(path: str) -> Layout | None:
    """Return the layout of the artifact whose manifest has this path, if it may be one's."""
    if path.rpartition("/")[2] == DIRECTORY_MANIFEST:
        return Layout.DIRECTORY
    return Layout.FILE if path.endswith(FILE_MANIFEST_SUFFIX) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class UnfinishedSaves:
    """What saves that were killed have left of the artifact at a URL.

    Attributes:
        store: Where it lies.
        folder: The folder that the paths of its files start from.
        manifest: Its manifest, as it was looked at.
        current: The artifact that a finished save has left, which stays.
        files: Files that only unfinished saves have named, and put here byte for byte.
    """

    store: Store
    folder: Location
    manifest: ManifestFile
    current: Manifest | None
    files: Mapping[str, ObjectInfo]

    def remove(self) -> Iterator[str]:
        """Delete the files, then what the manifest says of the saves; yield each file's path.

        The manifest is claimed first as a saver claims it: whoever saves at the same time
        sees that, and what a saver has announced meanwhile is left alone.

        Raises:
            ConflictError: somebody saves here.
        """
        assert self.manifest.stored is not None
        self.manifest.write(self.manifest.stored)
        for path in sorted(self.files, reverse=True):
            self._check_unchanged()
            self.store.delete(self.folder.join(path))
            yield path
        self._check_unchanged()
        if self.current is not None:
            self.manifest.write(StoredManifest(current=self.current))
        else:
            self.manifest.delete()

    def _check_unchanged(self) -> None:
        if not self.manifest.is_unchanged():
            raise ConflictError(
                "a save is under way here", where=str(self.folder), hint="Leave it alone"
            )


def find_unfinished(
    store: Store,
    location: Location,
    layout: Layout,
    listing: Mapping[str, ObjectInfo],
    before: datetime,
) -> UnfinishedSaves | None:
    """Return what unfinished saves have left of an artifact, if it is certain that it is theirs.

    Nothing is found where an unfinished save has come through (the new artifact is whole,
    and loads), where the present artifact is not whole (its files are what is left of
    it), where another artifact has a file of that name, or where anything is younger than
    ``before``.

    Args:
        store: Where it lies.
        location: Where its manifest lies.
        layout: How its files lie around it.
        listing: The objects in its folder, by the paths that the manifest uses.
        before: The moment before which all of it must have been written.

    Raises:
        StorageError: the store refused or failed.
    """
    manifest = ManifestFile(store, location, layout)
    manifest.read()
    if manifest.is_hidden:
        raise AccessDeniedError(
            "the manifest may not be read, so that nobody knows what it announces",
            where=str(location),
            hint="Allow s3:GetObject or storage.objects.get",
        )
    stored = manifest.stored
    if stored is None or not stored.pending:
        return None
    folder = location.parent
    kept = {entry.path for entry in stored.current.files} if stored.current else set()
    named = {
        entry.path: listing[entry.path]
        for candidate in stored.pending
        for entry in candidate.files
        if entry.path in listing and entry.path not in kept
    }
    own = location.path.rpartition("/")[2]
    if any(_has_own_manifest(path, listing, own) for path in named) or not all(
        is_older(info, before) for info in (*named.values(), store.head(location))
    ):
        return None
    look = _Look(store=store, folder=folder, listing=listing)
    if any(map(look.is_whole, stored.pending)):
        return None
    if stored.current is not None and not look.is_whole(stored.current):
        return None
    files: dict[str, ObjectInfo] = {
        path: info for path, info in named.items() if look.is_of(path, stored.pending)
    }
    if stored.current is None and (
        len(files) < len(named) or any(is_entry_point(path) for path in files)
    ):
        # Files of others, or of an artifact that was there before without a manifest.
        return None
    return UnfinishedSaves(
        store=store, folder=folder, manifest=manifest, current=stored.current, files=files
    )


def is_older(info: ObjectInfo, before: datetime) -> bool:
    """Whether an object was written before a moment, as far as the store tells."""
    return info.modified is not None and info.modified < before


def _has_own_manifest(path: str, listing: Mapping[str, ObjectInfo], own: str) -> bool:
    """Whether a file belongs to another artifact, beside it or around it, than the one of ``own``.

    Whoever writes a manifest must not have others' files deleted.
    """
    manifests = {f"{path}{FILE_MANIFEST_SUFFIX}"}
    manifests |= {f"{folder}/{DIRECTORY_MANIFEST}" for folder in parents_of(path)}
    return any(each in listing for each in manifests - {own})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Look:
    """Compares what lies in a folder with what manifests say of it."""

    store: Store
    folder: Location
    listing: Mapping[str, ObjectInfo]

    def is_whole(self, candidate: Manifest) -> bool:
        """Whether all files of a candidate are there."""
        return all(self._has_size(entry) for entry in candidate.files) and all(
            self._is_it(entry) for entry in candidate.files
        )

    def is_of(self, path: str, candidates: Sequence[Manifest]) -> bool:
        """Whether a file is what one of the candidates says."""
        entries = [entry for each in candidates if (entry := each.file(path)) is not None]
        return any(self._has_size(entry) and self._is_it(entry) for entry in entries)

    def _has_size(self, entry: FileEntry) -> bool:
        info = self.listing.get(entry.path)
        return info is not None and info.size == entry.size

    def _is_it(self, entry: FileEntry) -> bool:
        info = self.listing[entry.path]
        if entry.etag is not None and entry.etag == info.etag:
            return True
        hasher = hashlib.sha256()
        try:
            for chunk in read_chunks(
                self.store, self.folder.join(entry.path), info.size, etag=info.etag
            ):
                hasher.update(chunk)
        except (IntegrityError, ModelNotFoundError):
            return False  # replaced since it was listed: somebody is at work here
        return hasher.hexdigest() == entry.sha256
