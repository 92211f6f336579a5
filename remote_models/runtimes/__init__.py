"""What runs a model that is loaded from its exports: no Keras, no TensorFlow."""

from remote_models.runtimes._running import EXPORTS, is_installed, run_export
from remote_models.runtimes._runtime import (
    Array,
    ClosedAfterUse,
    Inputs,
    Runtime,
    Signature,
    TensorSpec,
    check_inputs,
)

__all__ = [
    "EXPORTS",
    "Array",
    "ClosedAfterUse",
    "Inputs",
    "Runtime",
    "Signature",
    "TensorSpec",
    "check_inputs",
    "is_installed",
    "run_export",
]
