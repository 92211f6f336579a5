"""Publish an artifact: stage its files, then make them and their manifest visible.

The protocol is that of docs/manifest.md, "Publishing". Where an earlier artifact
may be present, the manifest first names the coming artifact as *pending* beside
the present one; then the files are switched; then the manifest names the new
artifact alone. So a kill at any point leaves a manifest that says of every whole
artifact what it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from remote_models.digest import FileHasher
from remote_models.documents import StoredDocument
from remote_models.errors import (
    AccessDeniedError,
    ArgumentError,
    BucketNotFoundError,
    CredentialsError,
    ManifestError,
    ModelExistsError,
    ModelNotFoundError,
    StorageError,
)
from remote_models.formats import Format
from remote_models.manifest import (
    FileEntry,
    Layout,
    Manifest,
    RelativePath,
    StoredManifest,
    parse_relative_path,
)
from remote_models.remote_model import manifest_location, read_stored_manifest
from remote_models.storage import (
    Location,
    ProgressCallback,
    ProgressMeter,
    Publication,
    Store,
)
from remote_models.tensor_hashing import ArtifactHasher
from remote_models.tensors import StoredTensor

__all__ = ["Artifact", "publish"]

_CHUNK = 8 * 1024 * 1024

_SAVED_MODEL = "saved_model.pb"


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """An artifact on this machine that is to be published.

    Attributes:
        format: What it is.
        layout: How its files will lie around the URL.
        created: When it was made (see :class:`~remote_models.manifest.Manifest`).
        producer: What made it.
        metadata: The user's own JSON object.
        files: The path of every file inside the artifact, and the local file.
        empty_directories: Folders without a file.
        tensors: Where the tensors lie in the files; nothing vouches for them yet.
        documents: Where the model's configuration lies in the files.
    """

    format: Format
    layout: Layout
    created: str
    producer: Mapping[str, str]
    metadata: Mapping[str, Any]
    files: Mapping[str, Path]
    empty_directories: Sequence[str] = ()
    tensors: Sequence[StoredTensor] = ()
    documents: Sequence[StoredDocument] = ()


def publish(
    store: Store,
    location: Location,
    artifact: Artifact,
    *,
    overwrite: bool,
    progress: ProgressCallback | None = None,
) -> Manifest:
    """Put ``artifact`` at ``location`` and return the manifest that was written last.

    Until every byte has travelled, nothing at ``location`` changes; a failure
    before that leaves no trace. One file is then switched in one step. A
    directory is switched file by file: a reader in between, or after a kill in
    between, gets an error and never a mixture.

    Raises:
        ModelExistsError: something is there and ``overwrite`` is false, or an
            artifact of the other layout is in the way.
        ArgumentError: a file of the artifact has the manifest's name.
        ManifestError: the path of a file is not safe.
    """
    folder = location if artifact.layout is Layout.DIRECTORY else location.parent
    _check_names(folder, manifest_location(location, artifact.layout), artifact)
    earlier = _Earlier.look(store, location, artifact.layout)
    earlier.check(overwrite=overwrite)
    with Publication(store, if_absent=not overwrite) as publication:
        if artifact.layout is Layout.DIRECTORY:
            publication.make_directory(location)
        coming = _stage(publication, folder, location, artifact, progress)
        switch = _Switch(store, location, earlier, coming, overwrite=overwrite)
        with switch:
            publication.commit(switch.record, on_attempt=switch.attempt)
            switch.make_directories()
            # While the manifest still names them: after a kill the next save finds them.
            _delete_stale(store, folder, earlier, coming)
            switch.finish()
    return switch.manifest


def _check_names(folder: Location, manifest: Location, artifact: Artifact) -> None:
    for path in artifact.files:
        parse_relative_path(path, where="file name")
        if folder.join(path) == manifest:
            raise ArgumentError(
                "a file of the model stands where its manifest belongs",
                where=str(manifest),
                hint="Rename the file",
            )


def _stage(
    publication: Publication,
    folder: Location,
    location: Location,
    artifact: Artifact,
    progress: ProgressCallback | None,
) -> Manifest:
    sizes = {path: local.stat().st_size for path, local in artifact.files.items()}
    meter = ProgressMeter("upload", str(location), sum(sizes.values()), progress)
    entries = []
    hashers = ArtifactHasher(artifact.tensors)
    for path in _commit_order(artifact.files):
        for parent in reversed(_parents(path)):
            publication.make_directory(folder.join(parent))
        hasher = hashers.of_file(path)
        chunks = _read_local(artifact.files[path], hasher, meter)
        publication.stage(folder.join(path), sizes[path], chunks)
        entries.append(
            FileEntry(
                path=parse_relative_path(path, where="file name"),
                size=sizes[path],
                sha256=hasher.sha256(),
            )
        )
    return Manifest(
        format=artifact.format.value,
        layout=artifact.layout,
        created=artifact.created,
        producer=artifact.producer,
        metadata=artifact.metadata,
        files=tuple(sorted(entries, key=lambda entry: entry.path)),
        empty_directories=tuple(
            parse_relative_path(path, where="folder name")
            for path in sorted(artifact.empty_directories)
        ),
        tensors=hashers.tensors(),
        block_size=hashers.block_size,
        documents=artifact.documents,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Earlier:
    """What is at the location before the save.

    ``present`` says whether anything is, ``None`` where one may not look;
    ``stored`` is its manifest, if it has a readable one; ``is_bare`` says that an
    artifact is there without any manifest.
    """

    location: Location
    stored: StoredManifest | None
    present: bool | None
    is_bare: bool = False

    @classmethod
    def look(cls, store: Store, location: Location, layout: Layout) -> _Earlier:
        """Read the earlier manifest, and refuse an artifact of the other layout."""
        other = Layout.FILE if layout is Layout.DIRECTORY else Layout.DIRECTORY
        if _is_present(store, manifest_location(location, other)):
            raise ModelExistsError(
                f"a model that is a {other.value} is stored here",
                where=str(location),
                hint="Choose another name, or delete it first",
            )
        try:
            stored = read_stored_manifest(store, manifest_location(location, layout), layout)
        except BucketNotFoundError:
            if not location.is_local:  # locally the folder may still have to be made
                raise
        except ModelNotFoundError:
            pass
        except CredentialsError:
            raise
        except AccessDeniedError:
            return cls(location=location, stored=None, present=None)
        except ManifestError:
            # Damaged: it can be replaced, but not kept beside the new one.
            return cls(location=location, stored=None, present=True)
        else:
            return cls(location=location, stored=stored, present=True)
        target = location.join(_SAVED_MODEL) if layout is Layout.DIRECTORY else location
        present = _is_present(store, target)
        return cls(location=location, stored=None, present=present, is_bare=present)

    def check(self, *, overwrite: bool) -> None:
        """Refuse early what the store's exclusive create would refuse at the commit."""
        if overwrite or not self.present:
            return
        unfinished = self.stored is not None and self.stored.current is None
        raise ModelExistsError(
            "an unfinished save is stored here" if unfinished else "a model is stored here already",
            where=str(self.location),
            hint="Pass overwrite=True to replace it",
        )

    @property
    def candidates(self) -> Sequence[Manifest]:
        """The manifests of what may be there."""
        return self.stored.candidates if self.stored else ()


class _Switch:
    """The moment in which the old artifact gives way to the new one.

    A ``with`` block: entering announces the new artifact, leaving by an exception
    takes back what can be taken back.
    """

    def __init__(
        self,
        store: Store,
        location: Location,
        earlier: _Earlier,
        coming: Manifest,
        *,
        overwrite: bool,
    ) -> None:
        self._store = store
        self._where = manifest_location(location, coming.layout)
        self._folder = location if coming.layout is Layout.DIRECTORY else location.parent
        self._earlier = earlier
        self._overwrite = overwrite
        self._versions: dict[str, str] = {}
        self._attempted: list[Location] = []
        self._committed: list[Location] = []
        self._directories: list[Location] = []
        self._announced = False
        self.manifest = coming

    def __enter__(self) -> Self:
        alone = len(self.manifest.files) == 1 and not self._earlier.candidates
        if not alone:  # a single first file appears in one step: there is nothing to announce
            self._announce()
        return self

    def _announce(self) -> None:
        announcement = StoredManifest(
            current=self._earlier.stored.current if self._earlier.stored else None,
            pending=(*self._pending(), self.manifest),
        )
        # An error may come although the store has taken the announcement. With
        # an exclusive create it may be another writer's, and is left alone.
        self._announced = self._overwrite
        try:
            self._write(announcement, if_absent=not self._overwrite)
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        self._announced = True

    def attempt(self, location: Location) -> None:
        """Remember a file that becomes visible now, or has an uncertain fate if that fails."""
        self._attempted.append(location)

    def record(self, location: Location, version: str | None) -> None:
        """Remember a file that has become visible."""
        self._committed.append(location)
        if version is not None:
            self._versions[location.path] = version

    def make_directories(self) -> None:
        """Make the folders without a file, and those around them."""
        for path in self.manifest.empty_directories:
            for each in (*reversed(_parents(path)), path):
                directory = self._folder.join(each)
                if self._store.make_directory(directory):
                    self._directories.append(directory)

    def finish(self) -> None:
        """Write the manifest of the new artifact alone: the commit mark."""
        self.manifest = self.manifest.with_files(
            replace(entry, version=self._versions.get(self._folder.join(entry.path).path))
            for entry in self.manifest.files
        )
        self._write(StoredManifest(current=self.manifest))

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


def _commit_order(paths: Mapping[str, Path]) -> list[str]:
    return sorted(paths, key=lambda path: (_is_entry_point(path), path))


def _is_entry_point(path: str) -> bool:
    """Whether nothing of the artifact loads without this file, so that it comes last."""
    if "/" in path:
        return False
    return path.startswith("saved_model.pb") or path.endswith((".index", ".json"))


def _read_local(path: Path, hasher: FileHasher, meter: ProgressMeter) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
            yield chunk
            meter.advance(len(chunk))


def _parents(path: str) -> list[RelativePath]:
    parts = path.split("/")[:-1]
    return [RelativePath("/".join(parts[: count + 1])) for count in reversed(range(len(parts)))]


def _delete_stale(store: Store, folder: Location, earlier: _Earlier, manifest: Manifest) -> None:
    """Delete files of the replaced artifact that the new one does not have."""
    kept = {entry.path for entry in manifest.files}
    stale = {entry.path for old in earlier.candidates for entry in old.files} - kept
    for path in sorted(stale):
        try:
            store.delete(folder.join(path))
        except AccessDeniedError:
            return  # a writer who may not delete leaves them; verification names them


def _is_present(store: Store, location: Location) -> bool:
    try:
        store.head(location)
    except (ModelNotFoundError, AccessDeniedError):
        return False
    except ModelExistsError:
        return False  # a file stands where its folder would be
    return True
