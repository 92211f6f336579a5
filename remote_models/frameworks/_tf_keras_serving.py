"""The graph that a Keras 2 model is served by.

Public functions only. Tried with tf_keras 2.21.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from remote_models.errors import FormatError

__all__ = ["serving_function"]

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]")


def serving_function(model: Any) -> Any:
    """Trace a model for a batch of any size, with one tensor for each name, in and out.

    Raises:
        FormatError: it is not known what the model takes, or it takes more than one argument.
    """
    arguments, by_name = model.save_spec() or (None, {})
    if not arguments or len(arguments) > 1 or by_name:
        raise FormatError(
            "it is not known what the model takes, or it takes more than one argument",
            where="model",
            hint="Call the model once on some data, if it is not built",
        )
    flat = tf.nest.flatten(arguments[0])
    names = _names(model, "input_names", len(flat), arguments[0], [each.name for each in flat])
    specs = [
        tf.TensorSpec((None, *each.shape[1:]), each.dtype, name=name)
        for each, name in zip(flat, names, strict=True)
    ]

    def named(*tensors: Any) -> dict[str, Any]:
        taken = tf.nest.pack_sequence_as(arguments[0], list(tensors))
        outputs = model(taken, training=False)
        given = tf.nest.flatten(outputs)
        numbered = [f"output_{number}" for number in range(len(given))]
        return dict(
            zip(_names(model, "output_names", len(given), outputs, numbered), given, strict=True)
        )

    return tf.function(named, input_signature=specs, autograph=False).get_concrete_function()


def _names(model: Any, of: str, count: int, structure: Any, others: list[str]) -> list[str]:
    """Return the model's own names of its inputs or outputs, else its keys, else others."""
    if isinstance(structure, Mapping):
        names = sorted(structure) if len(structure) == count else others
    else:
        own = getattr(model, of, None) or ()
        names = list(own) if len(own) == count else others
    cleaned = [_NOT_IN_NAMES.sub("_", str(name)) for name in names]
    return cleaned if len(set(cleaned)) == count else [f"{of}_{n}" for n in range(count)]
