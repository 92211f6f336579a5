"""HTTP/1.1 over one connection: requests in, answers out, bodies without detours."""

from __future__ import annotations

import mmap
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType
from urllib.parse import parse_qsl, unquote, urlsplit

from benchmarks.server._objects import Descriptor, Piece, Refusal

__all__ = ["Answer", "Connection", "Request", "Span"]

_HEAD_BYTES = 64 * 1024
_SINK_BYTES = 1024 * 1024

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a client asks; names of headers are in small letters."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def body_size(self) -> int:
        """How many bytes follow the head.

        Raises:
            Refusal: the body comes in a coding that is not known here.
        """
        if "transfer-encoding" in self.headers or "aws-chunked" in self.headers.get(
            "content-encoding", ""
        ):
            raise Refusal(status=501, code="NotImplemented")
        return int(self.headers.get("content-length") or 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Bytes of an object's pieces, to be sent from their files."""

    pieces: Sequence[Piece]
    start: int
    stop: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What is sent back."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS)
    body: bytes | Span = b""

    @property
    def size(self) -> int:
        """The length that is announced."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.stop - self.body.start


class Connection:
    """One client's connection."""

    def __init__(self, peer: socket.socket) -> None:
        self._peer = peer
        self._ahead = bytearray()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read_request(self) -> Request | None:
        """Return the next request's head, or ``None`` when the client has gone."""
        while (end := self._ahead.find(b"\r\n\r\n")) < 0:
            data = self._peer.recv(_HEAD_BYTES)
            if not data:
                return None
            self._ahead += data
        head = self._ahead[:end].decode("latin-1").split("\r\n")
        del self._ahead[: end + 4]
        method, target, _ = head[0].split(" ", 2)
        url = urlsplit(target)
        headers = (line.partition(":") for line in head[1:])
        request = Request(
            method=method,
            path=unquote(url.path),
            query=dict(parse_qsl(url.query, keep_blank_values=True)),
            headers={name.strip().lower(): value.strip() for name, _, value in headers},
        )
        if request.headers.get("expect", "").lower() == "100-continue":
            self._peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return request

    def read_body(self, size: int) -> bytes:
        """Return a short body."""
        while len(self._ahead) < size:
            data = self._peer.recv(size - len(self._ahead))
            _moved(len(data))
            self._ahead += data
        body = bytes(self._ahead[:size])
        del self._ahead[:size]
        return body

    def keep_body(self, size: int) -> Piece:
        """Receive a body into memory."""
        file = Descriptor(os.memfd_create("body"))
        if size:
            os.ftruncate(file.number, size)
            with mmap.mmap(file.number, size) as target, memoryview(target) as view:
                begun = self.read_body(min(size, len(self._ahead)))
                view[: len(begun)] = begun
                position = len(begun)
                while position < size:
                    position += _moved(self._peer.recv_into(view[position:]))
        return Piece(size=size, file=file)

    def drop_body(self, size: int) -> Piece:
        """Receive a body and throw it away inside the kernel (MSG_TRUNC, see tcp(7))."""
        left = size - len(self.read_body(min(size, len(self._ahead))))
        sink = bytearray(min(left, _SINK_BYTES))
        while left:
            got = self._peer.recv_into(sink, min(left, _SINK_BYTES), socket.MSG_TRUNC)
            left -= _moved(got)
        return Piece(size=size, file=None)

    def send(self, answer: Answer, *, bodyless: bool) -> int:
        """Send an answer and return how many bytes of a body went with it."""
        sized = {} if answer.status in {204, 304} else {"Content-Length": str(answer.size)}
        headers = {"Server": "benchmark", "x-amz-request-id": "0", **sized, **answer.headers}
        lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        if bodyless or not answer.size:
            self._peer.sendall(head)
            return 0
        if isinstance(answer.body, bytes):
            self._peer.sendall(head + answer.body)
        else:
            self._peer.sendall(head, socket.MSG_MORE)
            self._send_span(answer.body)
        return answer.size

    def _send_span(self, span: Span) -> None:
        begin = 0
        for piece in span.pieces:
            position = max(span.start - begin, 0)
            stop = min(span.stop - begin, piece.size)
            begin += piece.size
            if position >= stop:
                continue
            assert piece.file is not None
            while position < stop:
                position += _moved(
                    os.sendfile(self._peer.fileno(), piece.file.number, position, stop - position)
                )


def _moved(count: int) -> int:
    """Return how many bytes have come or gone, if any have."""
    if not count:
        raise ConnectionError("the client has gone")
    return count
