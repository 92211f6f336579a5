"""A model's status and signature as TensorFlow Serving's JSON tells them.

TensorFlow Serving: ``get_model_status.proto``, ``get_model_metadata.proto``, and the JSON
that protobuf makes of them (64-bit numbers are strings).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from remote_models.serving._predict import SIGNATURE_NAME
from remote_models.serving._status import ServedModel

if TYPE_CHECKING:
    import numpy as np

    from remote_models.runtimes import TensorSpec

__all__ = ["metadata_of", "status_of"]

_TYPES = {"float32": "DT_FLOAT", "float64": "DT_DOUBLE", "float16": "DT_HALF"}
"""TensorFlow's names of dtypes that are not NumPy's in capitals (``types.proto``)."""


def status_of(model: ServedModel) -> dict[str, Any]:
    """Return the answer to ``GET /v1/models/NAME``."""
    status = {
        "version": _version(model),
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    return {"model_version_status": [status]}


def metadata_of(name: str, model: ServedModel) -> dict[str, Any]:
    """Return the answer to ``GET /v1/models/NAME/metadata``."""
    signature = model.runtime.signature
    described = {
        "inputs": _tensors(signature.inputs),
        "outputs": _tensors(signature.outputs),
        "method_name": "tensorflow/serving/predict",
    }
    return {
        "model_spec": {"name": name, "signature_name": "", "version": _version(model)},
        "metadata": {"signature_def": {"signature_def": {SIGNATURE_NAME: described}}},
    }


def _version(model: ServedModel) -> str:
    # An artifact by itself has no number; clients expect one, and TensorFlow Serving's begin at 1.
    return str(model.version or 1)


def _tensors(specs: Sequence[TensorSpec]) -> dict[str, Any]:
    return {
        spec.name: {
            "dtype": _type(spec.dtype),
            "tensor_shape": {
                "dim": [
                    {"size": str(-1 if size is None else size), "name": ""} for size in spec.shape
                ],
                "unknown_rank": False,
            },
            "name": spec.name,
        }
        for spec in specs
    }


def _type(dtype: np.dtype[Any]) -> str:
    if dtype.kind in "OSU":
        return "DT_STRING"
    return _TYPES.get(dtype.name, f"DT_{dtype.name.upper()}")
