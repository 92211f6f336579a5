"""What a piece of work costs this process: time, CPU, memory, bytes on disk."""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Reading", "measure"]

_STATUS = Path("/proc/self/status")
_IO = Path("/proc/self/io")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5)
_KIB = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The cost of some work.

    Attributes:
        wall: Seconds.
        cpu: Seconds of CPU, user and system, children included.
        peak_extra: Bytes of resident memory at the peak, above those before; without
            children.
        written: Bytes written to a disk's file system.
    """

    wall: float
    cpu: float
    peak_extra: int
    written: int


def measure(work: Callable[[], object]) -> tuple[Reading, object]:
    """Do the work, and return what it cost and what it made."""
    gc.collect()
    _CLEAR_REFS.write_text(_RESET_PEAK)
    before, written, cpu = _value(_STATUS, "VmRSS") * _KIB, _value(_IO, "write_bytes"), _cpu()
    begun = time.perf_counter()
    made = work()
    wall = time.perf_counter() - begun
    reading = Reading(
        wall=wall,
        cpu=_cpu() - cpu,
        peak_extra=_value(_STATUS, "VmHWM") * _KIB - before,
        written=_value(_IO, "write_bytes") - written,
    )
    return reading, made


def _cpu() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _value(path: Path, name: str) -> int:
    lines = (line.partition(":") for line in path.read_text().splitlines())
    return next(int(value.split()[0]) for key, _, value in lines if key == name)
