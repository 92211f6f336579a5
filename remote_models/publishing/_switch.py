"""The moment in which the old artifact gives way to the new one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from remote_models.errors import (
    AccessDeniedError,
    AmbiguousCommitError,
    ConflictError,
    ModelNotFoundError,
    StorageError,
)
from remote_models.manifest import FileEntry, Layout, Manifest, StoredManifest
from remote_models.publishing._earlier import EarlierArtifact
from remote_models.publishing._manifest_file import PATIENCE_SECONDS
from remote_models.publishing._stage import parents_of
from remote_models.storage import CommittedFile, Location, Store

__all__ = ["OutdatedError", "Switch"]

_RENEWAL_SECONDS = PATIENCE_SECONDS / 3
"""After how long a saver shows the others that it is alive."""

_MOST_CONFLICTS = 100
"""Refusals in a row, each of them by a saver who got on, after which this one gives up."""


class OutdatedError(Exception):
    """A file that was to stay as it is has been replaced since it was looked at."""


class Switch:
    """The moment in which the old artifact gives way to the new one.

    A ``with`` block: entering announces the new artifact, leaving by an exception
    takes back what can be taken back.

    Several savers may be here at once, though they wait for each other as long as they
    can tell that another one gets on. What each has announced stays announced until that
    saver, or one who has taken it for dead, has finished.

    Attributes:
        manifest: The manifest of the new artifact.
        replaced: The manifests of what it replaces.
    """

    def __init__(
        self, store: Store, earlier: EarlierArtifact, coming: Manifest, *, overwrite: bool
    ) -> None:
        location = earlier.location
        self._store = store
        self._folder = location if coming.layout is Layout.DIRECTORY else location.parent
        self._earlier = earlier
        self._seen = earlier.manifest.stored
        self._file = earlier.manifest
        self._overwrite = overwrite
        self._announced = coming
        self._announced_at: float | None = None
        self._before: StoredManifest | None = None
        self._was_there = True
        self._is_overtaken = False
        self._named: dict[str, CommittedFile] = {}
        self._attempted: list[Location] = []
        self._committed: list[Location] = []
        self._directories: list[Location] = []
        self.manifest = coming
        self.replaced: Sequence[Manifest] = ()

    def __enter__(self) -> Self:
        for _ in range(_MOST_CONFLICTS):
            if self._overwrite:
                self._file.wait_for_turn()
            self._check_kept()
            self.replaced = self._file.candidates
            if self._is_one_step():
                return self
            try:
                self._announce()
            except ConflictError as error:
                if not self._overwrite:
                    raise self._too_late() from error
                self._file.read()
            except AmbiguousCommitError:
                if not self._overwrite or not self._file.is_hidden:
                    raise
                self._file.read()
            else:
                return self
        raise self._too_late()

    def _is_one_step(self) -> bool:
        """Whether there is nothing to announce: all files stay, or nothing can be kept."""
        if not self.replaced:
            # Beside one file that has no manifest, or none that can be read, there is
            # nothing to name but the coming one.
            is_unnamed = self._earlier.is_bare or self._file.is_there or self._file.is_blind
            return is_unnamed and len(self.manifest.files) == 1
        there = {entry.path for old in self.replaced for entry in old.files}
        coming = {entry.path for entry in self.manifest.files}
        return there <= coming and len(self._kept()) == len(self.manifest.files)

    def _kept(self) -> Sequence[FileEntry]:
        return [entry for entry in self.manifest.files if entry.etag is not None]

    def _check_kept(self) -> None:
        """See whether the files that need not travel are still there, if others were here."""
        if self._file.stored is not self._seen and not all(map(self._is_there, self._kept())):
            raise OutdatedError

    def _announce(self) -> None:
        self._before, self._was_there = self._file.stored, self._file.is_there
        current = self._before.current if self._before else None
        pending = self._before.pending if self._before else ()
        self._file.write(
            StoredManifest(current=current, pending=(*pending, self._announced)),
            exclusively=not self._overwrite,
        )
        self._announced_at = time.monotonic()
        if not self._overwrite:
            self._file.check_conditions()

    def attempt(self, location: Location) -> None:
        """Remember a file that becomes visible now, or has an uncertain fate if that fails."""
        self.renew()
        self._attempted.append(location)

    def renew(self) -> None:
        """Make sure before a change that no other saver has taken over from this one.

        Raises:
            ConflictError: one has.
        """
        if self._announced_at is None or self._file.is_blind or self._file.stored is None:
            return
        if time.monotonic() - self._announced_at < _RENEWAL_SECONDS:
            return
        try:
            self._file.write(self._file.stored)
        except ConflictError as error:
            raise self._overtaken() from error
        self._announced_at = time.monotonic()

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
        """Write the manifest of the new artifact alone: the commit mark.

        Where another saver has announced itself meanwhile, what it has announced stays,
        and where another one has replaced files of this artifact, it is the other's.

        Raises:
            ConflictError: another saver has replaced files of this artifact.
        """
        self.manifest = self.manifest.with_files(map(self._as_named, self.manifest.files))
        for _ in range(_MOST_CONFLICTS):
            try:
                self._file.write(StoredManifest(current=self.manifest, pending=self._newcomers()))
            except ConflictError as error:
                self._file.read()
                if not all(map(self._is_there, self.manifest.files)):
                    if not self._attempted:
                        raise OutdatedError from error
                    raise self._overtaken() from error
            else:
                return
        raise self._overtaken()

    def _newcomers(self) -> Sequence[Manifest]:
        """Return what others have announced since this artifact was."""
        pending = self._file.stored.pending if self._file.stored else ()
        if not pending:
            return ()
        known = {self._announced.digest, *(manifest.digest for manifest in self.replaced)}
        return [manifest for manifest in pending if manifest.digest not in known]

    def _is_there(self, entry: FileEntry) -> bool:
        """Whether a file is the one that this artifact means."""
        location = self._folder.join(entry.path)
        committed = self._named.get(location.path)
        etag = committed.etag if committed else entry.etag
        try:
            found = self._store.transfer.retry.retried(lambda: self._store.head(location))
        except (ModelNotFoundError, AccessDeniedError):
            return False
        return found.size == entry.size and (etag is None or found.etag == etag)

    def _as_named(self, entry: FileEntry) -> FileEntry:
        """Add to the entry of a file what the store calls it; one that stayed has it."""
        committed = self._named.get(self._folder.join(entry.path).path)
        if committed is None:
            return entry
        etag = committed.etag if committed.notices_damage else None
        return replace(entry, version=committed.version, etag=etag)

    def _too_late(self) -> ConflictError:
        return ConflictError(
            "something is stored here already: another writer was faster",
            where=str(self._earlier.location),
            hint="Save again" if self._overwrite else "Pass overwrite=True to replace it",
        )

    def _overtaken(self) -> ConflictError:
        self._is_overtaken = True
        return ConflictError(
            "another writer has saved here at the same time, and has replaced this model",
            where=str(self._earlier.location),
            hint="Let one writer at a time save here, or save again",
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            return
        if self._is_overtaken or isinstance(error, AmbiguousCommitError):
            return  # what is there is another's, or may be this one, whole
        if isinstance(error, ConflictError):  # a certain no: what is there is not ours
            self._attempted = list(self._committed)
        try:
            self._take_back()
        except ConflictError:
            return  # another one builds on what was announced
        except StorageError as leftover:  # must not hide what went wrong first
            error.add_note(f"The failed save could not be taken back: {leftover}")

    def _take_back(self) -> None:
        if self._announced_at is None:
            return
        if self._earlier.present is False and not self._was_there:
            self._delete_everything()
        elif not self._attempted:
            self._restore_manifest()

    def _delete_everything(self) -> None:
        if not self._file.is_unchanged():
            return
        # No store deletes on a condition: whoever may have been overtaken must not.
        for location in reversed(self._attempted):
            self.renew()
            self._store.delete(location)
        self.renew()
        self._file.delete()
        while self._directories:
            self._store.remove_directory(self._directories.pop())

    def _restore_manifest(self) -> None:
        if self._before is not None:
            self._file.write(self._before)
        elif not self._was_there and self._file.is_unchanged():
            self._file.delete()
