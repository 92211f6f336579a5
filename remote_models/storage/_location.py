"""Where something lies: a URL taken apart once, at the edge."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from remote_models.errors import ArgumentError

__all__ = ["Location"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://(.*)", re.DOTALL)
_LOST_SLASH = re.compile(
    r"(s3|s3a|gs|gcs|memory|file|https?|az|abfs|abfss|hdfs):/(?!/)", re.IGNORECASE
)
_CHAIN = re.compile(r"::[A-Za-z][A-Za-z0-9+.\-]*://")
_USERINFO = re.compile(r"^[^/@]*@")
_BUCKETS = ("s3", "gs")
_ALIASES = {"gcs": "gs", "s3a": "s3", "local": "file"}
_HTTP = ("http", "https")


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a store.

    Attributes:
        protocol: The URL's scheme in its usual spelling: ``file``, ``memory``,
            ``s3``, ``gs``, …
        path: Everything behind ``scheme://`` as it stands (nothing is decoded, so
            that every key can be named), without a slash at the end.
        storage_options: Arguments for the fsspec filesystem. Never printed.
    """

    protocol: str
    path: str
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)

    @classmethod
    def parse(
        cls,
        url: str | os.PathLike[str],
        storage_options: Mapping[str, Any] | None = None,
    ) -> Location:
        """Take a URL, a local path or an ``os.PathLike`` apart.

        Args:
            url: ``scheme://…`` or a local path, relative ones counted from the
                working directory. ``gcs://`` is ``gs://`` and ``s3a://`` is ``s3://``.
            storage_options: As pandas has it: passed to the fsspec filesystem.

        Raises:
            ArgumentError: ``storage_options`` is no mapping, or ``url`` is empty, of
                another type, chained (``a::b``), a bucket with a password before it, or
                a URL that ``pathlib`` has mangled (``s3:/bucket``).
        """
        text: object = os.fspath(url) if isinstance(url, os.PathLike) else url
        if not isinstance(text, str) or not text:
            raise ArgumentError(
                "not a URL", where="url", expected="a URL or a path", found=repr(url)
            )
        if storage_options is not None and not isinstance(storage_options, Mapping):
            raise ArgumentError(
                "not a mapping of options",
                where="storage_options",
                found=type(storage_options).__name__,
            )
        _refuse_malformed(text)
        match = _SCHEME.fullmatch(text)
        scheme, path = (match[1].lower(), match[2]) if match else ("file", text)
        protocol = _ALIASES.get(scheme, scheme)
        if protocol == "file":
            path = os.path.abspath(path).replace(os.sep, "/")
        elif not path.strip("/"):
            raise ArgumentError(
                "names no model", where="url", expected=f"{scheme}://bucket/path", found=repr(text)
            )
        # On S3 and GCS "b//k" and "b/k" differ; only what surrounds the path is cut.
        path = path.rstrip("/") if protocol == "file" else path.strip("/")
        if protocol in _BUCKETS:
            _refuse_credentials(protocol, path)
        return cls(protocol, path or "/", dict(storage_options or {}))

    @property
    def url(self) -> str:
        """The URL as fsspec wants it; may hold a password, so never print it."""
        return f"{self.protocol}://{self.path}"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def is_bucket(self) -> bool:
        """Whether this is a bucket itself, without a path inside it: an object it is not."""
        return self.protocol in _BUCKETS and "/" not in self.path

    @property
    def bucket(self) -> Location:
        """The bucket that this place is in."""
        return replace(self, path=self.path.partition("/")[0])

    @property
    def is_local(self) -> bool:
        """Whether this is a path of this machine's own file system."""
        return self.protocol == "file"

    @property
    def parent(self) -> Location:
        """The folder, prefix or bucket around this place; joined with the name, this place."""
        root = "/" if self.is_local else ""
        return replace(self, path=self.path.rpartition("/")[0] or root)

    def join(self, relative: str) -> Location:
        """Return the place at ``relative`` inside this folder."""
        # Nothing is cut: on S3 and GCS "b/x//k" is not "b/x/k".
        separator = "" if self.path in ("", "/") else "/"
        return replace(self, path=f"{self.path}{separator}{relative}")

    def with_suffix(self, suffix: str) -> Location:
        """Return the place whose name is this one's with ``suffix`` appended."""
        return replace(self, path=f"{self.path}{suffix}")

    def __repr__(self) -> str:
        """The same, and nothing else: neither secrets nor options."""
        return f"<Location {self}>"

    def __str__(self) -> str:
        """The URL to print: a local path as such, and never a user name, password or query.

        The query of a presigned URL is a credential.
        """
        if self.is_local:
            return self.path
        path = _USERINFO.sub("", self.path)
        if self.protocol in _HTTP and "?" in path:
            path = f"{path.partition('?')[0]}?…"
        return f"{self.protocol}://{path}"


def _refuse_malformed(text: str) -> None:
    if "\0" in text:
        raise ArgumentError("not a URL", where="url", expected="no null character")
    lost = _LOST_SLASH.match(text)
    if lost:
        rest = text[lost.end() :]
        raise ArgumentError(
            "a URL that lost a slash",
            where=f"{lost[0]}{_USERINFO.sub('', rest)}",
            hint="pathlib.Path turns '//' into '/': pass the URL as a str",
        )
    head = text.partition("://")[0]
    if ("::" in head and "://" in text) or _CHAIN.search(text):
        raise ArgumentError(
            "chained URLs are not supported",
            where="url",
            found=repr(head),
            hint="Name the store itself, without a cache or another layer before it",
        )


def _refuse_credentials(protocol: str, path: str) -> None:
    # No bucket's name has an '@'. botocore and gcsfs would quote it in their errors.
    if _USERINFO.match(path):
        raise ArgumentError(
            "credentials in a URL are not supported",
            where=f"{protocol}://{_USERINFO.sub('', path)}",
            hint="Set them in the environment or pass storage_options",
        )
