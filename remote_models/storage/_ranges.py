"""Carry out a plan: many byte ranges at once, each received as soon as it is here."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from remote_models.storage._location import Location
from remote_models.storage._plan import ByteRange, Request, plan_requests
from remote_models.storage._retry import RetryPolicy
from remote_models.storage._settings import TransferSettings
from remote_models.storage._store import Store
from remote_models.storage._transfer import read_exactly

__all__ = ["PinnedFile", "read_ranges"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PinnedFile:
    """Where a file lies, and which version of it to read.

    Attributes:
        location: Where.
        version: The store's name for the bytes, where it keeps versions.
        etag: The store's name for the bytes, where it keeps no versions: reading
            others is refused.
        mapped: The file in memory, where the store can map it.
    """

    location: Location
    version: str | None = None
    etag: str | None = None
    mapped: Callable[[int, int], memoryview] | None = None


def read_ranges(
    store: Store,
    files: Mapping[str, PinnedFile],
    ranges: Sequence[ByteRange],
    receive: Callable[[int, memoryview], None],
    settings: TransferSettings | None = None,
) -> Iterator[int]:
    """Yield the number of each of ``ranges`` once ``receive`` has taken its bytes.

    Args:
        store: Where the files are.
        files: The files that the ranges name.
        ranges: What to read, in any order; ranges may overlap. Each comes in one
            request, so large ones should be split before.
        receive: Takes the number of a range and its bytes, which it has to copy. It
            runs in the thread that has read them, so that what it does with them
            (copying, hashing) goes on while others wait for the store.
        settings: Concurrency and memory; the store's own by default.

    Raises:
        IntegrityError: a file ends before a range does.
        StorageError: the store refused or failed.
    """
    settings = settings or store.transfer
    for number, each in enumerate(ranges):
        if each.size <= 0:
            receive(number, memoryview(b""))
            yield number

    called_off = threading.Event()

    def carry_out(request: Request) -> None:
        wanted = request.range
        view = _read(store, files[wanted.file], wanted, settings.retry, called_off)
        for number in request.members:
            start = ranges[number].start - wanted.start
            receive(number, view[start : start + ranges[number].size])

    requests = plan_requests(ranges, settings)
    for request in _in_parallel(requests, carry_out, settings, called_off):
        yield from request.members


def _read(
    store: Store,
    file: PinnedFile,
    wanted: ByteRange,
    retry: RetryPolicy,
    called_off: threading.Event,
) -> memoryview:
    if file.mapped is not None:
        return file.mapped(wanted.start, wanted.stop)
    data = read_exactly(
        store,
        file.location,
        wanted.start,
        wanted.stop,
        version=file.version,
        etag=file.etag,
        retry=retry,
        called_off=called_off,
    )
    return memoryview(data)


def _in_parallel(
    requests: Sequence[Request],
    carry_out: Callable[[Request], None],
    settings: TransferSettings,
    called_off: threading.Event,
) -> Iterator[Request]:
    """Yield the requests in order, each carried out, running ahead as the settings allow."""
    if len(requests) <= 1:  # a thread costs more than it brings
        for request in requests:
            carry_out(request)
            yield request
        return
    waiting = deque(requests)
    flying: deque[tuple[Request, Future[None]]] = deque()
    with ThreadPoolExecutor(
        min(settings.max_concurrency, len(requests)), thread_name_prefix="remote_models"
    ) as pool:
        try:
            while waiting or flying:
                while waiting and _has_room(flying, waiting[0], settings):
                    request = waiting.popleft()
                    flying.append((request, pool.submit(carry_out, request)))
                request, future = flying[0]
                if future.done():
                    flying.popleft()
                    future.result()
                    yield request
                else:  # the next to hand out may be slow, and others make room meanwhile
                    wait([each for _, each in flying if not each.done()], None, FIRST_COMPLETED)
        finally:
            called_off.set()  # or leaving the pool would wait for a store that hangs
            for _, future in flying:
                future.cancel()


def _has_room(
    flying: Collection[tuple[Request, Future[None]]], coming: Request, settings: TransferSettings
) -> bool:
    """Whether one more request may be made: under way and ahead of the reader have limits."""
    under_way = [request.range.size for request, future in flying if not future.done()]
    ahead = sum(request.range.size for request, _ in flying)
    size = coming.range.size
    return not flying or (
        len(under_way) < settings.max_concurrency
        and sum(under_way) + size <= settings.memory_budget
        and ahead + size <= 2 * settings.memory_budget
    )
