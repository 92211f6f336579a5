"""One plain HTTP request to a server on this machine."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

from remote_models.errors import StorageError, StoreUnavailableError

_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What a server answered."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""
        return self.status < http.client.MULTIPLE_CHOICES

    def require_ok(self, where: str) -> None:
        """Do nothing if the request succeeded.

        Raises:
            StorageError: It did not.
        """
        if not self.ok:
            text = self.body.decode(errors="replace").strip()
            raise StorageError(f"the emulator refused: {text}", where=where, found=self.status)


def exchange(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Reply:
    """Send one request on a connection of its own, past any proxy.

    Raises:
        StoreUnavailableError: No answer, or one that is not HTTP.
    """
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPConnection(parts.netloc, timeout=_TIMEOUT_SECONDS)
    try:
        with closing(connection):
            connection.request(method, target, body=body, headers=dict(headers or {}))
            response = connection.getresponse()
            return Reply(status=response.status, body=response.read())
    except (OSError, http.client.HTTPException) as error:
        raise StoreUnavailableError("the emulator does not answer", where=url) from error
