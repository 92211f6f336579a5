"""ONNX Runtime.

Tried with onnxruntime 1.32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states

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

__all__ = ["ONNXRuntime"]

_DTYPES = {
    "tensor(bool)": "bool",
    "tensor(double)": "float64",
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(int8)": "int8",
    "tensor(string)": "object",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(uint8)": "uint8",
}
"""ONNX Runtime's names of the types of inputs and outputs."""

_REFUSALS = (
    states.Fail, states.InvalidArgument, states.InvalidGraph, states.InvalidProtobuf,
    states.NoSuchFile, states.NotImplemented, states.RuntimeException,
)  # fmt: skip
"""What ONNX Runtime raises for a model that it cannot run. They have no public names."""

_ERRORS_ONLY = 3
"""ONNX Runtime's level of logging without warnings."""


class ONNXRuntime(ClosedAfterUse):
    """A model run by ONNX Runtime, on the processor; threads predict side by side.

    Args:
        data: The model, an ``.onnx`` file without external data.
        num_threads: How many threads a prediction uses; by default one for each core.
        manifest_digest: Of the manifest that vouches for ``data``.
        where: Its URL, for messages.

    Raises:
        FormatError: it is no ONNX model, or ONNX Runtime does not know its operations.
    """

    name = "onnx"

    def __init__(
        self,
        data: bytes,
        *,
        num_threads: int | None = None,
        manifest_digest: str | None = None,
        where: str,
    ) -> None:
        self.manifest_digest = manifest_digest
        session = _open(data, num_threads, where)
        self._session: onnxruntime.InferenceSession | None = session
        self.signature = Signature(
            inputs=in_order(_spec(each, where) for each in session.get_inputs()),
            outputs=in_order(_spec(each, where) for each in session.get_outputs()),
        )
        self._names = [spec.name for spec in self.signature.outputs]

    def predict(self, inputs: Inputs) -> dict[str, Array]:
        arrays = check_inputs(self.signature, inputs)
        session = self._session  # of which this call keeps hold if another one closes
        if session is None:
            raise ArgumentError("the runtime is closed", where=self.name)
        return dict(zip(self._names, session.run(self._names, arrays), strict=True))

    def close(self) -> None:
        self._session = None


def _open(data: bytes, num_threads: int | None, where: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    if num_threads is not None:
        options.intra_op_num_threads = num_threads
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except _REFUSALS as error:
        raise FormatError(
            f"ONNX Runtime cannot run this model: {' '.join(str(error).split())[:400]}",
            where=where, hint="Save the model again with exports=('onnx',)",
        ) from error  # fmt: skip


def _spec(value: Any, where: str) -> TensorSpec:
    if value.type not in _DTYPES:
        raise FormatError(
            "an input or output is of a type that NumPy does not have",
            where=where, found=f"{value.name}: {value.type}",
        )  # fmt: skip
    lengths = tuple(length if isinstance(length, int) else None for length in value.shape)
    return TensorSpec(value.name, lengths, np.dtype(_DTYPES[value.type]))
