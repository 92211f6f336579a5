"""Send the files of an artifact without making them visible."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial

from remote_models.digest import FileHasher
from remote_models.manifest import FileEntry, Manifest, RelativePath, parse_relative_path
from remote_models.publishing._artifact import Artifact
from remote_models.publishing._base import Base
from remote_models.publishing._file_source import FileSource
from remote_models.publishing._shared_ranges import SharedRanges
from remote_models.publishing._unchanged import UnchangedFiles
from remote_models.storage import Location, ProgressCallback, ProgressMeter, Publication, Store
from remote_models.tensor_hashing import ArtifactHasher

__all__ = ["is_entry_point", "parents_of", "stage_files"]

_WORTH_THREADS = 1024 * 1024
"""Bytes of a chunk from which on hashing takes longer than handing it to threads."""


def stage_files(
    store: Store,
    publication: Publication,
    folder: Location,
    location: Location,
    artifact: Artifact,
    *,
    earlier: Sequence[Manifest],
    bases: Sequence[Base],
    progress: ProgressCallback | None,
) -> Manifest:
    """Stage files, hashing them on the way, and return the manifest of what is coming.

    A file that is there already, as one of the ``earlier`` manifests has it, stays: its
    entry is the earlier one's, with an etag, which no coming file has yet. Of another one
    only what none of the ``bases`` has travels, if the store copies the rest.
    """
    sizes = {path: source.size for path, source in artifact.files.items()}
    meter = ProgressMeter("upload", str(location), sum(sizes.values()), progress)
    entries = []
    hashers = ArtifactHasher(artifact.tensors, artifact.documents)
    unchanged = UnchangedFiles(
        store=store,
        folder=folder,
        artifact=artifact,
        candidates=earlier,
        block_size=hashers.block_size,
    )
    shared = SharedRanges(
        store=store, artifact=artifact, bases=bases, block_size=hashers.block_size
    )
    for path in _commit_order(artifact.files):
        hasher = hashers.of_file(path)
        kept = unchanged.find(path, artifact.files[path], hasher)
        if kept is not None:
            meter.advance(kept.size)
            entries.append(replace(kept, rest_sha256=hasher.rest_sha256()))
            continue
        for parent in reversed(parents_of(path)):
            publication.make_directory(folder.join(parent))
        passing = _Passing(artifact.files[path], partial(hashers.of_file, path), meter)
        stored = shared.find(path, artifact.files[path])
        publication.stage(folder.join(path), sizes[path], passing, stored=stored)
        entries.append(
            FileEntry(
                path=parse_relative_path(path, where="file name"),
                size=sizes[path],
                sha256=passing.hasher.sha256(),
                rest_sha256=passing.hasher.rest_sha256(),
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
        exports={
            kind: parse_relative_path(path, where="file name")
            for kind, path in artifact.exports.items()
        },
    )


def _commit_order(paths: Collection[str]) -> list[str]:
    return sorted(paths, key=lambda path: (is_entry_point(path), path))


def is_entry_point(path: str) -> bool:
    """Whether nothing of the artifact loads without this file, so that it comes last."""
    if "/" in path:
        return False
    return path.startswith("saved_model.pb") or path.endswith((".index", ".json"))


class _Passing:
    """The bytes of a file, hashed and counted as they pass; passing again starts anew.

    Attributes:
        hasher: It has seen what has passed the last time.
    """

    def __init__(
        self, source: FileSource, new_hasher: Callable[[], FileHasher], meter: ProgressMeter
    ) -> None:
        self._source = source
        self._new_hasher = new_hasher
        self.hasher = new_hasher()
        self._meter = meter
        self._passed = 0

    def __iter__(self) -> Iterator[bytes | memoryview]:
        self._meter.advance(-self._passed)
        self._passed = 0
        self.hasher = self._new_hasher()
        with ThreadPoolExecutor(2, thread_name_prefix="remote_models") as pool:
            for chunk in self._source.chunks():
                yield from self._hashed(chunk, pool)
                self._passed += len(chunk)
                self._meter.advance(len(chunk))

    def _hashed(
        self, chunk: bytes | memoryview, pool: ThreadPoolExecutor
    ) -> Iterator[bytes | memoryview]:
        if len(chunk) < _WORTH_THREADS:
            self.hasher.update(chunk)
            yield chunk
            return
        whole = pool.submit(self.hasher.update_whole, chunk)
        ranges = pool.submit(self.hasher.update_ranges, chunk)
        try:
            yield chunk
        finally:
            wait((whole, ranges))  # a chunk is good until the next is asked for
        whole.result()
        ranges.result()


def parents_of(path: str) -> list[RelativePath]:
    """Return the folders around a relative path, the innermost first."""
    parts = path.split("/")[:-1]
    return [RelativePath("/".join(parts[: count + 1])) for count in reversed(range(len(parts)))]
