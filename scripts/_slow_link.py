"""A link to a server on this machine that is late, slow, or cut, in a process of its own."""

from __future__ import annotations

import multiprocessing
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

__all__ = ["SlowLink", "slow_link"]

_CHUNK = 64 * 1024
_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True, kw_only=True, slots=True)
class SlowLink:
    """A link that is up.

    Attributes:
        endpoint_url: Where it begins.
    """

    endpoint_url: str
    _is_cut: Any

    def cut(self, seconds: float) -> None:
        """Let nothing pass for some seconds, connections that are open included."""
        self._is_cut.value = time.time() + seconds


@contextmanager
def slow_link(port: int, *, latency: float, rate: float) -> Iterator[SlowLink]:
    """Lead to a port of this machine while the block lasts.

    Args:
        port: The server's port.
        latency: Seconds by which each answer is late.
        rate: Bytes a second upwards, of all connections together; the same downwards.
    """
    is_cut = _SPAWN.Value("d", 0.0)
    receiver, sender = _SPAWN.Pipe(duplex=False)
    process = _SPAWN.Process(target=_serve, args=(port, latency, rate, is_cut, sender), daemon=True)
    process.start()
    try:
        yield SlowLink(endpoint_url=f"http://127.0.0.1:{receiver.recv()}", _is_cut=is_cut)
    finally:
        process.kill()
        process.join()


class _Meter:
    """Lets so many bytes a second pass."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._free = time.monotonic()
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        with self._lock:
            self._free = max(self._free, time.monotonic()) + size / self._rate
            wait = self._free - time.monotonic()
        time.sleep(max(wait, 0))


def _serve(port: int, latency: float, rate: float, is_cut: Any, sender: Any) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    sender.send(listener.getsockname()[1])
    up, down = _Meter(rate), _Meter(rate)
    while True:
        client, _ = listener.accept()
        if is_cut.value > time.time():
            client.close()
            continue
        server = socket.create_connection(("127.0.0.1", port))
        asked = threading.Event()
        for source, target, meter, late in (
            (client, server, up, 0.0),
            (server, client, down, latency),
        ):
            threading.Thread(
                target=partial(
                    _pass, source, target, meter=meter, late=late, asked=asked, is_cut=is_cut
                ),
                daemon=True,
            ).start()


def _pass(
    source: socket.socket,
    target: socket.socket,
    *,
    meter: _Meter,
    late: float,
    asked: threading.Event,
    is_cut: Any,
) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            if is_cut.value > time.time():
                break
            if not late:
                asked.set()
            elif asked.is_set():  # the first of an answer
                asked.clear()
                time.sleep(late)
            meter.take(len(data))
            target.sendall(data)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
