"""Start the server in a process of its own, steer it and read its counters."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

__all__ = ["Counters", "RangeServer", "range_server"]

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Counters:
    """What has passed since they were set to zero.

    Attributes:
        requests: How many, by method.
        bytes_sent: Bytes of answers' bodies.
        bytes_received: Bytes of requests' bodies.
        cpu_seconds: What the server itself has needed.
    """

    requests: Mapping[str, int]
    bytes_sent: int
    bytes_received: int
    cpu_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RangeServer:
    """A running server.

    Attributes:
        endpoint_url: ``http://127.0.0.1:PORT``.
    """

    endpoint_url: str

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make clients of S3 use this server, and nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ENDPOINT_URL_S3": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": "benchmark",
            "AWS_SECRET_ACCESS_KEY": "benchmark",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def reset(self, *, latency: float = 0.0, rate: int = 0) -> None:
        """Set the counters to zero, and how slow the server pretends to be.

        Args:
            latency: Seconds before each answer.
            rate: Bytes a second on each connection; 0 is no limit.
        """
        url = f"{self.endpoint_url}/-/settings?latency={latency}&rate={rate}"
        with urlopen(Request(url, method="POST")):
            pass

    def counters(self) -> Counters:
        """Return what has passed since the last :meth:`reset`."""
        with urlopen(f"{self.endpoint_url}/-/counters") as answer:
            return Counters(**json.load(answer))


@contextmanager
def range_server(
    buckets: Mapping[str, Path], *, drop_above: int | None = None
) -> Iterator[RangeServer]:
    """Run a server while the block lasts.

    Args:
        buckets: Folders whose files are offered from where they are, by bucket; a new
            file is not noticed.
        drop_above: Bodies of more bytes are counted and thrown away; by default none.
    """
    command = [sys.executable, "-m", "benchmarks.server"]
    command += [f"--bucket={name}={folder}" for name, folder in buckets.items()]
    command += [] if drop_above is None else [f"--drop-above={drop_above}"]
    with subprocess.Popen(
        command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield RangeServer(endpoint_url=f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.stdin.close()
