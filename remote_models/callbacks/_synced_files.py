"""Files of a folder on this machine, kept in a store as they grow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from remote_models._fields import object_field, size_field, text_field
from remote_models._strict_json import parse_json
from remote_models.digest import FileHasher, is_sha256
from remote_models.errors import IntegrityError, ManifestError, ModelNotFoundError
from remote_models.storage import (
    WORTH_COPYING,
    CommittedFile,
    Location,
    Publication,
    Store,
    StoredRange,
)

__all__ = ["INDEX", "SyncedFiles"]

INDEX = "remote_models_sync.json"
"""The object that names what has been sent, so that another process need not send it again."""

_MAX_INDEX = 64 * 1024 * 1024

_CHUNK = 8 * 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sent:
    """A file as it was sent: its size, its SHA-256 and what the store calls it."""

    size: int
    sha256: str
    etag: str

    @classmethod
    def from_json(cls, value: object, where: str) -> _Sent:
        fields = object_field(value, where)
        digest = fields.get("sha256")
        if not is_sha256(digest):
            raise ManifestError("no digest", where=f"{where}.sha256")
        return cls(
            size=size_field(fields.get("size"), f"{where}.size"),
            sha256=str(digest),
            etag=text_field(fields.get("etag"), f"{where}.etag"),
        )


class SyncedFiles:
    """The files of a folder, sent to a store where they are not there yet as they are.

    Each appears whole or not at all. What is deleted here stays there. Links are not
    followed.
    """

    def __init__(self, folder: Path, store: Store, root: Location) -> None:
        self._folder = folder
        self._store = store
        self._root = root
        self._sent: dict[str, _Sent] | None = None
        self._seen: dict[str, tuple[int, int]] = {}

    def send(self) -> list[str]:
        """Send what is new or has changed since the last time, and return the paths.

        Raises:
            StorageError: the store refused or failed; the next time goes on from there.
        """
        if self._sent is None:
            self._sent = self._read_index()
        done = []
        try:
            for path, file in self._files():
                with suppress(IntegrityError):  # cut or deleted meanwhile: the next time
                    if self._send(path, file, self._sent):
                        done.append(path)
        finally:
            if done:
                self._write_index(self._sent)
        return done

    def _files(self) -> Iterator[tuple[str, Path]]:
        for file in sorted(self._folder.rglob("*")):
            path = file.relative_to(self._folder).as_posix()
            if path != INDEX and file.is_file() and not _has_link(file, self._folder):
                yield path, file

    def _send(self, path: str, file: Path, sent: dict[str, _Sent]) -> bool:
        """Send one file, and say whether that was necessary."""
        try:
            stat = file.stat()
        except FileNotFoundError:  # deleted since it was listed
            return False
        state = (stat.st_size, stat.st_mtime_ns)
        if self._seen.get(path) == state:
            return False
        location = self._root.join(path)
        before = sent.get(path)
        if before is not None and before.size > stat.st_size:
            before = None
        beginning = _sha256(file, before.size) if before is not None else None
        same = before if before is not None and beginning == before.sha256 else None
        if same is not None and same.size == stat.st_size and self._is_there(location, same):
            self._seen[path] = state
            return False
        coming = _Beginning(file, stat.st_size)
        made: list[CommittedFile] = []
        with Publication(self._store) as publication:
            publication.make_directory(self._root)
            for parent in _folders(path):
                publication.make_directory(self._root.join(parent))
            publication.stage(
                location,
                stat.st_size,
                coming,
                stored=self._stored(location, same),
            )
            publication.commit(lambda _location, committed: made.append(committed))
        etag = made[0].etag
        if etag is not None:
            sent[path] = _Sent(size=stat.st_size, sha256=coming.hasher.sha256(), etag=etag)
        else:
            sent.pop(path, None)
        self._seen[path] = state
        return True

    def _stored(self, location: Location, same: _Sent | None) -> list[StoredRange]:
        """Return what of a file that has grown the store can copy."""
        if same is None or same.size < WORTH_COPYING or not self._store.copies_ranges:
            return []
        return [
            StoredRange(
                start=0, stop=same.size, source=location, source_start=0, etag=same.etag,
                is_certain=True,
            )
        ]  # fmt: skip

    def _is_there(self, location: Location, sent: _Sent) -> bool:
        try:
            found = self._store.transfer.retry.retried(lambda: self._store.head(location))
        except ModelNotFoundError:
            return False
        return (found.size, found.etag) == (sent.size, sent.etag)

    def _read_index(self) -> dict[str, _Sent]:
        """Return what earlier processes have sent; nothing where that cannot be read."""
        try:
            data, _ = self._store.transfer.retry.retried(
                lambda: self._store.read_whole(self._root.join(INDEX), limit=_MAX_INDEX)
            )
            files = object_field(parse_json(bytes(data)), INDEX)
            return {path: _Sent.from_json(value, path) for path, value in files.items()}
        except (ModelNotFoundError, ManifestError):
            return {}

    def _write_index(self, sent: Mapping[str, _Sent]) -> None:
        files = {
            path: {"size": each.size, "sha256": each.sha256, "etag": each.etag}
            for path, each in sorted(sent.items())
        }
        data = json.dumps(files).encode()
        with Publication(self._store) as publication:
            publication.stage(self._root.join(INDEX), len(data), [data])
            publication.commit(lambda _location, _committed: None)


class _Beginning:
    """So many bytes of a file that may grow meanwhile; passing again starts anew.

    Attributes:
        hasher: It has seen what has passed the last time.
    """

    def __init__(self, file: Path, size: int) -> None:
        self._file = file
        self._size = size
        self.hasher = FileHasher()

    def __iter__(self) -> Iterator[bytes]:
        self.hasher = FileHasher()
        for chunk in _beginning(self._file, self._size):
            self.hasher.update_whole(chunk)
            yield chunk


def _beginning(file: Path, size: int) -> Iterator[bytes]:
    """Yield so many bytes of a file; fewer if it has been cut or deleted meanwhile."""
    with suppress(FileNotFoundError), file.open("rb") as opened:
        while size and (chunk := opened.read(min(size, _CHUNK))):
            size -= len(chunk)
            yield chunk


def _sha256(file: Path, size: int) -> str:
    hasher = FileHasher()
    for chunk in _beginning(file, size):
        hasher.update_whole(chunk)
    return hasher.sha256()


def _folders(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _has_link(file: Path, folder: Path) -> bool:
    return any(each.is_symlink() for each in (file, *file.parents) if folder in each.parents)
