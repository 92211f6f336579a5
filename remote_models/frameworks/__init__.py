"""Keras objects to artifacts on this machine and back: the only rooms that know Keras."""

from remote_models.frameworks._choice import choose_framework, framework_of
from remote_models.frameworks._framework import (
    Framework,
    ModelDescription,
    SaveOptions,
    StreamedSave,
    TensorSpec,
    TensorStream,
    UnmatchedTensorsError,
    WeightsOptions,
)

__all__ = [
    "Framework",
    "ModelDescription",
    "SaveOptions",
    "StreamedSave",
    "TensorSpec",
    "TensorStream",
    "UnmatchedTensorsError",
    "WeightsOptions",
    "choose_framework",
    "framework_of",
]
