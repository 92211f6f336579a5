"""What a test knows about a running emulator."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from remote_models.errors import ArgumentError

CreateBucket = Callable[[str, bool], None]
"""Creates the bucket of that name, with versioning if the second argument is true."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Emulator:
    """A running server and the two ways to reach it: environment or storage options.

    Attributes:
        name: ``"seaweedfs"``, ``"moto"``, ``"ministack"`` or ``"fake-gcs-server"``.
        endpoint_url: ``http://127.0.0.1:PORT``.
        environment: Variables with which clients find the server by themselves.
        storage_options: What fsspec needs to find it without the environment.
        log_path: The server's output; deleted together with the server.
    """

    name: str
    endpoint_url: str
    environment: Mapping[str, str] = field(repr=False)
    storage_options: Mapping[str, object] = field(repr=False)
    log_path: Path
    _scheme: str = field(repr=False)
    _create_bucket: CreateBucket = field(repr=False)
    _reader: Emulator | None = field(default=None, repr=False)

    def make_bucket(self, name: str | None = None, *, versioning: bool = False) -> str:
        """Create a bucket and return its URL, such as ``s3://name`` or ``gs://name``.

        The administrator's credentials are used, whatever the environment says.

        Args:
            name: The bucket's name; random and unique by default.
            versioning: Whether the bucket keeps overwritten and deleted objects.

        Raises:
            StorageError: The server refused, for example a name that is taken.
            StoreUnavailableError: The server does not answer.
        """
        bucket = name if name is not None else f"test-{secrets.token_hex(8)}"
        self._create_bucket(bucket, versioning)
        return f"{self._scheme}://{bucket}"

    def as_reader(self) -> Emulator:
        """Return the same server seen by an identity that may read and list, but not write.

        ``make_bucket`` keeps working on what is returned: it prepares the stage.

        Raises:
            ArgumentError: The server does not enforce permissions, or this is
                the reader already.
        """
        if self._reader is None:
            raise ArgumentError(
                f"{self.name} has no other identity that may only read",
                hint="Use seaweedfs() where a refusal is needed",
            )
        return self._reader
