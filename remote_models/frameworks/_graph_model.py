"""A SavedModel without its classes, or of any TensorFlow program, as a model of Keras 3.

On the TensorFlow backend only. Public functions only; tried with Keras 3.15 and
TensorFlow 2.21.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from remote_models.errors import ArgumentError, FormatError

__all__ = ["GraphModel", "load_graph_model"]

_SERVING_DEFAULT = "serving_default"


def load_graph_model(folder: Path, *, where: str) -> GraphModel:
    """Return a model that runs the serving graph of a SavedModel.

    Args:
        folder: The SavedModel, which must stay as long as the model is used.
        where: Where it came from, for messages.

    Raises:
        FormatError: it has no signature, or several and none is the default.
    """
    # TensorFlow runs what is in the graph: whatever has to be refused is refused before.
    program = tf.saved_model.load(str(folder))
    signatures = getattr(program, "signatures", {})
    names = sorted(signatures)
    if _SERVING_DEFAULT not in names and len(names) != 1:
        raise FormatError(
            "the SavedModel does not say which of its graphs to run",
            where=where,
            expected=f"a signature {_SERVING_DEFAULT!r}, or just one",
            found=names,
            hint="Fetch it with 'remote-models pull' and open it with tf.saved_model.load",
        )
    chosen = _SERVING_DEFAULT if _SERVING_DEFAULT in names else names[0]
    return GraphModel(program, signatures[chosen], where=where)


class GraphModel(keras.Model):  # type: ignore[misc]  # Keras ships no types
    """A SavedModel's serving graph, for inference only.

    It takes one tensor, or a dict with one for each input of the signature, and gives
    one tensor or a dict. It has weights but no layers, and none of the weights is
    trainable: a serving graph is what the model does when it is not trained.
    """

    def __init__(self, program: Any, signature: Any, *, where: str) -> None:
        super().__init__(name="graph_model", trainable=False, autocast=False)
        self._where = where
        self._program = program  # holds the variables and tables that the graph uses
        self._signature = signature
        self._takes: dict[str, tf.TensorSpec] = dict(signature.structured_input_signature[1])
        self._variables_of_graph = [_as_keras_variable(each) for each in signature.variables]
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Run the graph."""
        outputs = self._signature(**self._by_name(inputs))
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def _by_name(self, inputs: Any) -> dict[str, Any]:
        names = sorted(self._takes)
        if isinstance(inputs, Mapping):
            given = dict(inputs)
        elif len(names) == 1:
            given = {names[0]: _only(inputs)}
        else:
            given = {}
        if sorted(given) != names:
            # All in one sentence: Keras keeps no more of an error than its message.
            found = ", ".join(map(repr, sorted(given))) or f"a {type(inputs).__name__}"
            raise ArgumentError(
                f"the graph takes a dict with {', '.join(map(repr, names))}, not {found}",
                where="inputs",
            )
        return {name: _as_taken(given[name], self._takes[name]) for name in names}

    @property
    def trainable(self) -> bool:
        """Always false."""
        return False

    @trainable.setter
    def trainable(self, value: bool) -> None:
        if value:
            raise self._error("it cannot be trained")

    def make_train_function(self, force: bool = False) -> Any:
        """Refuse to train.

        Raises:
            FormatError: always.
        """
        raise self._error("it cannot be trained")

    def get_config(self) -> dict[str, Any]:
        """Refuse to describe layers that are not known.

        Raises:
            FormatError: always.
        """
        raise self._error("it has no configuration")

    def _error(self, what: str) -> FormatError:
        return FormatError(
            f"the model is the graph of a SavedModel without its classes: {what}",
            where=self._where,
            hint=(
                "Load it with custom_objects= or with the framework that wrote it. "
                "To copy it as it is, use pull_model and push_model"
            ),
        )


def _as_keras_variable(variable: tf.Variable) -> Any:
    """Wrap a variable: it is not copied, so that set_weights changes what the graph does."""
    return keras.Variable(
        variable,
        trainable=False,
        dtype=variable.dtype.name,
        autocast=False,
        name=variable.name.partition(":")[0].replace("/", "_"),
    )


def _only(inputs: Any) -> Any:
    """Take a single input out of the list that it may be given in."""
    is_list_of_one = isinstance(inputs, (list, tuple)) and len(inputs) == 1
    return inputs[0] if is_list_of_one and hasattr(inputs[0], "shape") else inputs


def _as_taken(value: Any, spec: tf.TensorSpec) -> Any:
    """Return a tensor of the dtype that the graph takes; NumPy's are wider by default."""
    tensor = tf.convert_to_tensor(value)
    return tensor if tensor.dtype == spec.dtype else tf.cast(tensor, spec.dtype)
