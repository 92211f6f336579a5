"""A publication: files that are staged first and then committed together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import NamedTuple, Self

from remote_models.errors import AccessDeniedError, IntegrityError, StorageError
from remote_models.storage._fate import settle
from remote_models.storage._location import Location
from remote_models.storage._staging import CommittedFile, StagedFile, StaleUploadError
from remote_models.storage._store import Store
from remote_models.storage._stored_range import StoredRange

__all__ = ["Publication"]


class _Staged(NamedTuple):
    location: Location
    file: StagedFile
    size: int


class Publication:
    """Stage any number of files, then commit them in the order in which they were staged.

    With ``if_absent`` the store refuses each file that is there already; with ``if_match``
    it refuses to replace another object than the one of which ``head`` said this etag. What
    the store has done counts, not what has come back of its answer: where one was lost,
    the store is asked whose object is there.

    Used in a ``with`` block. Leaving the block, by its end or by an exception,
    discards whatever is not committed: a failed block publishes nothing.
    """

    def __init__(
        self, store: Store, *, if_absent: bool = False, if_match: str | None = None
    ) -> None:
        self._store = store
        self._if_absent = if_absent
        self._if_match = if_match
        self._staged: list[_Staged] = []
        self._directories: list[Location] = []

    def stage(
        self,
        location: Location,
        size: int,
        chunks: Iterable[bytes | memoryview],
        *,
        stored: Sequence[StoredRange] = (),
    ) -> None:
        """Send the bytes of one file without making it visible.

        ``chunks`` may be asked for a second time: where a killed process has left a part
        of other bytes, which is noticed on the way. What of it is ``stored`` already need
        not travel, if the store proves that.

        Raises:
            IntegrityError: ``chunks`` holds more or fewer than ``size`` bytes.
        """
        try:
            self._stage(location, size, chunks, stored)
        except StaleUploadError:
            self._discard(self._staged.pop())
            self._stage(location, size, chunks, stored)

    def _stage(
        self,
        location: Location,
        size: int,
        chunks: Iterable[bytes | memoryview],
        stored: Sequence[StoredRange],
    ) -> None:
        with self._errors(location):
            staged = self._begin(location, size, stored)
        self._staged.append(_Staged(location, staged, size))
        written = 0
        for chunk in chunks:  # whose own errors are not the store's
            written += len(chunk)
            with self._errors(location):
                staged.write(chunk)
        if written != size:
            raise IntegrityError(
                "the file changed while it was read",
                where=str(location), expected=f"{size} bytes", found=f"{written} bytes",
            )  # fmt: skip

    def _begin(self, location: Location, size: int, stored: Sequence[StoredRange]) -> StagedFile:
        if_absent, if_match = self._if_absent, self._if_match
        if not stored:
            return self._store.stage(location, size, if_absent=if_absent, if_match=if_match)
        return self._store.stage_stored(
            location, size, stored, if_absent=if_absent, if_match=if_match
        )

    def make_directory(self, location: Location) -> None:
        """Make a folder where the store has folders; it goes again if the block fails."""
        if self._store.make_directory(location):
            self._directories.append(location)

    def commit(
        self,
        on_commit: Callable[[Location, CommittedFile], None],
        *,
        on_attempt: Callable[[Location], None] = lambda _location: None,
    ) -> None:
        """Make the files visible one after the other.

        Args:
            on_commit: Called after each file with its location and what the store calls it.
            on_attempt: Called before each file with its location. When an error
                follows, the file is not visible, or it is an AmbiguousCommitError; but a
                request that a store has not answered may still be under way to it.

        Raises:
            ConflictError: the condition does not hold.
            AmbiguousCommitError: an answer was lost, and the store cannot be asked.
        """
        while self._staged:
            first = self._staged[0]
            on_attempt(first.location)
            committed = self._commit(first)
            del self._staged[0]
            on_commit(first.location, committed)

    def _commit(self, staged: _Staged) -> CommittedFile:
        try:
            with self._errors(staged.location):
                return staged.file.commit()
        except StorageError as error:
            committed = settle(
                self._store,
                staged.location,
                staged.file,
                error,
                size=staged.size,
                if_absent=self._if_absent,
                if_match=self._if_match,
            )
        with suppress(StorageError):  # what is left of it, on this machine
            self._discard(staged)
        return committed

    def discard(self) -> None:
        """Drop every file that is not committed, even if one of them resists."""
        with ExitStack() as stack:  # which runs all of them, the last one first
            for directory in self._directories:
                stack.callback(self._store.remove_directory, directory)
            for staged in self._staged:
                stack.callback(self._discard, staged)
            self._directories.clear()
            self._staged.clear()

    @contextmanager
    def _errors(self, location: Location) -> Iterator[None]:
        """Translate errors, and say of a refusal that it is the writing that is refused."""
        try:
            with self._store.errors(location):
                yield
        except AccessDeniedError as error:
            if location.is_local or type(error) is not AccessDeniedError:
                raise
            raise AccessDeniedError(
                "you may not write here",
                where=error.where,
                hint="Check the policy: writing needs s3:PutObject or storage.objects.create",
            ) from error

    def _discard(self, staged: _Staged) -> None:
        with self._store.errors(staged.location):
            staged.file.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            if not self._staged:
                self._directories.clear()
            self.discard()
            return
        try:
            self.discard()
        except StorageError as leftover:  # must not hide what went wrong first
            error.add_note(f"Bytes of the failed save may be left behind: {leftover}")
