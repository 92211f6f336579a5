"""An HTTP proxy in front of a store's server that counts what passes, and may disturb it."""

from __future__ import annotations

import http.client
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from remote_models.testing import Emulator

__all__ = ["CountingProxy", "Disturbance", "Exchange", "Moment", "counting_proxy"]

_HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive"}

_DENIED = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"""


_UNAVAILABLE = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>ServiceUnavailable</Code><Message>Please try again</Message></Error>"""


class Disturbance(Enum):
    """What happens to a request instead of an answer."""

    UNAVAILABLE = "status 503"
    RESET = "the connection is reset"
    CUT = "the connection is closed in the middle of the body"
    SHORT = "half of the body comes, and pretends to be all of it"


class Moment(Enum):
    """Where a request is on its way through."""

    BEFORE = "before it is done"
    AFTER = "after it is done"


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """One request, the size of its body, and that of its answer's."""

    method: str
    path: str
    range: str | None
    status: int
    nbytes: int
    sent: int = 0


class CountingProxy:
    """The proxy's address and what has passed through it.

    Attributes:
        allows: Which methods and paths may pass; the others are denied as S3 would.
        disturbs: What happens to a request with this method and ``Range``.
        meets: Told of each request twice: when it has come whole, and when the server has
            done it and nobody has been told yet.
        under_way: How many requests are with the server.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.allows: Callable[[str, str], bool] = lambda _method, _path: True
        self.disturbs: Callable[[str, str | None], Disturbance | None] = lambda *_: None
        self.meets: Callable[[Moment], None] = lambda _moment: None
        self.under_way = 0
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

    @property
    def sent(self) -> int:
        """How many bytes of requests have passed."""
        return sum(exchange.sent for exchange in self.exchanges)

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

    def handle_error(self, request: object, client_address: object) -> None:
        """Pass over clients that have gone."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # typeshed


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
        if body is not None and len(body) < length:  # whoever asked has gone
            self.close_connection = True
            return
        if not proxy.allows(self.command, self.path):
            self._record(403, 0, length)
            self._refuse(403, "Forbidden", _DENIED)
            return
        disturbance = proxy.disturbs(self.command, self.headers.get("Range"))
        if disturbance is Disturbance.UNAVAILABLE:
            self._record(503, 0, length)
            self._refuse(503, "Service Unavailable", _UNAVAILABLE)
            return
        if disturbance is Disturbance.RESET:
            self._record(0, 0, length)
            self._hang_up()
            return
        with proxy.lock:
            proxy.under_way += 1
        try:
            proxy.meets(Moment.BEFORE)
            response, headers, data = self._ask(proxy.upstream, body)
            proxy.meets(Moment.AFTER)
        finally:
            with proxy.lock:
                proxy.under_way -= 1
        if disturbance is Disturbance.SHORT:
            data = data[: len(data) // 2]
        self._record(response.status, len(data), length)
        self._answer(response, headers, data, cut=disturbance is Disturbance.CUT)

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

    def _record(self, status: int, nbytes: int, sent: int) -> None:
        assert isinstance(self.server, _Server)
        exchange = Exchange(
            method=self.command,
            path=self.path,
            range=self.headers.get("Range"),
            status=status,
            nbytes=nbytes,
            sent=sent,
        )
        with self.server.proxy.lock:
            self.server.proxy.exchanges.append(exchange)

    def _refuse(self, status: int, reason: str, document: bytes) -> None:
        self.send_response_only(status, reason)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(document)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(document)

    def _hang_up(self) -> None:
        # Without lingering, closing resets the connection (socket(7)).
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def _answer(
        self,
        response: http.client.HTTPResponse,
        headers: list[tuple[str, str]],
        data: bytes,
        *,
        cut: bool,
    ) -> None:
        self.send_response_only(response.status, response.reason)
        for name, value in headers:
            if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                self.send_header(name, self._own_address(value))
        of_head = dict(headers).get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", of_head or str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = self.close_connection or cut

    def _own_address(self, value: str) -> str:
        """Let what the server says of itself lead here, such as the address of an upload."""
        assert isinstance(self.server, _Server)
        proxy = self.server.proxy
        return value.replace(f"http://{proxy.upstream}/", f"{proxy.endpoint_url}/")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _forward  # noqa: N815 - http.server's names
