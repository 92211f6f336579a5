"""The moment in which the old artifact gives way to the new one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Self

from remote_models.errors import ModelExistsError, StorageError
from remote_models.manifest import FileEntry, Layout, Manifest, StoredManifest
from remote_models.publishing._earlier import EarlierArtifact
from remote_models.publishing._stage import parents_of
from remote_models.remote_model import manifest_location
from remote_models.storage import CommittedFile, Location, Publication, Store

__all__ = ["Switch"]


class Switch:
    """The moment in which the old artifact gives way to the new one.

    A ``with`` block: entering announces the new artifact, leaving by an exception
    takes back what can be taken back.
    """

    def __init__(
        self,
        store: Store,
        location: Location,
        earlier: EarlierArtifact,
        coming: Manifest,
        *,
        overwrite: bool,
    ) -> None:
        self._store = store
        self._where = manifest_location(location, coming.layout)
        self._folder = location if coming.layout is Layout.DIRECTORY else location.parent
        self._earlier = earlier
        self._overwrite = overwrite
        self._named: dict[str, CommittedFile] = {}
        self._attempted: list[Location] = []
        self._committed: list[Location] = []
        self._directories: list[Location] = []
        self._announced = False
        self.manifest = coming

    def __enter__(self) -> Self:
        if not self._is_one_step():
            self._announce()
        return self

    def _is_one_step(self) -> bool:
        """Whether there is nothing to announce: one first file appears, or all files stay."""
        if not self._earlier.candidates:
            return len(self.manifest.files) == 1
        there = {entry.path for old in self._earlier.candidates for entry in old.files}
        coming = {entry.path for entry in self.manifest.files}
        return there <= coming and all(entry.etag is not None for entry in self.manifest.files)

    def _announce(self) -> None:
        announcement = StoredManifest(
            current=self._earlier.stored.current if self._earlier.stored else None,
            pending=(*self._pending(), self.manifest),
        )
        # An error may come although the store has taken the announcement. With
        # an exclusive create it may be another writer's, and is left alone.
        self._announced = self._overwrite
        with ExitStack() as taking_back:
            taking_back.push(self)
            self._write(announcement, if_absent=not self._overwrite)
            taking_back.pop_all()
        self._announced = True

    def attempt(self, location: Location) -> None:
        """Remember a file that becomes visible now, or has an uncertain fate if that fails."""
        self._attempted.append(location)

    def record(self, location: Location, committed: CommittedFile) -> None:
        """Remember a file that has become visible."""
        self._committed.append(location)
        self._named[location.path] = committed

    def make_directories(self) -> None:
        """Make the folders without a file, and those around them."""
        for path in self.manifest.empty_directories:
            for each in (*reversed(parents_of(path)), path):
                directory = self._folder.join(each)
                if self._store.make_directory(directory):
                    self._directories.append(directory)

    def finish(self) -> None:
        """Write the manifest of the new artifact alone: the commit mark."""
        self.manifest = self.manifest.with_files(map(self._as_named, self.manifest.files))
        if not self._attempted:
            # Nothing but the manifest changes, so that all can be taken back.
            self._announced = True
        self._write(StoredManifest(current=self.manifest))

    def _as_named(self, entry: FileEntry) -> FileEntry:
        """Add to the entry of a file what the store calls it; one that stayed has it."""
        committed = self._named.get(self._folder.join(entry.path).path)
        if committed is None:
            return entry
        return replace(entry, version=committed.version, etag=committed.etag)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            return
        if isinstance(error, ModelExistsError):  # a certain no: what is there is not ours
            self._attempted = list(self._committed)
        try:
            self._take_back()
        except StorageError as leftover:  # must not hide what went wrong first
            error.add_note(f"The failed save could not be taken back: {leftover}")

    def _take_back(self) -> None:
        if self._earlier.present is False:
            self._delete_everything()
        elif self._announced and not self._attempted:
            self._restore_manifest()

    def _delete_everything(self) -> None:
        # Without an announcement, what an exclusive create answered with an
        # error may be another writer's file.
        ours = self._attempted if self._overwrite or self._announced else self._committed
        for location in reversed(ours):
            self._store.delete(location)
        if self._announced or ours:
            self._store.delete(self._where)
        while self._directories:
            self._store.remove_directory(self._directories.pop())

    def _restore_manifest(self) -> None:
        if self._earlier.stored is not None:
            self._write(self._earlier.stored)
        elif self._earlier.is_bare:
            self._store.delete(self._where)

    def _pending(self) -> Sequence[Manifest]:
        return self._earlier.stored.pending if self._earlier.stored else ()

    def _write(self, stored: StoredManifest, *, if_absent: bool = False) -> None:
        data = stored.to_bytes()
        with Publication(self._store, if_absent=if_absent) as publication:
            publication.stage(self._where, len(data), [data])
            publication.commit(lambda _location, _version: None)
