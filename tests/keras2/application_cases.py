"""Every model of ``tf_keras.applications``, untrained, for the smallest image that it takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["application_cases"]

_SMALLEST = {"Xception": 71, "InceptionV3": 75, "InceptionResNetV2": 75}


def application_cases(keras: Any) -> dict[str, Callable[[], Any]]:
    """Return makers of the models by the names of the cases."""
    functions = {
        name: value
        for name, value in vars(keras.applications).items()
        if name[0].isupper() and inspect.isfunction(value)
    }
    return {f"application {name}": _maker(name, value) for name, value in functions.items()}


def _maker(name: str, function: Callable[..., Any]) -> Callable[[], Any]:
    def make() -> Any:
        size = _SMALLEST.get(name, 32)
        # The numbers before the softmax tell more than those after it.
        return function(weights=None, input_shape=(size, size, 3), classifier_activation=None)

    return make
