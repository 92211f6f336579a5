"""Sweep up what killed saves have left."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import takewhile

from remote_models._api._arguments import URL, StorageOptions
from remote_models._api._listing import refuse_missing_bucket
from remote_models._api._neighbours import parse_claim, read_latest
from remote_models.errors import (
    ArgumentError,
    ConflictError,
    MissingDependencyError,
    ModelNotFoundError,
    StorageError,
)
from remote_models.manifest import DIRECTORY_MANIFEST, FILE_MANIFEST_SUFFIX
from remote_models.publishing import UnfinishedSaves, find_unfinished, layout_of_manifest
from remote_models.storage import (
    Location,
    ObjectInfo,
    Store,
    UnfinishedUpload,
    is_at_or_below,
    open_store,
)

__all__ = ["GarbageReport", "Leftover", "collect_garbage"]

_MODEL_NAME = re.compile(
    r"""
    saved_model\.pb(?:txt)? | keras_metadata\.pb | fingerprint\.pb  # a SavedModel's own files
    | .+\.(?:keras|h5|hdf5|index)
    | .+\.data-[0-9]{5}-of-[0-9]{5}  # tensorflow/core/util/tensor_bundle/naming.h
    | (?:.+\.)?manifest\.json
    """,
    re.VERBOSE | re.DOTALL,
)

_MODEL_FOLDERS = {"variables", "assets", "assets.extra"}
"""Folders of a SavedModel (tensorflow/python/saved_model/constants.py)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Leftover:
    """Something that a killed save has left.

    Attributes:
        kind: ``"claim"``: the claim of a version in a repository, by a save that never came
            through, of which no later save takes notice any more;
            ``"upload"``: parts that were sent and never became an object;
            ``"staging file"``: a temporary file beside its place; ``"file"``: a file of a
            save that was never finished; ``"announcement"``: what a manifest says of such
            saves, or the manifest, if it says nothing else; ``"journal entry"``: what is
            written down of an upload on this machine.
        url: Where it is, or would have become visible.
        size: Its bytes; 0 where it has none of its own.
        age: How long ago it was written, or begun.
        removed: Whether it has been removed.
    """

    kind: str
    url: str
    size: int
    age: timedelta
    removed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class GarbageReport:
    """What was found, and what was not looked for.

    Attributes:
        leftovers: What killed saves have left, sorted by kind and URL.
        skipped: What could not be looked at or removed, and why.
    """

    leftovers: Sequence[Leftover]
    skipped: Sequence[str] = ()

    @property
    def size(self) -> int:
        """The bytes of all leftovers together."""
        return sum(each.size for each in self.leftovers)


def collect_garbage(
    url: URL,
    *,
    older_than: timedelta = timedelta(hours=24),
    dry_run: bool = True,
    storage_options: StorageOptions | None = None,
) -> GarbageReport:
    """Find, and without ``dry_run`` remove, what killed saves have left at or below ``url``.

    Nothing is touched that a finished save has left, that is younger than ``older_than``,
    or that is not recognisably a save's. Saves that go on longer than that and did not
    finish an upload lose it, and fail with an error; what they were to replace stays.
    The claim of a version stays until a later save into the repository has come through:
    by then nobody can take its number again. Resumable uploads of Cloud Storage cannot be
    listed: those that this machine has written down are found, others end by themselves
    after a week.

    Args:
        url: A model, or a folder, prefix or bucket with models.
        older_than: How long ago all of it must have been written. Less than 10 seconds is
            for URLs to which nobody saves meanwhile: a save might lose files to it, and fail.
        dry_run: Remove nothing.
        storage_options: Arguments for the fsspec filesystem.

    Raises:
        ArgumentError: ``older_than`` is negative or no ``timedelta``.
        BucketNotFoundError: the bucket does not exist.
        StorageError: the store refused a listing, or failed.
    """
    given: object = older_than
    if not isinstance(given, timedelta) or older_than < timedelta(0):
        raise ArgumentError(
            "not a length of time", where="older_than",
            expected="a datetime.timedelta that is not negative", found=repr(older_than),
        )  # fmt: skip
    location = Location.parse(url, storage_options)
    return _Sweep(open_store(location), location, older_than, dry_run=dry_run).report()


class _Sweep:
    """One walk over a URL."""

    def __init__(
        self, store: Store, location: Location, older_than: timedelta, *, dry_run: bool
    ) -> None:
        self._store = store
        self._location = location
        self._now = datetime.now(UTC)
        self._before = self._now - older_than
        self._dry_run = dry_run
        self._leftovers: list[Leftover] = []
        self._skipped: list[str] = []

    def report(self) -> GarbageReport:
        """Walk, remove, and tell."""
        objects = self._objects()
        if not objects:
            refuse_missing_bucket(self._store, self._location)
        self._sweep_saves(objects)
        self._sweep_claims(objects)
        with self._skipping("unfinished uploads"):
            self._sweep_uploads()
        self._sweep_staging_files()
        self._sweep_journal()
        found = sorted(self._leftovers, key=lambda each: (each.kind, each.url))
        return GarbageReport(leftovers=tuple(found), skipped=tuple(self._skipped))

    def _objects(self) -> Mapping[str, ObjectInfo]:
        """Return the objects below the URL, and those of a model of one file, by their URLs."""
        location = self._location
        found = {
            location.join(path).path: info for path, info in self._store.list(location).items()
        }
        if not location.is_bucket:
            beside = self._store.list_names(location.parent, location.name)
            found |= {location.parent.join(name).path: info for name, info in beside.items()}
        return found

    def _sweep_saves(self, objects: Mapping[str, ObjectInfo]) -> None:
        manifests = [
            path
            for path, info in objects.items()
            if layout_of_manifest(path) and self._is_meant(path) and self._is_old(info.modified)
        ]
        ordered = sorted(objects)

        def find(path: str) -> UnfinishedSaves | None:
            around = f"{path.rpartition('/')[0]}/"
            following = (ordered[at] for at in range(bisect_left(ordered, around), len(ordered)))
            inside = takewhile(lambda each: each.startswith(around), following)
            return self._find(path, {each[len(around) :]: objects[each] for each in inside})

        with ThreadPoolExecutor(self._store.transfer.max_concurrency) as pool:
            for path, found in zip(manifests, pool.map(find, manifests), strict=True):
                if found is not None:
                    manifest = replace(self._location, path=path)
                    with self._skipping(str(manifest)):
                        self._sweep_save(found, manifest, objects[path])

    def _find(self, path: str, listing: Mapping[str, ObjectInfo]) -> UnfinishedSaves | None:
        manifest = replace(self._location, path=path)
        layout = layout_of_manifest(path)
        found = None
        if layout is not None:
            with self._skipping(str(manifest)):
                found = find_unfinished(self._store, manifest, layout, listing, self._before)
        return found

    def _sweep_save(self, found: UnfinishedSaves, manifest: Location, info: ObjectInfo) -> None:
        files = {
            path: self._leftover("file", found.folder.join(path), each.size, each.modified)
            for path, each in found.files.items()
        }
        size = info.size if found.current is None else 0
        announcement = self._leftover("announcement", manifest, size, info.modified)
        if self._dry_run:
            self._leftovers += [*files.values(), announcement]
            return
        for path in found.remove():
            self._leftovers.append(replace(files[path], removed=True))
        self._leftovers.append(replace(announcement, removed=True))
        if found.current is None:
            for path in (*files, DIRECTORY_MANIFEST):
                self._remove_empty_folders(found.folder.join(path))

    def _sweep_claims(self, objects: Mapping[str, ObjectInfo]) -> None:
        """Remove claims of numbers that ``latest`` has come to, which nobody takes again."""
        latest: dict[str, int] = {}
        for path, info in objects.items():
            claimed = parse_claim(path)
            if claimed is None or not (self._is_meant(path) and self._is_old(info.modified)):
                continue
            root, number = claimed
            place = replace(self._location, path=path)
            with self._skipping(str(place)):
                if root not in latest:
                    latest[root] = read_latest(self._store, replace(self._location, path=root))
                if number <= latest[root]:
                    leftover = self._leftover("claim", place, info.size, info.modified)
                    self._remove(leftover, partial(self._store.delete, place))

    def _sweep_uploads(self) -> None:
        for upload in self._store.uploads(self._location):
            if self._is_old(upload.begun) and _is_model_file(upload.location.path):
                with self._skipping(str(upload.location)):
                    size = self._store.upload_size(upload)
                    leftover = self._leftover("upload", upload.location, size, upload.begun)
                    self._remove(leftover, partial(self._store.abort, upload))

    def _sweep_staging_files(self) -> None:
        for place, info in self._store.staging_files(self._location).items():
            if self._is_old(info.modified):
                with self._skipping(str(place)):
                    leftover = self._leftover("staging file", place, info.size, info.modified)
                    self._remove(leftover, partial(self._store.delete, place))
                    if not self._dry_run:
                        self._remove_empty_folders(place)

    def _sweep_journal(self) -> None:
        """End what is written down of uploads on this machine: no listing names those of GCS."""
        for entry in self._store.journal.abandoned():
            try:
                place = self._place_of(entry.record.url)
                begun = datetime.fromtimestamp(entry.record.begun_after / 1000, UTC)
                if place is None or not self._is_old(begun):
                    continue
                upload = UnfinishedUpload(
                    location=place, upload_id=entry.record.upload, begun=begun
                )
                with self._skipping(str(place)):
                    leftover = self._leftover("journal entry", place, 0, begun)
                    self._remove(leftover, partial(self._end, upload))
                    if not self._dry_run:
                        entry.remove()
            finally:
                entry.release()

    def _end(self, upload: UnfinishedUpload) -> None:
        if upload.upload_id:
            self._store.abort(upload)

    def _place_of(self, url: str) -> Location | None:
        """Return where a URL of the journal leads, if that is at or below the one meant."""
        protocol, _, path = url.partition("://")
        is_meant = protocol == self._location.protocol and self._is_meant(path)
        return replace(self._location, path=path) if is_meant else None

    def _is_meant(self, path: str) -> bool:
        wanted = self._location.path
        return is_at_or_below(path, wanted) or path == f"{wanted}{FILE_MANIFEST_SUFFIX}"

    def _is_old(self, time: datetime | None) -> bool:
        return time is not None and time < self._before

    def _leftover(self, kind: str, place: Location, size: int, time: datetime | None) -> Leftover:
        age = self._now - time if time is not None else timedelta(0)
        return Leftover(kind=kind, url=str(place), size=size, age=age)

    def _remove(self, leftover: Leftover, remove: Callable[[], None]) -> None:
        if not self._dry_run:
            remove()
        self._leftovers.append(replace(leftover, removed=not self._dry_run))

    def _remove_empty_folders(self, place: Location) -> None:
        """Remove the folders around what was removed, up to the URL, where they are empty."""
        folder = place.parent
        while is_at_or_below(folder.path, self._location.path) and folder != self._location:
            self._store.remove_directory(folder)
            folder = folder.parent

    @contextmanager
    def _skipping(self, what: str) -> Iterator[None]:
        """Go on with the next where one cannot be looked at or removed, and say so."""
        try:
            yield
        except ModelNotFoundError:
            return  # gone meanwhile
        except (ConflictError, MissingDependencyError, StorageError) as error:
            self._skipped.append(f"{what}: {error}")


def _is_model_file(path: str) -> bool:
    """Whether the name of an object is one that a save gives."""
    *folders, name = path.split("/")
    return bool(_MODEL_FOLDERS & set(folders)) or _MODEL_NAME.fullmatch(name) is not None
