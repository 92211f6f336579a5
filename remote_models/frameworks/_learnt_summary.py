"""What a layer Discretization has learnt, which Keras 2 keeps in a variable and Keras 3 does not.

Both have the same two rows of it, values and weights, in an attribute ``summary``
(tf_keras/src and keras/src, layers/preprocessing/discretization.py). The bins follow from
it when the layer's state is finalised.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

__all__ = ["LearntSummary", "learnt_summary"]


class LearntSummary:
    """The attribute in the place of a variable.

    Attributes:
        layer: The layer.
        path: As a variable's.
        name: As a variable's.
        shape: ``None``: that of what is stored, whatever it is.
    """

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.name = "summary"
        self.path = f"{layer.name}/{self.name}"
        self.shape = None

    def assign(self, value: Any) -> None:
        """Take what was learnt."""
        self.layer.summary = np.asarray(value, "float32")


def learnt_summary(layer: Any) -> list[LearntSummary]:
    """Return what stands for a variable of a layer, if it is one that has learnt its bins."""
    is_learnt = isinstance(layer, keras.layers.Discretization) and layer.num_bins is not None
    return [LearntSummary(layer)] if is_learnt else []
