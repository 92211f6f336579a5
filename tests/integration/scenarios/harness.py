"""What scenarios are made of: the mark, and checks that both generations need."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

STORES = ("local", "memory", "s3", "gs")

Scenario = Callable[[str], None]


def scenario(*stores: str) -> Callable[[Scenario], Scenario]:
    """Mark a function that takes the URL of an empty folder, and say on which stores it runs.

    Without an argument it runs on every store. The test session reads the mark
    from the source, because it imports no framework: write plain strings.
    """
    assert set(stores) <= set(STORES)
    return lambda function: function


@contextmanager
def case(name: object) -> Iterator[None]:
    """Name the case in which a scenario with several of them failed."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"case: {name}")
        raise


def assert_same_arrays(ours: Iterable[Any], theirs: Iterable[Any]) -> None:
    """Require equal lists of arrays, to the bit."""
    left, right = [np.asarray(each) for each in ours], [np.asarray(each) for each in theirs]
    assert [each.shape for each in left] == [each.shape for each in right]
    assert [each.dtype for each in left] == [each.dtype for each in right]
    for index, (one, other) in enumerate(zip(left, right, strict=True)):
        np.testing.assert_array_equal(one, other, err_msg=f"array {index}")


def assert_same_outputs(model: Any, loaded: Any, inputs: Any) -> None:
    """Require equal predictions; graphs may be optimised otherwise, hence a tolerance."""
    expected = np.asarray(model(inputs, training=False))
    assert np.any(expected != 0), "a model that predicts only zeros proves nothing"
    np.testing.assert_allclose(
        np.asarray(loaded(inputs, training=False)), expected, rtol=1e-5, atol=1e-6
    )


def continue_training(model: Any, inputs: Any, targets: Any) -> Sequence[float]:
    """Train three more epochs, always with the same batches, and return the losses."""
    history: Mapping[str, Sequence[float]] = model.fit(
        inputs, targets, epochs=3, batch_size=8, shuffle=False, verbose=0
    ).history
    return history["loss"]


def assert_trains_on_equally(model: Any, loaded: Any, inputs: Any, targets: Any) -> None:
    """Require that both models learn the same from now on."""
    expected = continue_training(model, inputs, targets)
    assert len(set(expected)) == len(expected), "a model that does not learn proves nothing"
    np.testing.assert_allclose(
        continue_training(loaded, inputs, targets), expected, rtol=1e-4, atol=1e-6
    )


def assert_not_imported(*packages: str) -> None:
    """Require that this process has imported none of ``packages``."""
    assert not [each for each in packages if each in sys.modules]


def batch(features: int, *, seed: int = 0) -> tuple[Any, Any]:
    """Return 16 random inputs and targets."""
    random = np.random.default_rng(seed)
    return (
        random.standard_normal((16, features), dtype="float32"),
        random.standard_normal((16, 1), dtype="float32"),
    )
