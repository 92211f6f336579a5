"""Reading on while whoever reads does something else."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from types import TracebackType
from typing import Generic, Self, TypeVar

__all__ = ["ReadAhead"]

_T = TypeVar("_T")


class ReadAhead(Iterator[_T], Generic[_T]):
    """Takes the items out of ``source`` in a thread of its own, before they are asked for.

    What has been taken waits here, however much it is: for items that are all wanted.
    Used in a ``with`` block, which ends the reading.
    """

    def __init__(self, source: Iterator[_T]) -> None:
        self._source = _generator(source)
        self._items: SimpleQueue[tuple[_T, ...]] = SimpleQueue()
        self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="remote_models")
        self._done = self._thread.submit(self._read)

    def _read(self) -> None:
        try:
            for item in self._source:
                if self._closed:
                    return
                self._items.put((item,))
        finally:
            self._source.close()
            self._items.put(())  # the end

    def __next__(self) -> _T:
        """Return the next item.

        Raises:
            StopIteration: there is none.
            BaseException: what the source has raised.
        """
        found = self._items.get()
        if not found:
            self._items.put(())  # for whoever asks again
            self._done.result()
            raise StopIteration
        return found[0]

    def close(self) -> None:
        """End the reading; what is under way comes to its end first."""
        self._closed = True
        self._thread.shutdown(wait=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _generator(source: Iterator[_T]) -> Generator[_T, None, None]:
    """Return the same items as what can be closed, and closes what can be."""
    yield from source
