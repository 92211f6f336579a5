"""Reading whole objects fast: several ranges at once, handed out in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from remote_models.errors import IntegrityError
from remote_models.storage._location import Location
from remote_models.storage._store import Store

__all__ = ["TransferSettings", "read_all", "read_chunks", "read_exactly"]

_FIRST_READ = 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class TransferSettings:
    """How objects are moved.

    Attributes:
        chunk_size: Bytes per request. 4, 8 and 16 MiB are equally fast over a
            link of 30 ms; 1 MiB costs two to three times the CPU.
        max_concurrency: Requests under way at once. One connection to S3 gives
            about 85 to 90 MB/s, so 16 fill a 10 Gbit/s link.

    At most ``chunk_size * max_concurrency`` bytes (128 MiB) are held at a time.
    """

    chunk_size: int = 8 * 1024 * 1024
    max_concurrency: int = 16


def read_chunks(
    store: Store,
    location: Location,
    size: int,
    *,
    version: str | None = None,
    settings: TransferSettings | None = None,
) -> Iterator[bytes]:
    """Yield an object of ``size`` bytes from front to back, in chunks.

    Raises:
        IntegrityError: the object ends before ``size`` bytes.
    """
    settings = settings or TransferSettings()
    if size == 0:
        # An empty file that is missing must not pass for present.
        store.head(location, version=version)
        return
    ranges = [
        (start, min(start + settings.chunk_size, size))
        for start in range(0, size, settings.chunk_size)
    ]
    workers = min(settings.max_concurrency, len(ranges))
    if len(ranges) == 1:
        yield read_exactly(store, location, *ranges[0], version)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="remote_models") as pool:
        waiting = iter(ranges)
        flying: deque[Future[bytes]] = deque()
        try:
            for start, stop in waiting:
                flying.append(pool.submit(read_exactly, store, location, start, stop, version))
                if len(flying) == workers:
                    yield flying.popleft().result()
            while flying:
                yield flying.popleft().result()
        finally:
            for future in flying:
                future.cancel()


def read_all(store: Store, location: Location, *, limit: int, version: str | None = None) -> bytes:
    """Return a whole object of unknown size, in one request if it has at most 1 MiB.

    Raises:
        IntegrityError: it has more than ``limit`` bytes.
    """
    first = store.read(location, 0, _FIRST_READ, version=version)
    if len(first) < _FIRST_READ:
        return first
    parts = [first]
    total = len(first)
    while total <= limit:
        part = store.read(location, total, total + 8 * _FIRST_READ, version=version)
        parts.append(part)
        total += len(part)
        if len(part) < 8 * _FIRST_READ:
            return b"".join(parts)
    raise IntegrityError("too large", where=str(location), expected=f"at most {limit} bytes")


def read_exactly(
    store: Store, location: Location, start: int, stop: int, version: str | None
) -> bytes:
    """Read bytes ``start`` to ``stop`` in one request, all of them.

    Raises:
        IntegrityError: the object ends earlier.
    """
    data = store.read(location, start, stop, version=version)
    if len(data) != stop - start:
        raise IntegrityError(
            "the file is shorter than its manifest says" if version is None else "truncated",
            where=str(location),
            expected=f"bytes {start} to {stop}",
            found=f"{len(data)} bytes",
        )
    return data
