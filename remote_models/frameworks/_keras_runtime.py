"""A Keras 3 model on JAX or torch as a runtime. Public functions only; tried with Keras 3.15."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from remote_models.errors import ArgumentError, FormatError
from remote_models.runtimes import (
    Array,
    ClosedAfterUse,
    Inputs,
    Signature,
    TensorSpec,
    check_inputs,
)

__all__ = ["KerasRuntime"]

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]")


class KerasRuntime(ClosedAfterUse):
    """A model made of symbolic inputs; threads take turns.

    Args:
        model: The model.
        manifest_digest: Of the manifest that vouches for it.

    Raises:
        FormatError: it does not say what it takes.
    """

    name = "keras"

    def __init__(self, model: Any, *, manifest_digest: str | None = None) -> None:
        if not getattr(model, "inputs", None):
            raise FormatError(
                "it is not known what the model takes", where="model",
                hint="Predict with load_model(), or on the TensorFlow backend",
            )  # fmt: skip
        self.manifest_digest = manifest_digest
        self._lock = threading.Lock()
        self._model: Any | None = model
        self._structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
        self._names = [_NOT_IN_NAMES.sub("_", each.name) for each in model.inputs]
        outputs = dict(_named(model, model.outputs if _is_flat(model) else model.output))
        self.signature = Signature(
            inputs=_sorted_specs(dict(zip(self._names, model.inputs, strict=True))),
            outputs=_sorted_specs(outputs),
        )

    def predict(self, inputs: Inputs) -> dict[str, Array]:
        arrays = check_inputs(self.signature, inputs)
        flat = [arrays[name] for name in self._names]
        with self._lock:
            if self._model is None:
                raise ArgumentError("the runtime is closed", where=self.name)
            taken = keras.tree.pack_sequence_as(self._structure, flat)
            outputs = dict(_named(self._model, self._model.predict_on_batch(taken)))
        return {spec.name: np.asarray(outputs[spec.name]) for spec in self.signature.outputs}

    def close(self) -> None:
        with self._lock:
            self._model = None


def _is_flat(model: Any) -> bool:
    return isinstance(model, keras.Sequential)


def _named(model: Any, outputs: Any) -> Iterator[tuple[str, Any]]:
    """Give each output its key, the name of the layer that it comes from, or a number."""
    if isinstance(outputs, Mapping):
        yield from ((_NOT_IN_NAMES.sub("_", str(key)), outputs[key]) for key in outputs)
        return
    flat = keras.tree.flatten(outputs)
    names = [model.layers[-1].name] if _is_flat(model) else getattr(model, "output_names", [])
    if len(set(names)) != len(flat):
        names = [f"output_{number}" for number in range(len(flat))]
    yield from zip((_NOT_IN_NAMES.sub("_", name) for name in names), flat, strict=True)


def _sorted_specs(tensors: Mapping[str, Any]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name, (None, *tensors[name].shape[1:]), np.dtype(tensors[name].dtype))
        for name in sorted(tensors)
    )
