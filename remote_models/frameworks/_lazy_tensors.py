"""Tensors that are read when they are first asked for, a layer's together.

Knows no framework. A *group* is what one read brings: the tensors of a layer. Whoever
owns a tensor's variable asks the group for it, is given the group's tensors, and does
not ask again.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol

from remote_models.errors import RemoteModelsError
from remote_models.frameworks._lent_array import LentArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LazyTensor", "Owner", "Prefetcher", "Read", "TensorGroup"]

Read = Callable[[Collection[str]], Iterator[tuple[str, Any]]]
"""Yields key and array for each of some keys; every array is verified."""

_BATCH_BYTES = 16 * 1024 * 1024
"""What is read ahead at once: enough for parallel requests, and soon there."""


class Owner(Protocol):
    """A variable that waits for its value."""

    def receive(self, array: NDArray[Any]) -> None:
        """Take the value, for good."""


class LazyTensor:
    """A tensor that a variable waits for.

    The variable holds it, and not the other way round: with a variable goes what it
    has waited for.

    Attributes:
        key: Its key in the weights file.
        nbytes: About how many bytes it takes.
        group: What is read together with it.
    """

    def __init__(self, key: str, nbytes: int, owner: Owner, read: Read) -> None:
        self.key = key
        self.nbytes = nbytes
        self._owner = weakref.ref(owner)
        self.group = TensorGroup([self], read)

    def give(self, array: NDArray[Any]) -> None:
        """Hand the value to the variable, if there still is one."""
        owner = self._owner()
        if owner is not None:
            owner.receive(array)


class TensorGroup:
    """Tensors that are read together, once, whoever of them is asked for first.

    Safe to use from several threads: the second one waits for the first one's read.
    After a read that fails nothing has changed, and who asks next tries again.
    """

    def __init__(self, tensors: Sequence[LazyTensor], read: Read) -> None:
        self._waiting = [weakref.ref(tensor) for tensor in tensors]
        self._read = read
        self._lock = threading.RLock()
        self._ahead: dict[str, NDArray[Any]] = {}
        self._tell_use: Callable[[], None] | None = None

    def tell_use(self, function: Callable[[], None]) -> None:
        """Call ``function`` whenever one of the tensors is asked for."""
        self._tell_use = function

    def settle(self, tensor: LazyTensor) -> None:
        """Give all tensors that still wait to their variables; ``tensor`` is one of them.

        Raises:
            RemoteModelsError: reading failed.
        """
        with self._lock:
            if any(reference() is tensor for reference in self._waiting):
                self._settle_all()
        if self._tell_use is not None:
            self._tell_use()

    def forget(self, tensor: LazyTensor) -> None:
        """Read ``tensor`` no more: its variable has got another value."""
        with self._lock:
            self._waiting = [each for each in self._waiting if each() not in (tensor, None)]
            if all(other.key != tensor.key for other in self._tensors()):
                self._ahead.pop(tensor.key, None)

    @property
    def lock(self) -> threading.RLock:
        """Held while the group is read."""
        return self._lock

    @property
    def missing(self) -> dict[str, int]:
        """What would have to be read: the bytes of each tensor by its key."""
        return {t.key: t.nbytes for t in self._tensors() if t.key not in self._ahead}

    def hold(self, key: str, array: NDArray[Any]) -> None:
        """Keep what has been read ahead until somebody asks for it."""
        self._ahead[key] = LentArray.of(array)

    def _settle_all(self) -> None:
        missing = self.missing
        if missing:
            for key, array in self._read(list(missing)):
                self.hold(key, array)
        for tensor in self._tensors():
            tensor.give(self._ahead[tensor.key])
            self.forget(tensor)

    def _tensors(self) -> list[LazyTensor]:
        found = [reference() for reference in self._waiting]
        return [tensor for tensor in found if tensor is not None]


class Prefetcher:
    """Reads groups in their order in a thread of its own, before they are asked for.

    The thread ends when there is nothing to do. What it reads waits in memory until it
    is asked for. It keeps silent about errors: who needs the tensors tries again, and
    is told. It holds no variable.
    """

    def __init__(self, groups: Sequence[TensorGroup], read: Read, ahead: int | None) -> None:
        self._groups = groups
        self._read = read
        self._ahead = ahead
        self._lock = threading.Lock()
        self._tried: set[int] = set()
        self._first = 0
        self._worker: threading.Thread | None = None
        self._is_stopped = False
        for index, group in enumerate(groups):
            group.tell_use(_Use(self, index))

    def start_after(self, index: int) -> None:
        """Read those that follow the group at ``index``, as many as are wanted."""
        with self._lock:
            self._first = index + 1
            is_working = self._worker is not None and self._worker.is_alive()
            if self._is_stopped or is_working or not self._next_batch():
                return
            # A daemon: no process has to wait at its end for what nobody will use.
            self._worker = threading.Thread(
                target=self._work, name="remote_models-prefetch", daemon=True
            )
            self._worker.start()

    def stop(self) -> None:
        """Begin no further read."""
        self._is_stopped = True

    def _work(self) -> None:
        while batch := self._take_batch():
            try:
                _read_ahead([self._groups[index] for index in batch], self._read)
            except (RemoteModelsError, OSError, RuntimeError):
                # RuntimeError: the interpreter is ending, and starts no threads any more.
                with self._lock:
                    self._worker = None
                return

    def _take_batch(self) -> list[int]:
        with self._lock:
            batch = [] if self._is_stopped else self._next_batch()
            self._tried.update(batch)
            if not batch:
                self._worker = None
            return batch

    def _next_batch(self) -> list[int]:
        batch: list[int] = []
        nbytes = 0
        for index in self._wanted():
            if nbytes >= _BATCH_BYTES:
                break
            missing = {} if index in self._tried else self._groups[index].missing
            if missing:
                batch.append(index)
                nbytes += sum(missing.values())
        return batch

    def _wanted(self) -> Sequence[int]:
        """Return the groups to be read, the next one in the model's order first."""
        following = range(self._first, len(self._groups))
        if self._ahead is None:
            return [*following, *range(self._first)]
        return following[: self._ahead]


class _Use:
    """Tells a prefetcher that a group has been asked for."""

    def __init__(self, prefetcher: Prefetcher, index: int) -> None:
        self._prefetcher = prefetcher
        self._index = index

    def __call__(self) -> None:
        self._prefetcher.start_after(self._index)


def _read_ahead(groups: Sequence[TensorGroup], read: Read) -> None:
    """Read several groups at once; those that somebody reads at this moment are left out."""
    with ExitStack() as stack:
        owners: dict[str, TensorGroup] = {}
        for group in groups:
            if group.lock.acquire(blocking=False):
                stack.callback(group.lock.release)
                owners.update(dict.fromkeys(group.missing, group))
        for key, array in read(list(owners)):
            owners[key].hold(key, array)
