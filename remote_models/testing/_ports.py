"""Choose TCP ports that nobody listens on."""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence
from contextlib import suppress

# The kernel gives outgoing connections ports from 32768 (Linux) or 49152
# (macOS) upwards. Below, none of them can take a port between our choice and
# the server's bind; the servers' own ports at +10000 stay below, too.
_RANGE = range(10_240, 20_000)
# Not the module's generator: workers of one test run may have seeded it alike.
_RANDOM = random.SystemRandom()


def find_free_ports(count: int, *, offsets: Sequence[int] = (0,)) -> list[int]:
    """Return ``count`` ports of 127.0.0.1 that are free, and free again at every offset.

    The ports are not held: the caller must be ready to lose one and ask again.

    Raises:
        OSError: Too few ports are free.
    """
    ports: list[int] = []
    for port in _RANDOM.sample(_RANGE, len(_RANGE)):
        if all(_is_free(port + offset) for offset in offsets):
            ports.append(port)
        if len(ports) == count:
            return ports
    raise OSError(f"fewer than {count} ports are free in {_RANGE}")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, suppress(OSError):
        # As servers do; otherwise a connection in TIME_WAIT counts as a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
        return True
    return False
