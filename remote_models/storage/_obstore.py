"""S3 and what speaks its protocol, through obstore: the fast client.

The only place that knows obstore (object_store in Rust). Tried with obstore 0.11
and 0.12; 0.11 is the first that takes ``aws_endpoint_url_s3`` and
``disable_bulk_delete``. Google Cloud Storage stays with gcsfs: obstore speaks the
XML API there, for which there is no emulator, and cannot write without credentials.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, cached_property, partial
from itertools import chain
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from obstore.exceptions import GenericError, InvalidPathError, PreconditionError
from obstore.store import S3Store as Client

from remote_models.errors import (
    ArgumentError,
    BucketNotFoundError,
    CredentialsError,
    MissingDependencyError,
    StorageError,
)
from remote_models.storage._answer import check_range, check_whole
from remote_models.storage._errors import replaced, translate
from remote_models.storage._hedge import answer_within
from remote_models.storage._location import Location
from remote_models.storage._obstore_client import PAUSE_SECONDS, connect
from remote_models.storage._obstore_errors import code_of, row_of
from remote_models.storage._obstore_settings import S3Settings
from remote_models.storage._obstore_staging import (
    LARGE,
    MAX_PUT,
    OBSTORE,
    ObstoreStagedFile,
    ObstoreUpload,
    StagedElsewhere,
)
from remote_models.storage._part_plan import plan_parts, takes_any_parts
from remote_models.storage._s3_codes import (
    CREDENTIALS_HINT,
    OUT_OF_RANGE,
    pinning_version,
    strong_etag,
)
from remote_models.storage._staging import WRITER, StagedFile
from remote_models.storage._store import Buffer, ObjectInfo, Store, check_size
from remote_models.storage._stored_range import StoredRange
from remote_models.storage._upload_journal import JournalEntry, UploadRecord, now_ms
from remote_models.storage._uploads import UnfinishedUpload

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult, ObjectMeta, PutMode

__all__ = ["ObstoreStore", "is_forked"]

_PUT_SECONDS = 15 * 60
"""How long a request with a large body may take. reqwest, which obstore uses, counts the
time that it takes to send the body as a pause before the answer."""


_NO_CHECKSUMS = {"request_checksum_calculation": "when_required"}
"""obstore sends no checksums with parts, and S3 wants all parts of an upload to be alike."""


@cache
def _home() -> int:
    """Return the process that was the first to ask: obstore's threads live in it alone."""
    return os.getpid()


def is_forked() -> bool:
    """Whether this process was forked from one in which obstore has been used.

    There obstore would wait for ever for threads that a fork does not copy.
    """
    return _home() != os.getpid()


class ObstoreStore(Store):
    """Buckets reached through obstore.

    What obstore cannot do as well is left to s3fs where that is installed: files
    above 8 MiB that may not be there yet, which obstore creates in one request only;
    folders that hold keys which obstore cannot name; and uploads that a killed process
    has left unfinished, which obstore can neither list nor go on with.
    """

    def __init__(
        self,
        settings: S3Settings,
        open_other: Callable[[Mapping[str, Any]], Store | None],
    ) -> None:
        _home()
        self._settings = settings
        self._open_other = open_other
        self._clients: dict[tuple[str, int], Client] = {}

    @cached_property
    def _other(self) -> Store | None:
        """The same store through s3fs."""
        return self._opened_other({})

    @cached_property
    def _resumer(self) -> Store | None:
        """The same store through s3fs for uploads that obstore has begun."""
        try:
            return self._opened_other(_NO_CHECKSUMS)
        except ArgumentError:  # an older botocore, which knows no such setting
            return None

    def _opened_other(self, config: Mapping[str, Any]) -> Store | None:
        other = self._open_other(config)
        if other is not None:
            other.transfer = self.transfer
            other.journal = self.journal
        return other

    def head(self, location: Location, *, version: str | None = None) -> ObjectInfo:
        with self.errors(location):
            client, key = self._place(self._key(location))
            # Not head(), which does not tell of the object's own metadata.
            options: GetOptions = {"head": True}
            if version is not None:
                options["version"] = version
            patience = self.transfer.retry.timeout
            return answer_within(patience, lambda: _info(client.get(key, options=options)))

    def list(self, location: Location) -> Mapping[str, ObjectInfo]:
        def find(client: Client, folder: str) -> Iterable[ObjectMeta]:
            pages = client.list(folder or None, chunk_size=1000)
            patience = self.transfer.retry.timeout
            return chain.from_iterable(
                iter(lambda: answer_within(patience, lambda: next(pages, ())), ())
            )

        return self._list(location, find, lambda other: other.list(location))

    def list_names(self, folder: Location, prefix: str) -> Mapping[str, ObjectInfo]:
        def find(client: Client, folder: str) -> Iterable[ObjectMeta]:
            patience = self.transfer.retry.timeout
            return answer_within(
                patience, lambda: client.list_with_delimiter(folder or None)["objects"]
            )

        found = self._list(folder, find, lambda other: other.list_names(folder, prefix))
        return {name: info for name, info in found.items() if name.startswith(prefix)}

    def delete(self, location: Location) -> None:
        with self.errors(location):
            client, key = self._place(self._key(location))
            try:
                client.delete(key)
            except FileNotFoundError as error:
                if code_of(error) == "NoSuchBucket":
                    raise

    def stage(
        self,
        location: Location,
        size: int,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> StagedFile:
        path = self._key(location)
        conditional = if_absent or if_match is not None
        if size > LARGE and not conditional:
            write_down = partial(self._write_down, str(location), size)
            part = self.transfer.part_size(size)
            client, key = self._place(path, int(self.transfer.retry.give_up_after(part)))
            return self._resumed(location, size) or ObstoreUpload(
                client, key, size, self.transfer, write_down
            )
        if size > LARGE and self._other is not None:
            staged = self._other.stage(location, size, if_absent=if_absent, if_match=if_match)
            return StagedElsewhere(self._other, location, staged)
        if conditional and size > MAX_PUT:
            raise MissingDependencyError(
                "creating a file of more than 5 GiB exclusively needs s3fs",
                where=str(location), hint="pip install 'remote_models[s3]'",
            )  # fmt: skip
        mode: PutMode = "create" if if_absent else "overwrite"
        if if_match is not None:
            mode = {"e_tag": if_match}
        client, key = self._place(path, _PUT_SECONDS)
        return ObstoreStagedFile(client, key, size, self.transfer.retry, mode=mode)

    @property
    def copies_ranges(self) -> bool:
        return takes_any_parts(self._settings.endpoint) and self._other is not None

    def stage_stored(
        self,
        location: Location,
        size: int,
        stored: Sequence[StoredRange],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> StagedFile:
        # obstore does not know UploadPartCopy.
        if self._other is None or not plan_parts(size, stored, self.transfer.part_size(size)):
            return self.stage(location, size, if_absent=if_absent, if_match=if_match)
        staged = self._other.stage_stored(
            location, size, stored, if_absent=if_absent, if_match=if_match
        )
        return StagedElsewhere(self._other, location, staged)

    def uploads(self, location: Location) -> Sequence[UnfinishedUpload]:
        return self._lister(location).uploads(location)

    def upload_size(self, upload: UnfinishedUpload) -> int:
        return self._lister(upload.location).upload_size(upload)

    def abort(self, upload: UnfinishedUpload) -> None:
        self._lister(upload.location).abort(upload)

    def _lister(self, location: Location) -> Store:
        if self._other is None:
            raise MissingDependencyError(
                "obstore cannot list unfinished uploads, and s3fs is not installed",
                where=str(location), hint="pip install 'remote_models[s3]'",
            )  # fmt: skip
        return self._other

    def _resumed(self, location: Location, size: int) -> StagedFile | None:
        """Go on with what a killed process has left, which only s3fs can do."""
        if not self.journal.has(str(location)):
            return None
        if self._resumer is None:
            return None
        staged = self._resumer.resume(location, size, OBSTORE)
        return staged and StagedElsewhere(self._resumer, location, staged)

    def _write_down(
        self, url: str, size: int, begun_after: int, writer: str
    ) -> JournalEntry | None:
        return self.journal.begin(
            UploadRecord(
                url=url,
                size=size,
                part_size=self.transfer.part_size(size),
                client=OBSTORE,
                begun_after=begun_after,
                begun_before=now_ms(),
                writer=writer,
            )
        )

    def _read(self, key: str, start: int, stop: int, version: str | None) -> Buffer:
        return self._get(key, start, stop, version, {})[1]

    def _read_pinned(
        self, location: Location, start: int, stop: int, version: str | None, etag: str
    ) -> Buffer:
        key = self._key(location)
        try:
            found, data = self._get(key, start, stop, version, {"if_match": etag})
        except PreconditionError as error:
            raise replaced(location) from error
        if data and found != etag:  # a store that does not know If-Match
            raise replaced(location)
        return data

    def _get(
        self, path: str, start: int, stop: int, version: str | None, condition: GetOptions
    ) -> tuple[str | None, Buffer]:
        """Return an object's etag and some of its bytes, none if it ends before ``start``."""
        client, key = self._place(path)
        options: GetOptions = {**condition, "range": (start, stop)}
        if version is not None:
            options["version"] = version
        try:
            answer = client.get(key, options=options)
            data = memoryview(answer.bytes())
        except GenericError as error:
            if code_of(error) == OUT_OF_RANGE:
                return None, b""
            raise
        # obstore has seen to it that the answer is a range, and begins where it should.
        first, end = answer.range
        where = f"s3://{path}"
        told = f"bytes {first}-{end - 1}/{answer.meta['size']}"
        check_range(told, start, stop, len(data), where=where)
        return answer.meta["e_tag"], data

    def _read_whole(self, location: Location, limit: int) -> tuple[Buffer, ObjectInfo]:
        client, key = self._place(self._key(location))
        try:
            # As a range, of which the answer says how large the whole is.
            answer = client.get(key, options={"range": (0, limit)})
        except GenericError as error:
            if code_of(error) == OUT_OF_RANGE:
                return b"", self.head(location)
            raise
        info = _info(answer)
        check_size(location, info.size, limit)
        data = memoryview(answer.bytes())
        check_whole(info.size, len(data), where=str(location))
        return data, info

    def _key(self, location: Location) -> str:
        if location.is_bucket:
            raise ArgumentError("a bucket is no object", where=str(location))
        return location.path

    def _place(self, path: str, pause: int = PAUSE_SECONDS) -> tuple[Client, str]:
        """Return a client of the path's bucket that waits so many seconds, and the key in it."""
        if is_forked():
            raise StorageError(
                "this process was forked after the store had been opened",
                hint="Open it again, or start processes with multiprocessing's 'spawn'",
            )
        bucket, _, key = path.partition("/")
        if (bucket, pause) not in self._clients:
            if self._settings.source == "nowhere":
                raise CredentialsError("no credentials found", hint=CREDENTIALS_HINT)
            self._clients[bucket, pause] = connect(self._settings, bucket, pause)
        return self._clients[bucket, pause], key

    def _list(
        self,
        folder: Location,
        find: Callable[[Client, str], Iterable[ObjectMeta]],
        instead: Callable[[Store], Mapping[str, ObjectInfo]],
    ) -> Mapping[str, ObjectInfo]:
        """Return what ``find`` finds below ``folder``, by its relative path."""
        with self.errors(folder):
            client, key = self._place(folder.path)
            cut = len(key) + 1 if key else 0
            try:
                found = {
                    each["path"][cut:]: ObjectInfo(
                        size=each["size"],
                        etag=strong_etag(each["e_tag"]),
                        modified=each["last_modified"],
                    )
                    for each in find(client, key)
                }
            except InvalidPathError:
                if self._other is None:
                    raise
                return instead(self._other)
            except GenericError as error:
                if code_of(error) == "NoSuchBucket":
                    return {}
                raise
        # obstore drops the slash at the end of the empty objects that some programs
        # put into place as folders.
        folders = {str(parent) for name in found for parent in PurePosixPath(name).parents}
        return {name: info for name, info in found.items() if info.size or name not in folders}

    def _translate(self, error: Exception, location: Location) -> Exception | None:
        row = row_of(error, has_credentials=self._settings.source != "instance")
        if row is None:
            return translate(error, location)
        own, message, hint = row
        where = location.bucket if own is BucketNotFoundError else location
        return own(message, where=str(where), hint=hint)


def _info(answer: GetResult) -> ObjectInfo:
    found = answer.meta
    return ObjectInfo(
        size=found["size"],
        version=pinning_version(found["version"]),
        etag=strong_etag(found["e_tag"]),
        writer=answer.attributes.get(WRITER),
        modified=found["last_modified"],
    )
