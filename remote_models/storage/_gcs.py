"""Google Cloud Storage, through gcsfs.

The only place that knows gcsfs beyond fsspec's interface: ``call``,
``split_path``, ``base``, ``url(generation=)`` and its exceptions. Tried with
gcsfs 2024.6 to 2026.10. The requests are those of the Cloud Storage JSON API
("Objects: insert", upload types multipart and resumable): an object appears
when its upload is finished, whole or not at all.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar, cast

import aiohttp
import requests
from gcsfs.retry import HttpError
from google.auth import exceptions as google_auth

from remote_models.errors import (
    AccessDeniedError,
    ArgumentError,
    BucketNotFoundError,
    ConflictError,
    CredentialsError,
    RemoteModelsError,
    StorageError,
    StoreUnavailableError,
)
from remote_models.storage._answer import check_range
from remote_models.storage._errors import replaced, translate
from remote_models.storage._gcs_staging import GCSFileSystem, GCSStagedFile
from remote_models.storage._gcs_uploads import (
    CLEANING_SECONDS,
    GCSUploads,
)
from remote_models.storage._location import Location
from remote_models.storage._staging import (
    WRITER,
    StagedFile,
)
from remote_models.storage._store import Buffer, ObjectInfo, Store, is_folder_mark
from remote_models.storage._uploads import UnfinishedUpload

__all__ = ["GCSStagedFile", "GCSStore"]

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=15)
"""What gcsfs is told where the caller says nothing: left alone, it waits five minutes for
each answer, six times."""

_CREDENTIALS_HINT = (
    "Run 'gcloud auth application-default login', set GOOGLE_APPLICATION_CREDENTIALS, "
    "or pass storage_options={'token': …}"
)
_ENDPOINT_HINT = "Check the network and STORAGE_EMULATOR_HOST, then try again"

_Row = tuple[type[RemoteModelsError], str, str | None]

_BY_CODE: dict[int, _Row] = {
    401: (CredentialsError, "the store does not accept these credentials", _CREDENTIALS_HINT),
    403: (AccessDeniedError, "access denied", "Check the roles of whoever runs this"),
    **dict.fromkeys(
        (408, 429, 500, 502, 503, 504),
        (StoreUnavailableError, "the store keeps failing", "Try again later"),
    ),
}

_BY_TYPE: tuple[tuple[type[Exception], _Row], ...] = (
    (
        google_auth.GoogleAuthError,
        (CredentialsError, "no usable credentials found", _CREDENTIALS_HINT),
    ),
    # gcsfs raises requests' ProxyError for status 502, and lets aiohttp's errors through.
    *(
        (kind, (StoreUnavailableError, "the store cannot be reached", _ENDPOINT_HINT))
        for kind in (aiohttp.ClientError, requests.RequestException)
    ),
    # What gcsfs makes of status 412, and of 400 where the text says "invalid".
    (
        FileExistsError,
        (ConflictError, "something is stored here already", "Pass overwrite=True to replace it"),
    ),
    (ValueError, (ArgumentError, "a name or a value that the store does not take", None)),
)


# gcsfs logs a traceback of every error that it raises as well, and Python prints what nobody
# has a handler for. Handlers of the application get it as ever.
logging.getLogger("gcsfs").addHandler(logging.NullHandler())


class GCSStore(Store):
    """Buckets reached through gcsfs. Versions and etags are GCS generations."""

    credential_errors: ClassVar[tuple[type[Exception], ...]] = (google_auth.GoogleAuthError,)

    @classmethod
    def complete_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        # A listing that is remembered hides what another process has just published.
        return {"use_listings_cache": False, "requests_timeout": _TIMEOUT, **options}

    @property
    def _gcs(self) -> GCSFileSystem:
        return cast("GCSFileSystem", self._filesystem)

    def head(self, location: Location, *, version: str | None = None) -> ObjectInfo:
        bucket, key, _ = self._gcs.split_path(self._key(location))
        pinned = {} if version is None else {"generation": version}
        with self.errors(location):
            found = self._gcs.call(
                "GET", "b/{}/o/{}", bucket, key,
                json_out=True, timeout=self.transfer.retry.timeout, **pinned,
            )  # fmt: skip
        generation = found.get("generation")
        return ObjectInfo(
            size=int(found["size"]),
            version=generation,
            etag=generation,
            writer=found.get("metadata", {}).get(WRITER),
            modified=_updated(found),
        )

    def list(self, location: Location) -> Mapping[str, ObjectInfo]:
        return self._list(location, "", {})

    def list_names(self, folder: Location, prefix: str) -> Mapping[str, ObjectInfo]:
        return self._list(folder, prefix, {"delimiter": "/"})

    def _list(
        self, folder: Location, prefix: str, limits: Mapping[str, str | int]
    ) -> Mapping[str, ObjectInfo]:
        """Return the objects in a folder whose relative path starts with ``prefix``."""
        bucket, key, _ = self._gcs.split_path(self._key(folder))
        around = f"{key}/" if key else ""
        with self.errors(folder):
            try:
                found = list(self._pages(bucket, {"prefix": f"{around}{prefix}", **limits}))
            except FileNotFoundError:
                return {}
        return {
            each["name"][len(around) :]: ObjectInfo(
                size=int(each["size"]), etag=each.get("generation"), modified=_updated(each)
            )
            for each in found
            if not is_folder_mark(each["name"], int(each["size"]))
        }

    def _pages(self, bucket: str, wanted: Mapping[str, str | int]) -> Iterator[dict[str, Any]]:
        """Yield what GCS lists; gcsfs would wait for minutes for a server that hangs."""
        token: dict[str, str] = {}
        while True:
            page = self._gcs.call(
                "GET", "b/{}/o", bucket,
                json_out=True, timeout=self.transfer.retry.timeout, **wanted, **token,
            )  # fmt: skip
            yield from page.get("items", ())
            if not page.get("nextPageToken"):
                return
            token = {"pageToken": page["nextPageToken"]}

    def stage(
        self,
        location: Location,
        size: int,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> StagedFile:
        bucket, key, _ = self._gcs.split_path(self._key(location))
        generation = "0" if if_absent else if_match
        retry = self.transfer.retry
        return GCSStagedFile(
            self._gcs, bucket, key, size, generation=generation, retry=retry, journal=self.journal
        )

    def abort(self, upload: UnfinishedUpload) -> None:
        with self.errors(upload.location):
            uploads = GCSUploads(self._gcs, self.journal, self.transfer.retry.timeout)
            if uploads.is_of_this_store(upload.upload_id):
                uploads.cancel(upload.upload_id)

    def _read(self, key: str, start: int, stop: int, version: str | None) -> bytes:
        try:
            headers, body = self._gcs.call(
                "GET",
                self._filesystem.url(key, generation=version),
                headers={"Range": f"bytes={start}-{stop - 1}"},
                timeout=self.transfer.retry.give_up_after(stop - start),
            )
        except HttpError as error:
            if error.code == 416:
                return b""  # the object ends before `start`
            raise
        data: bytes = body
        check_range(headers.get("Content-Range"), start, stop, len(data), where=f"gs://{key}")
        return data

    def _read_pinned(
        self, location: Location, start: int, stop: int, version: str | None, etag: str
    ) -> Buffer:
        try:
            return self._read(self._key(location), start, stop, etag)
        except FileNotFoundError as error:
            self.head(location)  # which says so if nothing at all is there any more
            raise replaced(location) from error

    def _translate(self, error: Exception, location: Location) -> Exception | None:
        row = self._row(error, location)
        if row is None:
            return translate(error, location)
        own, message, hint = row
        where = location.bucket if own is BucketNotFoundError else location
        return own(message, where=str(where), hint=hint)

    def _row(self, error: Exception, location: Location) -> _Row | None:
        if isinstance(error, HttpError):
            unknown = (StorageError, f"the store answered with status {error.code}", None)
            return _BY_CODE.get(int(error.code or 0), unknown)
        if isinstance(error, FileNotFoundError) and not self._has_bucket(location):
            return BucketNotFoundError, "the bucket does not exist", "Make it first"
        for kind, row in _BY_TYPE:
            if isinstance(error, kind):
                return row
        if type(error) is OSError and str(error).startswith("Forbidden"):
            # gcsfs raises a bare OSError for status 403: its text is all there is.
            return _BY_CODE[403]
        return None

    def _has_bucket(self, location: Location) -> bool:
        """Whether a missing object is missing from a bucket that exists, as far as one may see."""
        bucket = self._gcs.split_path(self._key(location))[0]
        try:
            self._gcs.call(
                "GET", "b/{}/o", bucket, json_out=True, maxResults=1, timeout=CLEANING_SECONDS
            )
        except FileNotFoundError:
            return False
        except (OSError, HttpError, google_auth.GoogleAuthError):
            return True
        return True


def _updated(info: Mapping[str, Any]) -> datetime | None:
    return datetime.fromisoformat(info["updated"]) if "updated" in info else None
