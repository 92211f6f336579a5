"""An HTTP proxy in front of a store's server that counts what passes."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from remote_models.testing import Emulator

__all__ = ["CountingProxy", "Exchange", "counting_proxy"]

_HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive"}

_DENIED = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """One request and the size of its answer's body."""

    method: str
    path: str
    range: str | None
    status: int
    nbytes: int


class CountingProxy:
    """The proxy's address and what has passed through it.

    Attributes:
        allows: Which methods and paths may pass; the others are denied as S3 would.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.allows: Callable[[str, str], bool] = lambda _method, _path: True
        self.exchanges: list[Exchange] = []
        self.lock = threading.Lock()
        self.server = _Server(("127.0.0.1", 0), _Handler, self)
        self.endpoint_url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def clear(self) -> None:
        """Forget what has passed."""
        with self.lock:
            self.exchanges.clear()

    @property
    def requests(self) -> int:
        """How many requests have passed."""
        return len(self.exchanges)

    @property
    def nbytes(self) -> int:
        """How many bytes of answers have passed."""
        return sum(exchange.nbytes for exchange in self.exchanges)

    def storage_options(self, emulator: Emulator) -> dict[str, object]:
        """Return what fsspec needs to reach the emulator through the proxy."""
        return {**emulator.storage_options, "endpoint_url": self.endpoint_url}

    def environment(self, emulator: Emulator) -> dict[str, str]:
        """Return the variables with which clients reach the emulator through the proxy."""
        return {
            **emulator.environment,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
        }


@contextmanager
def counting_proxy(upstream: str) -> Iterator[CountingProxy]:
    """Run a proxy before the server at ``upstream`` for the length of a block.

    Port 0: the system gives a free one, so that parallel runs do not meet. The
    ``Host`` header passes unchanged, so that signatures hold.
    """
    proxy = CountingProxy(upstream)
    thread = threading.Thread(target=proxy.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.server.shutdown()
        proxy.server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        handler: type[BaseHTTPRequestHandler],
        proxy: CountingProxy,
    ) -> None:
        super().__init__(address, handler)
        self.proxy = proxy


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a body waits 40 ms behind its header

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the exchanges are the log."""

    def _forward(self) -> None:
        assert isinstance(self.server, _Server)
        proxy = self.server.proxy
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else None
        if not proxy.allows(self.command, self.path):
            self._record(403, 0)
            self._deny()
            return
        response, headers, data = self._ask(proxy.upstream, body)
        self._record(response.status, len(data))
        self._answer(response, headers, data)

    def _ask(
        self, upstream: str, body: bytes | None
    ) -> tuple[http.client.HTTPResponse, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(upstream, timeout=60)
        try:
            connection.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            return response, response.getheaders(), response.read()
        finally:
            connection.close()

    def _record(self, status: int, nbytes: int) -> None:
        assert isinstance(self.server, _Server)
        exchange = Exchange(
            method=self.command,
            path=self.path,
            range=self.headers.get("Range"),
            status=status,
            nbytes=nbytes,
        )
        with self.server.proxy.lock:
            self.server.proxy.exchanges.append(exchange)

    def _deny(self) -> None:
        self.send_response_only(403, "Forbidden")
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(_DENIED)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(_DENIED)

    def _answer(
        self, response: http.client.HTTPResponse, headers: list[tuple[str, str]], data: bytes
    ) -> None:
        self.send_response_only(response.status, response.reason)
        for name, value in headers:
            if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                self.send_header(name, value)
        of_head = dict(headers).get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", of_head or str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _forward  # noqa: N815 - http.server's names
