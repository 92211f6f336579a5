"""A plain S3-shaped server that is fast enough to show what its clients cost."""

from __future__ import annotations

from benchmarks.server._launch import Counters, RangeServer, range_server

__all__ = ["Counters", "RangeServer", "range_server"]
