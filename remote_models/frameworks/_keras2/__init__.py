"""Configurations of Keras 2 made into configurations of Keras 3; imports no framework."""

from remote_models.frameworks._keras2._layer_names import without_slashes
from remote_models.frameworks._keras2._model import KERAS_2_FUNCTIONS, translate_architecture
from remote_models.frameworks._keras2._operations import is_operation

__all__ = ["KERAS_2_FUNCTIONS", "is_operation", "translate_architecture", "without_slashes"]
