"""Run in a process of its own: what TensorFlow makes of lent arrays. Prints a JSON object."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from remote_models.frameworks._lent_array import LentArray

COUNT = 4096


def array(offset: int = 0, dtype: Any = np.float32, count: int = COUNT) -> Any:
    """Return the numbers from 0 on, ``offset`` bytes behind an aligned place."""
    nbytes = count * np.dtype(dtype).itemsize
    raw = np.empty(nbytes + 128, np.uint8)
    start = -raw.ctypes.data % 64 + offset
    found = raw[start : start + nbytes].view(dtype)
    found[:] = np.arange(count) % 100
    return found


def shares(owner: Any, tensor: Any) -> bool:
    """Whether a write to the array is seen in the tensor."""
    before = float(tensor[1])
    owner[1] += 1
    return float(tensor[1]) != before


def main() -> None:
    found: dict[str, Any] = {}
    expected = np.arange(COUNT) % 100

    own = array()
    lent = LentArray.of(own)
    variable = keras.Variable(np.zeros(COUNT, np.float32))
    variable.assign(lent)
    found["the first variable takes it over"] = shares(own, variable.value)
    second = keras.Variable(np.zeros(COUNT, np.float32))
    second.assign(lent)
    found["the second gets a copy"] = not shares(own, second.value)
    variable.assign_add(np.ones(COUNT, np.float32))
    found["they do not share"] = float(second.value[2]) == 2.0 and float(variable.value[2]) == 3.0

    held = tf.identity(variable.value)
    variable.assign_add(np.ones(COUNT, np.float32))
    found["a tensor held meanwhile keeps its value"] = float(held[2]) == 3.0

    for offset in (4, 16, 32):
        own = array(offset)
        tensor = tf.convert_to_tensor(LentArray.of(own))
        same = bool(np.array_equal((tensor + 0).numpy(), expected))
        found[f"{offset} bytes off is copied"] = same and not shares(own, tensor)

    own = array()
    part = tf.convert_to_tensor(LentArray.of(own)[:2048])
    found["a part is copied"] = not shares(own, part)
    found["a transposed array is copied"] = np.array_equal(
        tf.convert_to_tensor(LentArray.of(array().reshape(64, 64)).T).numpy(),
        expected.reshape(64, 64).T,
    )
    cast = tf.convert_to_tensor(LentArray.of(array()), dtype=tf.float32)
    found["the dtype that it has"] = cast.dtype == tf.float32
    found["another dtype is converted as ever"] = converts(tf.float64)
    frozen = array()
    frozen.flags.writeable = False
    found["read-only is copied"] = bool(
        np.array_equal(tf.convert_to_tensor(LentArray.of(frozen)).numpy(), expected)
    )
    for dtype in (np.float16, np.float64, np.int8, np.uint8, np.int32, np.int64, np.uint16):
        tensor = tf.convert_to_tensor(LentArray.of(array(dtype=dtype)))
        found[f"{np.dtype(dtype).name} has its values"] = tensor.dtype == tf.as_dtype(
            dtype
        ) and bool(np.array_equal(tensor.numpy(), expected))

    @tf.function  # type: ignore[untyped-decorator]  # TensorFlow ships no types
    def traced() -> Any:
        return tf.convert_to_tensor(LentArray.of(array())) + 0

    found["in a graph"] = bool(np.array_equal(traced().numpy(), expected))

    own = array()
    tensor = tf.convert_to_tensor(LentArray.of(own))
    del own
    noise = [np.full(COUNT, -1, np.float32) for _ in range(64)]
    found["it lives as long as the tensor"] = bool(np.array_equal(tensor.numpy(), expected))
    del noise
    print(json.dumps(found))


def converts(dtype: Any) -> bool:
    """Whether a float32 array becomes a tensor of another dtype only as NumPy's own does."""
    lent = tf.convert_to_tensor(LentArray.of(array()), dtype=dtype)
    return bool(lent.dtype == tf.convert_to_tensor(array(), dtype=dtype).dtype)


if __name__ == "__main__":
    main()
