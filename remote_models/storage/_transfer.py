"""Reading whole objects fast: several ranges at once, handed out in order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from remote_models.errors import IntegrityError, StoreUnavailableError
from remote_models.storage._errors import replaced
from remote_models.storage._location import Location
from remote_models.storage._retry import RetryPolicy
from remote_models.storage._settings import TransferSettings
from remote_models.storage._store import Buffer, Store

__all__ = ["read_all", "read_chunks", "read_exactly", "read_range"]

_FIRST_READ = 1024 * 1024


def read_chunks(
    store: Store,
    location: Location,
    size: int,
    *,
    version: str | None = None,
    etag: str | None = None,
    settings: TransferSettings | None = None,
) -> Iterator[Buffer]:
    """Yield an object of ``size`` bytes from front to back, in chunks.

    Raises:
        IntegrityError: the object ends before ``size`` bytes, or ``etag`` is that of
            one which has been replaced.
    """
    settings = settings or store.transfer
    called_off = threading.Event()

    def read(start: int, stop: int) -> Buffer:
        return read_exactly(
            store, location, start, stop,
            version=version, etag=etag, retry=settings.retry, called_off=called_off,
        )  # fmt: skip

    if size == 0:
        # An empty file that is missing must not pass for present.
        if store.head(location, version=version).etag != etag and etag is not None:
            raise replaced(location)
        return
    step = settings.request_size
    starts = range(0, size, step)  # no list: a stranger's manifest may claim any size
    most = max(settings.memory_budget // step, 1)
    workers = min(settings.max_concurrency, most, len(starts))
    if len(starts) == 1:
        yield read(0, size)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="remote_models") as pool:
        flying: deque[Future[Buffer]] = deque()
        try:
            for start in starts:
                flying.append(pool.submit(read, start, min(start + step, size)))
                if len(flying) == workers:
                    yield flying.popleft().result()
            while flying:
                yield flying.popleft().result()
        finally:
            called_off.set()  # or leaving the pool would wait for a store that hangs
            for future in flying:
                future.cancel()


def read_all(store: Store, location: Location, *, limit: int, version: str | None = None) -> bytes:
    """Return a whole object of unknown size, in one request if it has at most 1 MiB.

    Raises:
        IntegrityError: it has more than ``limit`` bytes.
    """

    def read(start: int, stop: int) -> Buffer:
        return read_range(store, location, start, stop, version=version)

    first = read(0, _FIRST_READ)
    if len(first) < _FIRST_READ:
        return bytes(first)
    parts = [first]
    total = len(first)
    while total <= limit:
        part = read(total, total + 8 * _FIRST_READ)
        parts.append(part)
        total += len(part)
        if len(part) < 8 * _FIRST_READ:
            return b"".join(parts)
    raise IntegrityError("too large", where=str(location), expected=f"at most {limit} bytes")


def read_range(
    store: Store,
    location: Location,
    start: int,
    stop: int,
    *,
    version: str | None = None,
    etag: str | None = None,
) -> Buffer:
    """Read bytes ``start`` to ``stop``, as far as the object goes, and again where that fails.

    Raises:
        IntegrityError: the object is not the one of ``etag``.
        StorageError: the store refused, failed again and again, or did not answer.
    """
    return _patiently(
        store,
        location,
        lambda: store.read(location, start, stop, version=version, etag=etag),
        size=stop - start,
        retry=store.transfer.retry,
        called_off=None,
    )


def read_exactly(
    store: Store,
    location: Location,
    start: int,
    stop: int,
    *,
    version: str | None = None,
    etag: str | None = None,
    retry: RetryPolicy | None = None,
    called_off: threading.Event | None = None,
) -> Buffer:
    """Read bytes ``start`` to ``stop``, all of them, in one request if nothing fails.

    Raises:
        IntegrityError: the object ends earlier, or is not the one of ``etag``.
        StorageError: the store refused, failed again and again, or did not answer;
            or ``called_off`` was set meanwhile.
    """

    def read() -> Buffer:
        data = store.read(location, start, stop, version=version, etag=etag)
        if len(data) != stop - start:
            raise _cut_off(store, location, stop, version, f"{len(data)} bytes from {start} on")
        return data

    retry = retry or store.transfer.retry
    return _patiently(store, location, read, size=stop - start, retry=retry, called_off=called_off)


def _patiently(
    store: Store,
    location: Location,
    read: Callable[[], Buffer],
    *,
    size: int,
    retry: RetryPolicy,
    called_off: threading.Event | None,
) -> Buffer:
    """Let ``read`` try again where it fails, and a second one where it takes long."""
    if store.hedge is None:
        return retry.retried(read)
    with store.errors(location):  # which knows what a TimeoutError means
        return store.hedge.first(
            lambda: retry.retried(read),
            late=retry.late_after(size),
            give_up=retry.give_up_after(size),
            called_off=called_off,
        )


def _cut_off(
    store: Store, location: Location, stop: int, version: str | None, found: str
) -> IntegrityError | StoreUnavailableError:
    """Tell an answer that broke off from an object that ends too early."""
    expected = f"bytes up to {stop}"
    if store.head(location, version=version).size >= stop:
        return StoreUnavailableError(
            "the answer broke off", where=str(location), expected=expected, found=found,
            hint="Try again",
        )  # fmt: skip
    return IntegrityError(
        "the file is shorter than its manifest says" if version is None else "truncated",
        where=str(location), expected=expected, found=found,
    )  # fmt: skip
