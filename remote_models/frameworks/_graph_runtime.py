"""A traced function of TensorFlow as a runtime: its signature, and predictions by name.

Public functions only. Tried with TensorFlow 2.21.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from remote_models.errors import ArgumentError
from remote_models.runtimes import (
    Array,
    ClosedAfterUse,
    Inputs,
    Signature,
    TensorSpec,
    check_inputs,
)

__all__ = ["GraphRuntime"]


class GraphRuntime(ClosedAfterUse):
    """A concrete function that takes and gives tensors by name; threads predict side by side.

    Args:
        name: What it is called as a runtime.
        function: The concrete function.
        owner: What holds the variables that it uses.
        manifest_digest: Of the manifest that vouches for the model.
    """

    def __init__(
        self, name: str, function: Any, owner: Any, *, manifest_digest: str | None = None
    ) -> None:
        self.name = name
        self.manifest_digest = manifest_digest
        self.function = function
        self._running: tuple[Any, Any] | None = (function, owner)
        arguments, by_name = function.structured_input_signature
        self._specs = {spec.name: spec for spec in (*arguments, *by_name.values())}
        outputs = function.structured_outputs
        self.signature = Signature(
            inputs=tuple(_spec(each, self._specs[each]) for each in sorted(self._specs)),
            outputs=tuple(_spec(each, outputs[each]) for each in sorted(outputs)),
        )

    def predict(self, inputs: Inputs) -> dict[str, Array]:
        running = self._running  # of which this call keeps hold if another one closes
        if running is None:
            raise ArgumentError("the runtime is closed", where=self.name)
        arrays = check_inputs(self.signature, inputs)
        tensors = {
            name: tf.constant(arrays[name], spec.dtype) for name, spec in self._specs.items()
        }
        outputs = running[0](**tensors)
        return {spec.name: outputs[spec.name].numpy() for spec in self.signature.outputs}

    def close(self) -> None:
        self._running = None


def _spec(name: str, spec: Any) -> TensorSpec:
    lengths = () if spec.shape.rank is None else tuple(spec.shape)
    return TensorSpec(name, lengths, np.dtype(spec.dtype.as_numpy_dtype))
