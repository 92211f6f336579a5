"""Keras objects to artifacts on this machine and back: the only rooms that know Keras."""

from remote_models.frameworks._choice import choose_framework, framework_of
from remote_models.frameworks._framework import (
    Framework,
    ModelDescription,
    SaveOptions,
    StreamedSave,
    TensorStream,
    WeightsOptions,
)

__all__ = [
    "Framework",
    "ModelDescription",
    "SaveOptions",
    "TensorStream",
    "WeightsOptions",
    "StreamedSave",
    "choose_framework",
    "framework_of",
]
