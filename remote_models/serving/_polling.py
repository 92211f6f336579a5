"""A thread that does something again and again until it is stopped."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

__all__ = ["Poller"]


class Poller:
    """Calls a method each so many seconds, while its object lives and nobody stops it."""

    def __init__(self, method: Callable[[], object], seconds: float) -> None:
        """Start the thread.

        Args:
            method: A method of the object, which the thread does not keep alive.
            seconds: How long it rests in between.
        """
        self._stopped = threading.Event()
        reference = weakref.WeakMethod(method)
        self._thread = threading.Thread(
            target=_poll,
            args=(self._stopped, reference, seconds),
            name="remote_models-refresh",
            daemon=True,  # a program that ends need not wait for a model to be loaded
        )
        self._thread.start()

    def stop(self) -> None:
        """Let it rest for ever; what it is doing it finishes."""
        self._stopped.set()


def _poll(
    stopped: threading.Event,
    reference: weakref.WeakMethod[Callable[[], object]],
    seconds: float,
) -> None:
    while not stopped.wait(seconds):
        method = reference()
        if method is None:
            return
        method()
        del method  # or the object lived until the next call
