"""Groups of tensors: read once, whole or not at all, and again after a failure."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote_models.errors import StoreUnavailableError
from remote_models.frameworks._lazy_tensors import LazyTensor, Prefetcher, TensorGroup


class Store:
    """Says what it was asked for, and fails after as many tensors as it is told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails_after: int | None = None

    def read(self, keys: Collection[str]) -> Iterator[tuple[str, Any]]:
        for number, key in enumerate(keys):
            if number == self.fails_after:
                raise StoreUnavailableError("gone")
            self.asked.append(key)
            yield key, np.frombuffer(key.encode(), np.uint8).copy()


class Holder:
    """A variable."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def receive(self, array: Any) -> None:
        self.values.append(bytes(array))


def make(store: Store, sizes: list[int]) -> tuple[list[Holder], list[LazyTensor]]:
    """Return as many groups as there are sizes, of so many tensors each."""
    holders, tensors = [], []
    for number, size in enumerate(sizes):
        own = [Holder() for _ in range(size)]
        inside = [
            LazyTensor(f"{number}/{index}", 4, holder, store.read)
            for index, holder in enumerate(own)
        ]
        group = TensorGroup(inside, store.read)
        for tensor in inside:
            tensor.group = group
        holders += own
        tensors += inside
    return holders, tensors


@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    choices=st.lists(st.integers(0, 100), max_size=20),
    failures=st.lists(st.one_of(st.none(), st.integers(0, 3)), max_size=20),
    ahead=st.one_of(st.none(), st.integers(1, 3)),
)
def test_every_tensor_arrives_once_whatever_fails(
    sizes: list[int], choices: list[int], failures: list[int | None], ahead: int | None
) -> None:
    store = Store()
    holders, tensors = make(store, sizes)
    groups = list({id(tensor.group): tensor.group for tensor in tensors}.values())
    Prefetcher(groups, store.read, ahead)
    for choice, failure in zip(choices, failures, strict=False):
        store.fails_after = failure
        tensor = tensors[choice % len(tensors)]
        try:
            tensor.group.settle(tensor)
        except StoreUnavailableError:
            assert failure is not None
        else:
            assert holders[choice % len(tensors)].values == [tensor.key.encode()]
    store.fails_after = None
    for tensor in tensors:
        tensor.group.settle(tensor)
    for worker in threading.enumerate():
        if worker.name == "remote_models-prefetch":
            worker.join()
    assert [holder.values for holder in holders] == [[tensor.key.encode()] for tensor in tensors]


def test_a_failed_read_gives_nothing_away() -> None:
    store = Store()
    holders, tensors = make(store, [3])
    store.fails_after = 2
    with pytest.raises(StoreUnavailableError):
        tensors[0].group.settle(tensors[0])
    assert [holder.values for holder in holders] == [[], [], []]
    store.fails_after = None
    tensors[2].group.settle(tensors[2])
    assert [len(holder.values) for holder in holders] == [1, 1, 1]


def test_what_has_another_value_is_not_read() -> None:
    store = Store()
    holders, tensors = make(store, [2])
    tensors[0].group.forget(tensors[0])
    tensors[0].group.settle(tensors[0])
    assert not store.asked
    tensors[1].group.settle(tensors[1])
    assert store.asked == ["0/1"]
    assert [len(holder.values) for holder in holders] == [0, 1]


def test_a_variable_that_is_gone_is_not_read_for() -> None:
    store = Store()
    holders, tensors = make(store, [2])
    del holders[0], tensors[0]
    tensors[0].group.settle(tensors[0])
    assert store.asked == ["0/1"]


def test_a_stopped_prefetcher_begins_nothing() -> None:
    store = Store()
    _, tensors = make(store, [1, 1])
    prefetcher = Prefetcher([tensor.group for tensor in tensors], store.read, None)
    prefetcher.stop()
    prefetcher.start_after(-1)
    assert not store.asked
    assert not [each for each in threading.enumerate() if "prefetch" in each.name]
