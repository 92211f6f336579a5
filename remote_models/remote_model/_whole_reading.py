"""Read an artifact for a load, and check every byte of it before the load is done."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from threading import Event
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from remote_models.errors import IntegrityError, ModelNotFoundError, RemoteModelsError
from remote_models.manifest import FileEntry, Manifest
from remote_models.remote_model._architecture import describing
from remote_models.remote_model._file_rests import FileRests, whole_file
from remote_models.remote_model._stretch import Stretch
from remote_models.storage import ByteRange, PinnedFile, read_ranges
from remote_models.tensors import Piece, Role, StoredTensor

if TYPE_CHECKING:
    from remote_models.remote_model._model import RemoteModel
    from remote_models.remote_model._weights import Weights

__all__ = ["WholeReading"]

_RANGES_AT_ONCE = 4
"""A range is this part of a request: so several fit one, and each can be hashed early."""


class WholeReading:
    """A ``with`` block in which tensors are read, and behind which every byte is checked.

    Tensors and documents are checked as they are read. What lies around the tensors of a
    file comes in the same requests, files without tensors come in the background, and
    what is left is read at the end of the block. A block that ends in an exception is
    left at once.

    What nobody needs can be left where it is: tensors of some roles, as an optimizer's.
    Then the structure of their files, in small pieces between them, is left, too.

    A manifest of schema 1 has no digests for this: what is read is checked, no more.

    Args:
        remote: An artifact for which a manifest vouches.
        without: Tensors of these roles are left where they are if nobody reads them.
    """

    def __init__(self, remote: RemoteModel, *, without: Collection[Role] = ()) -> None:
        if remote.manifest is None:
            raise ValueError("no manifest vouches for the artifact")
        self._remote = remote
        self._manifest: Manifest = remote.manifest
        self._store = remote.folder.store
        self._without = without
        self._most = self._store.transfer.request_size // _RANGES_AT_ONCE
        self._is_whole = self._manifest.schema > 1
        self._read: set[tuple[str, int]] = set()
        self._described: set[str] = set()
        self._left = Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="remote_models")
        self._others: list[Future[None]] = []

    @cached_property
    def weights(self) -> Weights:
        """The tensors by name; nothing of them is read yet."""
        from remote_models.remote_model._weights import vouched_weights

        companion = self if self._is_whole else None
        return vouched_weights(
            self._remote, self._remote.folder, self._manifest, companion=companion
        )

    @property
    def architecture(self) -> dict[str, Any] | None:
        """The model's configuration, as :attr:`RemoteModel.architecture` has it."""
        architecture = self._remote.architecture
        self._described.update(describing(self._manifest.documents))
        return architecture

    # What the reader of tensors asks its companion.

    def take_along(self, pieces: Sequence[Piece]) -> Sequence[ByteRange]:
        """Return the structure around some tensors, to be read with them."""
        return self._rests.take_along(pieces)

    def receive(self, where: ByteRange, data: memoryview) -> None:
        """Take the bytes of such structure."""
        self._rests.receive(where, data)

    def note(self, piece: Piece) -> None:
        """Learn that a tensor, or a slice of one, has been read and checked."""
        self._read.add((piece.file, piece.offset))

    def __enter__(self) -> Self:
        shared = self._rests.stretches
        others = [entry for entry in self._manifest.own_files if entry.path not in shared]
        if self._is_whole and others:
            self._others.append(self._thread.submit(self._check_files, others))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._left.set()
        self._thread.shutdown(wait=True)
        if error is None and self._is_whole:
            self._check_left()

    @cached_property
    def _rests(self) -> FileRests:
        return FileRests(self._manifest, self._most)

    def _check_left(self) -> None:
        """Check what has not been checked yet.

        Raises:
            IntegrityError: a byte is not what the manifest vouches for.
        """
        for other in self._others:
            other.result()
        unread = [tensor for tensor in self._manifest.tensors if not self._has_read(tensor)]
        left = {p.file for each in unread if each.role in self._without for p in each.pieces}
        rests = [each for path, each in self._rests.stretches.items() if path not in left]
        self._check_stretches([*rests, *self._documents_left()])
        names = [each.label for each in unread if each.role not in self._without]
        if names:
            self.weights.check(names)

    def _has_read(self, tensor: StoredTensor) -> bool:
        places = ((piece.file, piece.offset) for piece in tensor.pieces if piece.nbytes)
        return all(place in self._read for place in places)

    def _documents_left(self) -> Iterator[Stretch]:
        for each in self._manifest.documents:
            if each.name not in self._described and each.nbytes:
                whole = ByteRange(each.file, each.offset, each.offset + each.nbytes)
                yield Stretch(each.file, whole.split(self._most), each.sha256, each.name)

    def _check_files(self, entries: Sequence[FileEntry]) -> None:
        for entry in entries:
            if not entry.size:
                self._check_empty(entry)
        self._check_stretches([whole_file(entry, self._most) for entry in entries if entry.size])

    def _check_empty(self, entry: FileEntry) -> None:
        location = self._remote.file_location(entry.path)
        try:
            found = self._store.head(location).size
        except ModelNotFoundError as error:
            raise self._damaged(whole_file(entry, self._most), error) from error
        if found:
            raise self._damaged(whole_file(entry, self._most), None)

    def _check_stretches(self, stretches: Sequence[Stretch]) -> None:
        """Read what has not come of some stretches, and compare them with their digests."""
        failure: RemoteModelsError | None = None
        try:
            self._fetch(stretches, {})
        except (IntegrityError, ModelNotFoundError) as error:
            failure = error
        for stretch in stretches:
            if not (self._left.is_set() or stretch.is_right or self._is_kept(stretch)):
                raise self._damaged(stretch, failure) from failure

    def _damaged(self, stretch: Stretch, failure: RemoteModelsError | None) -> IntegrityError:
        if isinstance(failure, IntegrityError):
            return failure
        if failure is not None:
            return IntegrityError(
                "a file of the model is missing", where=failure.where,
                hint="Save the model again, or restore the file",
            )  # fmt: skip
        return IntegrityError(
            "the bytes are not those that the manifest vouches for",
            where=str(self._remote.file_location(stretch.file)),
            found=f"others in {stretch.what}",
            hint="Restore the file or save the model again",
        )

    def _is_kept(self, stretch: Stretch) -> bool:
        """Whether the store still has the bytes in the version that the manifest pins."""
        version = self._version(stretch)
        if version is None:
            return False
        again = stretch.again()
        try:
            self._fetch([again], {stretch.file: version})
        except (IntegrityError, ModelNotFoundError):
            return False
        return again.is_right

    def _version(self, stretch: Stretch) -> str | None:
        entry = self._manifest.file(stretch.file)
        return entry.version if entry else None

    def _fetch(self, stretches: Sequence[Stretch], versions: Mapping[str, str]) -> None:
        ranges: list[ByteRange] = []
        owners: list[Stretch] = []
        for stretch in stretches:
            missing = stretch.missing
            ranges += missing
            owners += [stretch] * len(missing)
        files = {
            path: PinnedFile(location=self._remote.file_location(path), version=versions.get(path))
            for path in {each.file for each in ranges}
        }

        def receive(number: int, data: memoryview) -> None:
            owners[number].receive(ranges[number], data)

        for _ in read_ranges(self._store, files, ranges, receive):
            if self._left.is_set():
                return
