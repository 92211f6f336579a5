"""Print the names of the layer classes that Keras 2 exports, and of those of Keras 3."""

from __future__ import annotations

import json
from typing import Any

import keras
import tf_keras


def layers(package: Any) -> list[str]:
    """Return the names of classes, each once whatever it is exported as; no base classes."""
    base = package.layers.Layer
    found = {
        each.__name__
        for each in vars(package.layers).values()
        if isinstance(each, type) and issubclass(each, base)
    }
    return sorted(found - {base.__name__})


if __name__ == "__main__":
    print(json.dumps({"keras_2": layers(tf_keras), "keras_3": layers(keras)}))
