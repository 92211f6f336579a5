"""Carry out a plan: many byte ranges at once, each handed out when it is complete."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from remote_models.storage._location import Location
from remote_models.storage._plan import ByteRange, PlanSettings, plan_requests
from remote_models.storage._store import Store
from remote_models.storage._transfer import read_exactly

__all__ = ["PinnedFile", "RangeSettings", "read_ranges"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RangeSettings:
    """How many ranges are moved at once.

    Attributes:
        plan: How ranges become requests.
        max_concurrency: Requests under way at once.
        memory_budget: Bytes of requests under way or waiting to be handed out. The
            ranges themselves come on top: they are what was asked for.
    """

    plan: PlanSettings = field(default_factory=PlanSettings)
    max_concurrency: int = 16
    memory_budget: int = 256 * 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class PinnedFile:
    """Where a file lies, and which version of it to read."""

    location: Location
    version: str | None = None


def read_ranges(
    store: Store,
    files: Mapping[str, PinnedFile],
    ranges: Sequence[ByteRange],
    settings: RangeSettings | None = None,
) -> Iterator[tuple[int, bytearray]]:
    """Yield ``(index, bytes)`` for each of ``ranges``, as each becomes complete.

    Args:
        store: Where the files are.
        files: The files that the ranges name.
        ranges: What to read, in any order; ranges may overlap.
        settings: Concurrency and memory.

    Raises:
        IntegrityError: a file ends before a range does.
        StorageError: the store refused or failed.
    """
    settings = settings or RangeSettings()
    requests = plan_requests(ranges, settings.plan)
    assembly = _Assembly(ranges)
    yield from assembly.empty()
    fetched = _fetch(store, files, requests, settings)
    for request, data in fetched:
        yield from assembly.add(request, data)


def _fetch(
    store: Store,
    files: Mapping[str, PinnedFile],
    requests: Sequence[ByteRange],
    settings: RangeSettings,
) -> Iterator[tuple[ByteRange, bytes]]:
    """Yield the requests' bytes in order, reading ahead as far as the settings allow."""

    def read(request: ByteRange) -> bytes:
        file = files[request.file]
        return read_exactly(store, file.location, request.start, request.stop, file.version)

    if len(requests) <= 1:  # a thread costs more than it brings
        for request in requests:
            yield request, read(request)
        return
    workers = min(settings.max_concurrency, len(requests))
    with ThreadPoolExecutor(workers, thread_name_prefix="remote_models") as pool:
        waiting = deque(requests)
        flying: deque[tuple[ByteRange, Future[bytes]]] = deque()
        held = 0
        try:
            while waiting or flying:
                while (
                    waiting
                    and len(flying) < workers
                    and (not flying or held + waiting[0].size <= settings.memory_budget)
                ):
                    request = waiting.popleft()
                    held += request.size
                    flying.append((request, pool.submit(read, request)))
                request, future = flying.popleft()
                yield request, future.result()
                held -= request.size
        finally:
            for _, future in flying:
                future.cancel()


class _Assembly:
    """Puts the bytes of requests, which come in order of position, into the ranges."""

    def __init__(self, ranges: Sequence[ByteRange]) -> None:
        self._ranges = ranges
        self._order = sorted(range(len(ranges)), key=lambda index: ranges[index])
        self._starts = [(ranges[index].file, ranges[index].start) for index in self._order]
        self._buffers: dict[int, bytearray] = {}
        self._missing = {index: ranges[index].size for index in range(len(ranges))}
        self._first = 0

    def empty(self) -> Iterator[tuple[int, bytearray]]:
        """Hand out the ranges without a byte, which no request brings."""
        for index, size in list(self._missing.items()):
            if size <= 0:
                del self._missing[index]
                yield index, bytearray()

    def add(self, request: ByteRange, data: bytes) -> Iterator[tuple[int, bytearray]]:
        """Copy what a request brought, and hand out what is complete now."""
        view = memoryview(data)
        last = bisect_right(self._starts, (request.file, request.stop - 1))
        for position in range(self._first, last):
            index = self._order[position]
            if index not in self._missing:
                continue
            each = self._ranges[index]
            start, stop = max(each.start, request.start), min(each.stop, request.stop)
            if each.file != request.file or start >= stop:
                continue
            buffer = self._buffers.setdefault(index, bytearray(each.size))
            buffer[start - each.start : stop - each.start] = view[
                start - request.start : stop - request.start
            ]
            self._missing[index] -= stop - start
            if not self._missing[index]:
                del self._missing[index]
                yield index, self._buffers.pop(index)
        while self._first < len(self._order) and self._order[self._first] not in self._missing:
            self._first += 1
