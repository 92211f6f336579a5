"""An HTTP proxy in front of a store's server that counts what passes, and may disturb it."""

from __future__ import annotations

import http.client
import re
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from remote_models.testing import Emulator

__all__ = ["CountingProxy", "Disturbance", "Exchange", "Moment", "counting_proxy"]

_HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive"}

_DENIED = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"""


class Disturbance(Enum):
    """What happens to a request instead of an answer."""

    UNAVAILABLE = "status 503"
    RESET = "the connection is reset"
    CUT = "the connection is closed in the middle of the body"
    SHORT = "half of the body comes, and pretends to be all of it"
    LONG = "more bytes come than were asked for, and pretend to be all of it"
    WHOLE = "status 200 and the whole object, not the range"
    SHIFTED = "the range beside it, and the answer says so"
    BUSY = "status 429"
    BROKEN = "status 500"
    BAD_GATEWAY = "status 502, in HTML"
    STALLED = "half of the body comes, then nothing more"
    TRICKLING = "the body comes at two bytes a second"
    SILENT = "no answer comes"
    LOST = "the request is carried out, and the connection is reset before the answer"
    EXPIRED = "status 400, the token has expired"


_REFUSALS: dict[Disturbance, tuple[int, str, str]] = {
    Disturbance.UNAVAILABLE: (503, "Service Unavailable", "ServiceUnavailable"),
    Disturbance.BUSY: (429, "Too Many Requests", "TooManyRequests"),
    Disturbance.BROKEN: (500, "Internal Server Error", "InternalError"),
    Disturbance.BAD_GATEWAY: (502, "Bad Gateway", ""),
    Disturbance.EXPIRED: (400, "Bad Request", "ExpiredToken"),
}


def _document(code: str) -> bytes:
    """Return what S3, or the gateway before it, says besides the status."""
    if not code:
        return b"<html><body><h1>502 Bad Gateway</h1></body></html>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>Please try again</Message></Error>"
    ).encode()


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
        permits: Which of those may pass by the names of their headers, in lower case, too.
        disturbs: What happens to a request with this method and ``Range``.
        meets: Told of each request twice, with its path: when it has come whole, and when
            the server has done it and nobody has been told yet.
        strips: Names of headers, in lower case, that do not get through to the server.
        under_way: How many requests are with the server.
        admits: Whether a request with this ``Authorization`` is heard; others are told that
            their token has expired.
        whole: Returns the whole object at a path, for ``Disturbance.WHOLE``.
        latency: Seconds before each answer.
        ended: Set when the proxy stops: no answer is held back any longer.
    """

    def __init__(self, upstream: str) -> None:
        self.admits: Callable[[str], bool] = lambda _authorization: True
        self.whole: Callable[[str], bytes] = _unknown
        self.latency = 0.0
        self.ended = threading.Event()
        self.upstream = urlsplit(upstream).netloc
        self.allows: Callable[[str, str], bool] = lambda _method, _path: True
        self.permits: Callable[[str, str, frozenset[str]], bool] = lambda *_: True
        self.disturbs: Callable[[str, str | None], Disturbance | None] = lambda *_: None
        self.meets: Callable[[Moment, str], None] = lambda _moment, _path: None
        self.strips: frozenset[str] = frozenset()
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


def _unknown(path: str) -> bytes:
    raise NotImplementedError(path)


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
        proxy.ended.set()
        proxy.server.shutdown()
        proxy.server.server_close()
        thread.join()


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    reason: str
    headers: list[tuple[str, str]]
    data: bytes


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
        """Pass over clients that have gone, and servers that hang up on what was aborted."""
        if not isinstance(sys.exception(), (ConnectionError, http.client.HTTPException)):
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
        names = frozenset(name.lower() for name in self.headers)
        if not (
            proxy.allows(self.command, self.path) and proxy.permits(self.command, self.path, names)
        ):
            self._record(403, 0, length)
            self._refuse(403, "Forbidden", _DENIED)
            return
        disturbance = proxy.disturbs(self.command, self.headers.get("Range"))
        if not proxy.admits(self.headers.get("Authorization", "")):
            disturbance = Disturbance.EXPIRED
        proxy.ended.wait(proxy.latency)
        if disturbance in _REFUSALS:
            status, reason, code = _REFUSALS[disturbance]
            self._record(status, 0, length)
            self._refuse(status, reason, _document(code))
            return
        if disturbance in (Disturbance.RESET, Disturbance.SILENT):
            self._record(0, 0, length)
            if disturbance is Disturbance.SILENT:
                proxy.ended.wait()
            self._hang_up()
            return
        with proxy.lock:
            proxy.under_way += 1
        try:
            proxy.meets(Moment.BEFORE, self.path)
            response, headers, data = self._ask(proxy, body)
            proxy.meets(Moment.AFTER, self.path)
        finally:
            with proxy.lock:
                proxy.under_way -= 1
        self._record(response.status, len(data), length)
        if disturbance is Disturbance.LOST:
            self._hang_up()
            return
        answer = _Answer(response.status, response.reason, headers, data)
        self._answer(self._disturbed(answer, disturbance), disturbance)

    def _disturbed(self, answer: _Answer, disturbance: Disturbance | None) -> _Answer:
        assert isinstance(self.server, _Server)
        if disturbance is Disturbance.SHORT:
            return replace(answer, data=answer.data[: len(answer.data) // 2])
        if disturbance is Disturbance.LONG:
            return replace(answer, data=answer.data + b"more")
        if answer.status != 206:
            return answer
        others = [(name, value) for name, value in answer.headers if name != "Content-Range"]
        if disturbance is Disturbance.WHOLE:
            whole = self.server.proxy.whole(self.path)
            return _Answer(200, "OK", others, whole)
        if disturbance is Disturbance.SHIFTED:
            start, stop, size = map(int, re.findall(r"\d+", dict(answer.headers)["Content-Range"]))
            beside = f"bytes {start + 1}-{stop + 1}/{size + 1}"
            return replace(
                answer, headers=[*others, ("Content-Range", beside)], data=answer.data[1:] + b"?"
            )
        return answer

    def _ask(
        self, proxy: CountingProxy, body: bytes | None
    ) -> tuple[http.client.HTTPResponse, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(proxy.upstream, timeout=60)
        try:
            connection.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                if name.lower() not in _HOP_BY_HOP | proxy.strips:
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

    def _answer(self, answer: _Answer, disturbance: Disturbance | None) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.headers:
            if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                self.send_header(name, self._own_address(value))
        is_head = self.command == "HEAD"
        of_head = dict(answer.headers).get("Content-Length") if is_head else None
        self.send_header("Content-Length", of_head or str(len(answer.data)))
        self.end_headers()
        with suppress(ConnectionError):  # the client has turned to another connection
            self._send(answer.data, disturbance)

    def _send(self, data: bytes, disturbance: Disturbance | None) -> None:
        assert isinstance(self.server, _Server)
        half = len(data) // 2
        if disturbance is Disturbance.TRICKLING:
            for number in range(len(data)):
                self.wfile.write(data[number : number + 1])
                if self.server.proxy.ended.wait(0.5):
                    return self._hang_up()
        elif disturbance is Disturbance.STALLED:
            self.wfile.write(data[:half])
            self.server.proxy.ended.wait()
            self._hang_up()
        elif disturbance is Disturbance.CUT:
            self.wfile.write(data[:half])
            self.close_connection = True
        else:
            self.wfile.write(data)
        return None

    def _own_address(self, value: str) -> str:
        """Let what the server says of itself lead here, such as the address of an upload."""
        assert isinstance(self.server, _Server)
        proxy = self.server.proxy
        return value.replace(f"http://{proxy.upstream}/", f"{proxy.endpoint_url}/")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _forward  # noqa: N815 - http.server's names
