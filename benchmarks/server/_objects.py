"""What the server holds: objects made of pieces of files, and uploads on their way."""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

__all__ = ["Blob", "Key", "Objects", "Piece", "Refusal", "Upload"]

Key = tuple[str, str]
"""A bucket and a key in it."""


class Refusal(Exception):  # noqa: N818 - not an error here: an answer
    """A request that is answered with one of S3's error codes."""

    def __init__(self, *, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


class Descriptor:
    """An open file that is closed when nobody holds it any more."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """Bytes of an object: those of a file from its beginning, or ones thrown away.

    Attributes:
        size: How many.
        file: Where they are; ``None`` says that they were counted and dropped.
    """

    size: int
    file: Descriptor | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Blob:
    """One version of an object."""

    pieces: tuple[Piece, ...]
    etag: str
    modified: float = field(default_factory=time.time)

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return sum(piece.size for piece in self.pieces)


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """A multipart upload: its parts by their numbers, each with its ETag."""

    key: Key
    parts: dict[int, tuple[Piece, str]] = field(default_factory=dict)


class Objects:
    """Buckets, objects and uploads, for all connections."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._numbers = itertools.count(1)
        self._blobs: dict[str, dict[str, Blob]] = {}
        self._uploads: dict[str, Upload] = {}

    def new_etag(self) -> str:
        """Return an ETag that no other object has. S3 promises no more of them."""
        return f"{next(self._numbers):032x}"

    def add_bucket(self, bucket: str) -> None:
        """Make a bucket, unless it is there."""
        self._blobs.setdefault(bucket, {})

    def add_folder(self, bucket: str, folder: Path) -> None:
        """Offer the files below a folder, without a copy, as a bucket's objects."""
        self.add_bucket(bucket)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            piece = Piece(size=path.stat().st_size, file=Descriptor(os.open(path, os.O_RDONLY)))
            blob = Blob(pieces=(piece,), etag=self.new_etag())
            self._blobs[bucket][path.relative_to(folder).as_posix()] = blob

    def bucket(self, bucket: str) -> dict[str, Blob]:
        """Return a bucket's objects.

        Raises:
            Refusal: there is no such bucket.
        """
        if bucket not in self._blobs:
            raise Refusal(status=404, code="NoSuchBucket")
        return self._blobs[bucket]

    def get(self, key: Key) -> Blob:
        """Return an object.

        Raises:
            Refusal: it is not there.
        """
        blob = self.bucket(key[0]).get(key[1])
        if blob is None:
            raise Refusal(status=404, code="NoSuchKey")
        return blob

    def put(
        self, key: Key, blob: Blob, *, if_absent: bool = False, if_match: str | None = None
    ) -> None:
        """Publish an object, all at once.

        Raises:
            Refusal: the bucket is missing or a condition does not hold.
        """
        bucket = self.bucket(key[0])
        with self._lock:
            there = bucket.get(key[1])
            if if_match is not None and there is None:
                raise Refusal(status=404, code="NoSuchKey")
            if (if_absent and there) or (if_match and there and there.etag != if_match):
                raise Refusal(status=412, code="PreconditionFailed")
            bucket[key[1]] = blob

    def delete(self, key: Key) -> None:
        """Forget an object, if it is there."""
        self.bucket(key[0]).pop(key[1], None)

    def begin(self, key: Key) -> str:
        """Begin a multipart upload and return its name."""
        self.bucket(key[0])
        name = f"upload-{next(self._numbers)}"
        self._uploads[name] = Upload(key=key)
        return name

    def upload(self, name: str) -> Upload:
        """Return an upload on its way.

        Raises:
            Refusal: there is none of that name.
        """
        if name not in self._uploads:
            raise Refusal(status=404, code="NoSuchUpload")
        return self._uploads[name]

    def end(self, name: str) -> None:
        """Forget an upload."""
        self._uploads.pop(name, None)
