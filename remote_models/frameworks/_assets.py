"""Vocabulary files of tf_keras models that were loaded from a SavedModel.

tf_keras drops the asset objects of lookup tables when it loads a SavedModel (it
revives each table with a ``NullInitializer``, index_lookup.py) but keeps the graph
that reads the file. Saved again, the model then holds no file but the path of the
first copy, and nobody else can load it. Tried with tf_keras 2.21 on TensorFlow 2.21.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

__all__ = ["track_assets"]


def track_assets(model: Any) -> None:
    """Make every file that ``model``'s lookup tables read part of it again."""
    for layer in getattr(model, "_flatten_layers", lambda: ())():
        table: Any = getattr(layer, "lookup_table", None)
        for index, path in enumerate(_captured_paths(table)):
            asset = tf.saved_model.Asset(path.numpy())
            # The saver matches assets to graphs by this very tensor.
            asset._path = path  # noqa: SLF001 - no public name
            table._track_trackable(asset, f"asset_{index}", overwrite=True)  # noqa: SLF001


def _captured_paths(table: Any | None) -> Iterator[Any]:
    """Yield the file names that the revived initialiser of ``table`` reads."""
    initialise = getattr(table, "_initialize", None)
    for function in getattr(initialise, "concrete_functions", ()):
        for captured in function.captured_inputs:
            if captured.dtype == tf.string and captured.shape.rank == 0:
                yield captured
