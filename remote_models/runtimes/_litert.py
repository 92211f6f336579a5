"""LiteRT (TensorFlow Lite): the smallest runtime that runs a whole model.

Public names only. Tried with ai-edge-litert 2.3.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from remote_models.errors import ArgumentError, FormatError
from remote_models.runtimes._runtime import (
    Array,
    ClosedAfterUse,
    Inputs,
    Signature,
    TensorSpec,
    check_inputs,
    in_order,
)

__all__ = ["LiteRTRuntime"]


class LiteRTRuntime(ClosedAfterUse):
    """A model run by LiteRT.

    An interpreter is no use to two threads at once, so they take turns; each prediction
    uses ``num_threads``. A batch of another size than the last one makes it plan its
    memory anew, which takes longer than the prediction of a small model.

    Args:
        data: The model, a ``.tflite`` file.
        num_threads: How many threads a prediction uses; by default one.
        manifest_digest: Of the manifest that vouches for ``data``.
        where: Its URL, for messages.

    Raises:
        FormatError: it is no model of TensorFlow Lite, or has operations that LiteRT
            does not know.
    """

    name = "litert"

    def __init__(
        self,
        data: bytes,
        *,
        num_threads: int | None = None,
        manifest_digest: str | None = None,
        where: str,
    ) -> None:
        self.manifest_digest = manifest_digest
        self._lock = threading.Lock()
        try:
            interpreter = Interpreter(model_content=data, num_threads=num_threads)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise FormatError(
                f"LiteRT cannot run this model: {_one_line(error)}", where=where,
                hint="Save the model again with exports=('tflite',)",
            ) from error  # fmt: skip
        self._interpreter: Interpreter | None = interpreter
        self._inputs = _described(interpreter, "inputs", interpreter.get_input_details())
        self._outputs = _described(interpreter, "outputs", interpreter.get_output_details())
        self.signature = Signature(
            inputs=in_order(_spec(name, each) for name, each in self._inputs.items()),
            outputs=in_order(_spec(name, each) for name, each in self._outputs.items()),
        )
        self._shapes = {name: tuple(each["shape"]) for name, each in self._inputs.items()}

    def predict(self, inputs: Inputs) -> dict[str, Array]:
        arrays = check_inputs(self.signature, inputs)
        with self._lock:
            if self._interpreter is None:
                raise ArgumentError("the runtime is closed", where=self.name)
            return self._run(self._interpreter, arrays)

    def _run(self, interpreter: Any, arrays: Mapping[str, Array]) -> dict[str, Array]:
        shapes = {name: array.shape for name, array in arrays.items()}
        if shapes != self._shapes:
            self._shapes = {}  # of which none is known if this fails
            for name, shape in shapes.items():
                interpreter.resize_tensor_input(self._inputs[name]["index"], shape, strict=True)
            interpreter.allocate_tensors()
            self._shapes = shapes
        for name, array in arrays.items():
            interpreter.set_tensor(self._inputs[name]["index"], array)
        interpreter.invoke()
        return {
            name: np.array(interpreter.get_tensor(each["index"]))
            for name, each in self._outputs.items()
        }

    def close(self) -> None:
        with self._lock:
            self._interpreter = None


def _described(
    interpreter: Any, side: str, details: list[dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return what LiteRT says of each input or output, by its name in the signature."""
    signatures = interpreter.get_signature_list()
    if len(signatures) != 1:  # a model without, as from TensorFlow 2.6 and before
        return {each["name"].removesuffix(":0"): each for each in details}
    (key,) = signatures
    runner = interpreter.get_signature_runner(key)
    named = runner.get_input_details() if side == "inputs" else runner.get_output_details()
    return {name: named[name] for name in signatures[key][side]}


def _spec(name: str, details: Mapping[str, Any]) -> TensorSpec:
    lengths = details["shape_signature"] if len(details["shape_signature"]) else details["shape"]
    dtype = np.dtype(details["dtype"])
    return TensorSpec(
        name,
        tuple(None if length < 0 else int(length) for length in lengths),
        np.dtype(object) if dtype.kind == "S" else dtype,
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:400].rstrip(".") or type(error).__name__
