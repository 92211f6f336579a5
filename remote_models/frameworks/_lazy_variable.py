"""A TensorFlow variable whose value is read when somebody first asks for it.

Nothing gets at a variable's value, nor changes it, but through its handle
(tensorflow/python/ops/resource_variable_ops.py): here the handle is given out only once
the value is there. The only place that touches what TensorFlow keeps private:
``UninitializedVariable``, ``_handle``, ``_handle_name``, ``_trainable``,
``_aggregation`` and ``_synchronization``, and ``in_symbolic_scope`` of Keras. Tried
with TensorFlow 2.21.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import tensorflow as tf
from keras.src.backend.common.symbolic_scope import in_symbolic_scope
from tensorflow.python.ops import resource_variable_ops

from remote_models.errors import RemoteModelsError
from remote_models.frameworks._lazy_tensors import LazyTensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remote_models.frameworks._framework import TensorSpec
    from remote_models.frameworks._lazy_tensors import Read

__all__ = ["LazyVariable"]


class LazyVariable(resource_variable_ops.UninitializedVariable):  # type: ignore[misc]  # no types
    """A variable that is what it is from the beginning, but for its value.

    Shape and dtype cost nothing. Reading, changing or capturing it waits for the value,
    and raises what reading it raises; the next attempt tries again.
    """

    _waits_for: LazyTensor | None = None  # while the base class makes the handle

    def __init__(self, key: str, spec: TensorSpec, read: Read) -> None:
        dtype = tf.as_dtype(spec.dtype)
        super().__init__(
            trainable=False, name=key.rpartition("/")[2], shape=spec.shape, dtype=dtype
        )
        self._is_claimed = False
        nbytes = dtype.size * math.prod(spec.shape)
        self._again = (key, spec, read)
        self._waits_for = LazyTensor(key, nbytes, self, read)

    @property
    def waits_for(self) -> LazyTensor | None:
        """The tensor that holds the value; ``None`` once the value is here."""
        return self._waits_for

    @property
    def handle(self) -> Any:
        """The handle by which the variable can be accessed, once it has its value."""
        self._wait()
        return self._handle

    @property
    def device(self) -> Any:
        """Where the variable is; asking that, as optimizers do, needs no value."""
        return self._handle.device

    def _read_variable_op(self, no_copy: bool = False) -> Any:
        self._wait()
        return super()._read_variable_op(no_copy)

    def sparse_read(self, indices: Any, name: Any = None) -> Any:
        """Read some rows; like all reading, that of the whole value comes first."""
        self._wait()
        return super().sparse_read(indices, name)

    def gather_nd(self, indices: Any, name: Any = None) -> Any:
        """Read some elements; see :meth:`sparse_read`."""
        self._wait()
        return super().gather_nd(indices, name)

    def claimed_by(self, variable: Any) -> LazyVariable:
        """Return the variable that holds the value of a Keras variable from now on."""
        if self._is_claimed:  # stored once, and given to two variables
            return LazyVariable(*self._again).claimed_by(variable)
        self._is_claimed = True
        self._trainable = variable.trainable
        self._aggregation = tf.VariableAggregation[(variable.aggregation or "none").upper()]
        self._handle_name = f"{variable.name}:0"
        return self

    def receive(self, array: NDArray[Any]) -> None:
        """Take the value, for good."""
        with tf.init_scope():  # a graph that is being traced must not own it
            value = tf.convert_to_tensor(array, dtype=self.dtype)
            tf.raw_ops.AssignVariableOp(resource=self._handle, value=value)
        self._waits_for = None

    def assign(
        self, value: Any, use_locking: Any = None, name: Any = None, read_value: bool = True
    ) -> Any:
        """Assign a value; one that nobody has asked for yet is not read before."""
        tensor = self._waits_for
        if tensor is not None and tf.executing_eagerly():
            value = tf.convert_to_tensor(value, dtype=self.dtype)
            with tensor.group.lock:
                if self._waits_for is not None and self.shape.is_compatible_with(value.shape):
                    tensor.group.forget(tensor)
                    self.receive(value)
                    return self if read_value else None
        return super().assign(value, use_locking, name, read_value)

    def _wait(self) -> None:
        """Have the value here.

        Called first by what tells gradient tapes of a read, too: they ask for the handle
        where no exception comes through (``TFE_Py_TapeVariableAccessed``).
        """
        tensor = self._waits_for
        # While Keras computes shapes, what is built is thrown away and never runs.
        if tensor is not None and not in_symbolic_scope():
            try:
                tensor.group.settle(tensor)
            except RemoteModelsError as error:
                _let_pass(error)
                raise


def _let_pass(error: RemoteModelsError) -> None:
    """Let an error come through layers and traced functions as it is.

    Keras makes a new one of every exception in a layer's call, which has lost where and
    what to do (``inject_argument_info_in_traceback``), AutoGraph one of another class
    (``_attach_error_metadata`` in tensorflow/python/autograph/impl/api.py).
    """
    vars(error).update(_keras_call_info_injected=True, ag_pass_through=True)
