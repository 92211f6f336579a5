"""A server that speaks as much of Cloud Storage as a push needs, resumable uploads in full.

fake-gcs-server knows no status check and keeps no part of a chunk. This one keeps the
rules of "Performing resumable uploads": bytes are kept in multiples of 256 KiB as they
arrive, also of a request that breaks off; a session tells what it has; it takes only what
follows; it can be cancelled; and the object appears with the last byte.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

__all__ = ["ResumableGCS", "Session", "resumable_gcs"]

QUANTUM = 256 * 1024
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+)")


class Session:
    """A resumable upload."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.received = bytearray()

    @property
    def kept(self) -> str | None:
        return f"bytes=0-{len(self.received) - 1}" if self.received else None


class ResumableGCS:
    """One bucket.

    Attributes:
        sent: Bytes of upload requests that have arrived.
        watch: Told of every piece of a chunk that arrives: how many bytes the session has.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.sessions: dict[str, Session] = {}
        self.begun = 0
        self.sent = 0
        self.watch: Callable[[int], None] = lambda _received: None
        self.idle = threading.Lock()
        self.server = _Server(("127.0.0.1", 0), self)
        self.endpoint_url = f"http://127.0.0.1:{self.server.server_address[1]}"


@contextmanager
def resumable_gcs() -> Iterator[ResumableGCS]:
    """Run the server on a free port for the length of a block."""
    gcs = ResumableGCS()
    thread = threading.Thread(target=gcs.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield gcs
    finally:
        gcs.server.shutdown()
        gcs.server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], gcs: ResumableGCS) -> None:
        super().__init__(address, _Handler)
        self.gcs = gcs

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that was killed."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    @property
    def gcs(self) -> ResumableGCS:
        assert isinstance(self.server, _Server)
        return self.server.gcs

    def do_GET(self) -> None:
        _, _, name = urlsplit(self.path).path.partition("/o/")
        content = self.gcs.objects.get(unquote(name))
        if not name:
            self.answer(200, {"items": []})
        elif content is None:
            self.answer(404, {"error": {"message": "none"}})
        else:
            self.answer(200, {"size": str(len(content)), "generation": "1", "name": name})

    def do_POST(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.gcs.sent += len(body)
        if query["uploadType"] == ["resumable"]:
            self.gcs.begun += 1
            path = f"/upload/session/{self.gcs.begun}"
            self.gcs.sessions[path] = Session(json.loads(body)["name"])
            self.answer(200, {}, Location=f"{self.gcs.endpoint_url}{path}")
            return
        boundary = self.headers["Content-Type"].partition('boundary="')[2].rstrip('"').encode()
        _, head, rest = body.split(b"--" + boundary, 2)
        name = json.loads(head.partition(b"\r\n\r\n")[2])["name"]
        content = rest.partition(b"\r\n\r\n")[2]
        self.gcs.objects[name] = content[: -len(b"\r\n--" + boundary + b"--")]
        self.answer(200, {"generation": "1"})

    def do_DELETE(self) -> None:
        self.answer(499 if self.gcs.sessions.pop(self.path, None) else 404, {})

    def do_PUT(self) -> None:
        session = self.gcs.sessions.get(self.path)
        asked = _CONTENT_RANGE.fullmatch(self.headers["Content-Range"])
        if session is None or asked is None:
            self.answer(404, {})
            return
        if asked[1] is not None and not self.receive(session, int(asked[1])):
            return
        if len(session.received) < int(asked[3]):
            self.answer(308, None, Range=session.kept)
            return
        self.gcs.objects[session.name] = bytes(session.received)
        del self.gcs.sessions[self.path]
        self.answer(200, {"generation": "7", "size": str(len(session.received))})

    def receive(self, session: Session, start: int) -> bool:
        """Keep what arrives of a chunk, and say whether all of it did."""
        with self.gcs.idle:
            left = int(self.headers["Content-Length"])
            assert start == len(session.received), "GCS takes what follows, and nothing else"
            while left:
                piece = self.rfile.read(min(QUANTUM, left))
                if len(piece) < min(QUANTUM, left):
                    self.close_connection = True
                    return False
                session.received += piece
                self.gcs.sent += len(piece)
                left -= len(piece)
                self.gcs.watch(len(session.received))
        return True

    def answer(self, status: int, document: object, **headers: str | None) -> None:
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
