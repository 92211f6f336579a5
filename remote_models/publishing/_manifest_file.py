"""The manifest at a URL, which savers replace only as they know it: their common lock."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from remote_models.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    CredentialsError,
    ManifestError,
    ModelNotFoundError,
    UnsupportedRequestError,
)
from remote_models.manifest import MAX_MANIFEST_BYTES, Layout, Manifest, StoredManifest
from remote_models.remote_model import parse_stored_manifest
from remote_models.storage import (
    CommittedFile,
    Location,
    ObjectInfo,
    Publication,
    Store,
    check_conditions,
    warn_of_missing_conditions,
)

__all__ = ["PATIENCE_SECONDS", "ManifestFile"]

PATIENCE_SECONDS = 10.0
"""How long a saver watches the announcement of another one that does not move on, before
it takes the other one for dead."""

_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.25


class ManifestFile:
    """The manifest at a URL, as this saver has last read or written it.

    It is only ever replaced on the condition that it still is what the saver knows of it
    (compare and swap), or created where none is. So of savers that meet, each sees what
    the others have announced.

    Attributes:
        stored: What it says; ``None`` where there is none, or none that can be read.
        is_there: Whether there is one, as far as this saver may see.
        is_hidden: Whether this saver may not read it.
    """

    def __init__(self, store: Store, location: Location, layout: Layout) -> None:
        self._store = store
        self._location = location
        self._layout = layout
        self._info: ObjectInfo | None = None
        self._since = time.monotonic()
        self._is_blind = False
        self.stored: StoredManifest | None = None
        self.is_hidden = False

    @property
    def is_there(self) -> bool:
        """Whether there is one, as far as this saver may see."""
        return self._info is not None

    @property
    def is_blind(self) -> bool:
        """Whether it cannot be compared: it may not be read, or the store knows no conditions."""
        return self._is_blind

    @property
    def candidates(self) -> Sequence[Manifest]:
        """The manifests of what may be there."""
        return self.stored.candidates if self.stored else ()

    def read(self) -> None:
        """Read it. One that is damaged, or hidden, counts as there or not, but says nothing.

        Raises:
            BucketNotFoundError: the bucket does not exist.
            CredentialsError: the store does not know who asks.
            StorageError: the store failed.
        """
        self.stored = None
        try:
            data, info = self._store.transfer.retry.retried(
                lambda: self._store.read_whole(self._location, limit=MAX_MANIFEST_BYTES)
            )
        except BucketNotFoundError:
            if not self._location.is_local:  # locally the folder may still have to be made
                raise
            self._see(None)
        except ModelNotFoundError:
            self._see(None)
        except CredentialsError:
            raise
        except AccessDeniedError:
            self._is_blind = self.is_hidden  # it is the second time, after a refused creation
            self.is_hidden = True
            self._see(None)
        else:
            self._see(info)
            try:
                self.stored = parse_stored_manifest(bytes(data), self._location, self._layout)
            except ManifestError:
                self.stored = None  # it can be replaced, but not kept beside the new one

    def write(self, stored: StoredManifest, *, exclusively: bool = False) -> None:
        """Replace it, if it still is what was last read or written; create it if none was.

        A store may know no conditions, and say so. Then it is written without one, with a
        warning, unless that was to be done ``exclusively``.

        Raises:
            ConflictError: it is not.
            UnsupportedRequestError: nothing can be created exclusively here.
            AmbiguousCommitError: an answer was lost, and the store cannot be asked.
            StorageError: the store refused or failed.
        """
        data = stored.to_bytes()
        etag = self._info.etag if self._info and not self.is_blind else None
        try:
            made = self._put(data, if_absent=not self.is_there and not self.is_blind, if_match=etag)
        except AccessDeniedError:
            # S3 asks whoever compares for the right to read, too.
            if not self.is_hidden or etag is None:
                raise
            made = self._put(data, if_absent=False, if_match=None)
        except UnsupportedRequestError:
            if exclusively or self.is_blind:
                raise
            self._is_blind = True
            warn_of_missing_conditions(self._location, "knows no conditions")
            made = self._put(data, if_absent=False, if_match=None)
        self._see(ObjectInfo(size=len(data), version=made.version, etag=made.etag))
        self.stored = stored

    def check_conditions(self) -> None:
        """Warn if the store does not keep the condition on which this was created just now."""
        if self.stored is None:
            return
        made = check_conditions(self._store, self._location, self.stored.to_bytes())
        if made is not None and self._info is not None:
            self._see(replace(self._info, version=made.version, etag=made.etag))

    def delete(self) -> None:
        """Delete it."""
        self._store.delete(self._location)
        self.stored = None
        self._see(None)

    def is_unchanged(self) -> bool:
        """Whether it still is what was last read or written."""
        if self._info is None or self._info.etag is None:
            return True
        found = self._look()
        return found is not None and found.etag == self._info.etag

    def wait_for_turn(self) -> None:
        """Wait while somebody else's save is under way, and read what has become of it.

        A save that does not move on for 10 seconds counts as dead. It may be alive all
        the same: waiting keeps savers out of each other's way, and is not what they are
        safe by.
        """
        pause = _FIRST_PAUSE_SECONDS
        while self.stored is not None and self.stored.pending:
            if self._has_moved_on():
                self.read()
                pause = _FIRST_PAUSE_SECONDS
                continue
            left = self._since + PATIENCE_SECONDS - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _has_moved_on(self) -> bool:
        found = self._look()
        if found is None or self._info is None:
            return True
        # A saver who is slow writes the same once more: with S3's etags, which are of the
        # bytes alone, only the writer differs.
        known = (self._info.etag, self._info.version, self._info.writer)
        return (found.etag, found.version, found.writer) != known

    def _look(self) -> ObjectInfo | None:
        try:
            return self._store.transfer.retry.retried(lambda: self._store.head(self._location))
        except ModelNotFoundError:
            return None
        except AccessDeniedError:
            return self._info

    def _see(self, info: ObjectInfo | None) -> None:
        if info != self._info:
            self._since = time.monotonic()
        self._info = info

    def _put(self, data: bytes, *, if_absent: bool, if_match: str | None) -> CommittedFile:
        made: list[CommittedFile] = []
        with Publication(self._store, if_absent=if_absent, if_match=if_match) as publication:
            publication.stage(self._location, len(data), [data])
            publication.commit(lambda _location, committed: made.append(committed))
        return made[0]
