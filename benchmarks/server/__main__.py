"""Run the server: prints its port, then serves until its standard input ends.

    python -m benchmarks.server --bucket models=FOLDER --drop-above 1048576

``GET /-/counters`` tells what has passed, ``POST /-/settings?latency=0.025&rate=0`` makes
every answer wait and every connection move at most so many bytes a second (0: no limit),
and sets the counters to zero.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Lock, Thread

from benchmarks.server._objects import Objects, Refusal
from benchmarks.server._operations import Operations
from benchmarks.server._wire import Answer, Connection, Request

_SO_MAX_PACING_RATE = 47  # socket(7) of Linux; Python has no name for it
_CONTROL = "/-/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How slow the server pretends to be: seconds before an answer, bytes a second."""

    latency: float = 0.0
    rate: int = 0


@dataclass(kw_only=True, slots=True)
class Passed:
    """What has passed since the counters were set to zero."""

    requests: dict[str, int] = field(default_factory=dict)
    bytes_sent: int = 0
    bytes_received: int = 0
    cpu_seconds: float = 0.0


class Server:
    """Accepts connections, and gives each a thread."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._settings = Settings()
        self._passed = Passed()
        self._cpu_before = time.process_time()
        self._lock = Lock()

    def serve(self, listener: socket.socket) -> None:
        """Serve for ever."""
        while True:
            peer, _ = listener.accept()
            Thread(target=self._serve_connection, args=(peer,), daemon=True).start()

    def _serve_connection(self, peer: socket.socket) -> None:
        with peer, suppress(ConnectionError):
            connection = Connection(peer)
            while (request := connection.read_request()) is not None:
                self._serve_request(request, connection, peer)

    def _serve_request(self, request: Request, connection: Connection, peer: socket.socket) -> None:
        is_control = request.path.startswith(_CONTROL)
        try:
            if is_control:
                answer = self._control(request)
            else:
                answer = self._operations.answer(request, connection)
        except Refusal as refusal:
            text = f"<Error><Code>{refusal.code}</Code><Message>{refusal.code}</Message></Error>"
            answer = Answer(status=refusal.status, body=text.encode())
        settings = self._settings
        if settings.latency and not is_control:
            time.sleep(settings.latency)
        if settings.rate:
            peer.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, settings.rate)
        sent = connection.send(answer, bodyless=request.method == "HEAD")
        if not is_control:
            self._count(request, sent)

    def _count(self, request: Request, sent: int) -> None:
        with self._lock:
            requests = self._passed.requests
            requests[request.method] = requests.get(request.method, 0) + 1
            self._passed.bytes_sent += sent
            self._passed.bytes_received += int(request.headers.get("content-length") or 0)

    def _control(self, request: Request) -> Answer:
        with self._lock:
            if request.method == "POST":
                self._settings = Settings(
                    latency=float(request.query.get("latency", "0")),
                    rate=int(request.query.get("rate", "0")),
                )
                self._passed = Passed()
                self._cpu_before = time.process_time()
            self._passed.cpu_seconds = time.process_time() - self._cpu_before
            return Answer(body=json.dumps(asdict(self._passed)).encode())


def _end_with_input() -> None:
    """End with the program that started this one, however that ends."""
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bucket", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--drop-above", type=int, default=sys.maxsize, metavar="BYTES")
    arguments = parser.parse_args()
    objects = Objects()
    for each in arguments.bucket:
        name, _, folder = each.partition("=")
        objects.add_folder(name, Path(folder))
    operations = Operations(objects=objects, drop_above=arguments.drop_above)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    Thread(target=_end_with_input, daemon=True).start()
    Server(operations).serve(listener)


if __name__ == "__main__":
    main()
