"""A checkpoint's tensors under the keys of a weights file, without any framework."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import pytest

from remote_models.frameworks import TensorSpec, TensorStream, state_stream

ARRAYS = {
    f"keras/{key}/.ATTRIBUTES/VARIABLE_VALUE": np.full(3, number, "float32")
    for number, key in enumerate(("layers/a/vars/0", "layers/b/vars/0", "optimizer/vars/0"))
} | {"others/0/.ATTRIBUTES/VARIABLE_VALUE": np.zeros(3, "float32"), "graph": np.zeros(1, "u1")}


class Stored:
    """Offers the arrays, and remembers what was read."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.failures: list[BaseException] = []
        self.stream = TensorStream(
            specs={
                key: TensorSpec(shape=array.shape, dtype=str(array.dtype))
                for key, array in ARRAYS.items()
            },
            read=self._read,
            failures=self.failures,
        )

    def _read(self, keys: Collection[str]) -> Iterator[tuple[str, np.ndarray]]:
        for key in keys:
            self.read.append(key)
            yield key, ARRAYS[key]


def test_the_state_has_the_keys_of_a_weights_file() -> None:
    stored = Stored()
    state = state_stream(stored.stream, {})
    assert list(state.keys) == ["layers/a/vars/0", "layers/b/vars/0", "optimizer/vars/0"]
    assert state.specs["layers/b/vars/0"] == TensorSpec(shape=(3,), dtype="float32")
    found = dict(state.read(["layers/b/vars/0"]))
    assert list(found) == ["layers/b/vars/0"]
    assert found["layers/b/vars/0"][0] == 1
    assert stored.read == ["keras/layers/b/vars/0/.ATTRIBUTES/VARIABLE_VALUE"]
    assert state.failures is stored.failures


def test_a_shared_variable_is_read_once_and_offered_twice() -> None:
    stored = Stored()
    shared = {"layers/c/vars/0": "layers/a/vars/0", "layers/b/vars/0": "layers/a/vars/0"}
    state = state_stream(stored.stream, {"shared_variables": shared})
    found = dict(state.read(["layers/c/vars/0", "layers/a/vars/0", "layers/b/vars/0"]))
    assert {key: array[0] for key, array in found.items()} == {
        "layers/a/vars/0": 0,
        "layers/b/vars/0": 1,  # what is stored under the key itself counts
        "layers/c/vars/0": 0,
    }
    assert len(stored.read) == 2
    assert not np.shares_memory(found["layers/a/vars/0"], found["layers/c/vars/0"])


@pytest.mark.parametrize("shared", [{"x": "nowhere"}, {"x": "graph"}, {"x": "y", "y": "x"}, 7])
def test_what_is_not_there_is_not_shared(shared: object) -> None:
    state = state_stream(Stored().stream, {"shared_variables": shared})
    assert len(state.keys) == 3
