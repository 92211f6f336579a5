"""Files on their way to S3 through obstore."""

from __future__ import annotations

import io
import tempfile
from typing import IO

from obstore.store import S3Store as Client

from remote_models.storage._location import Location
from remote_models.storage._s3_codes import pinning_version, strong_etag
from remote_models.storage._staging import CommittedFile, StagedFile
from remote_models.storage._store import Store

__all__ = ["LARGE", "MAX_PUT", "ObstoreStagedFile", "StagedElsewhere"]

LARGE = 8 * 1024 * 1024
"""Above this, a file travels in parts."""

MAX_PUT = 5 * 1024**3
"""What S3 takes in one PutObject, the only conditional request that obstore makes."""

_MAX_PARTS = 10_000
_PARALLEL_PARTS = 4


class ObstoreStagedFile(StagedFile):
    """An object that waits on this machine, in memory up to 8 MiB, and travels on commit.

    It appears whole or not at all (PutObject, CompleteMultipartUpload). With
    ``if_absent`` it is one request however large, for which it is read into memory.
    """

    def __init__(self, client: Client, key: str, size: int, *, if_absent: bool) -> None:
        self._client = client
        self._key = key
        self._if_absent = if_absent
        self._part_size = max(LARGE, -(-size // _MAX_PARTS))
        self._multipart = size > LARGE and not if_absent
        self._spool: IO[bytes] = io.BytesIO()
        if size > LARGE:
            self._spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed by commit and discard

    def write(self, data: bytes | memoryview) -> None:
        self._spool.write(data)

    def commit(self) -> CommittedFile:
        self._spool.seek(0)
        if self._multipart:
            done = self._client.put(
                self._key,
                self._spool,
                use_multipart=True,
                chunk_size=self._part_size,
                max_concurrency=_PARALLEL_PARTS,
            )
        else:
            done = self._client.put(
                self._key,
                self._spool.read(),
                mode="create" if self._if_absent else "overwrite",
                use_multipart=False,
            )
        self._spool.close()
        return CommittedFile(
            version=pinning_version(done["version"]), etag=strong_etag(done["e_tag"])
        )

    def discard(self) -> None:
        self._spool.close()


class StagedElsewhere(StagedFile):
    """A file that another store stages, whose errors that store translates."""

    def __init__(self, store: Store, location: Location, staged: StagedFile) -> None:
        self._store = store
        self._location = location
        self._staged = staged

    def write(self, data: bytes | memoryview) -> None:
        with self._store.errors(self._location):
            self._staged.write(data)

    def commit(self) -> CommittedFile:
        with self._store.errors(self._location):
            return self._staged.commit()

    def discard(self) -> None:
        with self._store.errors(self._location):
            self._staged.discard()
