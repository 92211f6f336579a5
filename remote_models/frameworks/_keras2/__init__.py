"""Configurations of Keras 2 made into configurations of Keras 3; imports no framework."""

from remote_models.frameworks._keras2._model import KERAS_2_FUNCTIONS, translate_architecture

__all__ = ["KERAS_2_FUNCTIONS", "translate_architecture"]
