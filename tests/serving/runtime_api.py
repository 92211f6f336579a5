"""Lambda's Runtime API, as far as one function needs it (AWS, "Lambda runtime API")."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PREFIX = "/2018-06-01/runtime"


class RuntimeApi:
    """Hands out events, and takes what a function makes of them.

    Attributes:
        address: What ``AWS_LAMBDA_RUNTIME_API`` must hold.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.events: queue.Queue[Any] = queue.Queue()
        self.answers: queue.Queue[tuple[str, Any]] = queue.Queue()

    def invoke(self, event: Any) -> Any:
        """Send an event and return the function's response."""
        self.events.put(event)
        kind, answer = self.answers.get(timeout=60)
        assert kind == "response", (kind, answer)
        return answer


@contextmanager
def runtime_api() -> Iterator[RuntimeApi]:
    """Serve it on a free port while the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            assert self.path == f"{PREFIX}/invocation/next"
            event = api.events.get()
            self._send(200, event, {
                "Lambda-Runtime-Aws-Request-Id": "1",
                "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + 60_000),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:x:1:function:f",
            })  # fmt: skip

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kind = self.path.removeprefix(f"{PREFIX}/").removeprefix("invocation/1/")
            self._send(202, {"status": "OK"}, {})
            api.answers.put((kind, json.loads(body)))

        def _send(self, status: int, document: Any, headers: dict[str, str]) -> None:
            data = json.dumps(document).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False  # a function that was killed leaves its request open
    api = RuntimeApi(f"127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
