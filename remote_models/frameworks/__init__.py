"""Keras objects to artifacts on this machine and back: the only rooms that know Keras."""

from remote_models.frameworks._choice import choose_framework, framework_of
from remote_models.frameworks._framework import (
    Framework,
    InferenceOnlyWarning,
    NotInConfigurationError,
    SaveOptions,
    TensorSpec,
    TensorStream,
    UnknownClassError,
    UnmatchedTensorsError,
    WeightsOptions,
)
from remote_models.frameworks._named_tensors import NamedTensors, named_tensors
from remote_models.frameworks._program import load_program
from remote_models.frameworks._state_stream import state_stream
from remote_models.frameworks._streamed_save import ModelDescription, StreamedSave
from remote_models.frameworks._training import Training, is_beside_weights

__all__ = [
    "Framework",
    "InferenceOnlyWarning",
    "ModelDescription",
    "NamedTensors",
    "NotInConfigurationError",
    "SaveOptions",
    "StreamedSave",
    "TensorSpec",
    "TensorStream",
    "Training",
    "UnknownClassError",
    "UnmatchedTensorsError",
    "WeightsOptions",
    "choose_framework",
    "framework_of",
    "is_beside_weights",
    "load_program",
    "named_tensors",
    "state_stream",
]
