"""Functions of TensorFlow that a configuration may name.

A functional model of Keras 2 keeps each call of TensorFlow as the function's exported
name (``TFOpLambda``, ``ClassMethod``, ``InstanceMethod`` and ``TensorFlowOpLayer`` in
tf_keras/src/layers/core/tf_op_layer.py and engine/base_layer.py), and tf_keras calls
whatever has this name while it builds the model: ``tf.io.write_file`` as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from remote_models.formats.safety._operations import is_denied_operation

__all__ = ["is_harmless_call"]

_COMPUTING = re.compile(
    r"(compat\.v[12]\.)?"
    r"((__operators__|audio|bitwise|dtypes|image|keras\.activations|keras\.backend|linalg"
    r"|lookup|math|nest|nn|quantization|ragged|random|sets|signal|sparse|strings)\.)?"
    r"[A-Za-z]\w*"
)

_OF_MODULE = re.compile(
    r"io\.(decode|encode|parse|serialize_(sparse|tensor|many_sparse))\w*"
    r"|debugging\.(assert_\w+|check_numerics|Assert)"
    r"|linalg\.experimental\.\w+|math\.special\.\w+|nn\.experimental\.\w+"
    r"|random\.experimental\.\w+|signal\.\w+|strings\.\w+"
)

_NOT_COMPUTING = re.compile(
    r"(\w*py_func\w*|numpy_function|print|Print|function|load_\w+|init_scope|executing_eagerly"
    r"|enable_\w+|disable_\w+|set_\w+|get_\w+|clear_\w+|reset_\w+|import_\w+|read_file|write_file"
    r"|matching_files|map_fn|while_loop|cond|case|py_function|device|Session|InteractiveSession"
    # Their arguments name files, of a vocabulary and of descriptors.
    r"|fixed_unigram_candidate_sampler|decode_proto|encode_proto"
    r"|app|flags|Module|Graph|Variable|TensorArray|custom_gradient|recompute_grad|from_config)"
)

_METHOD = re.compile(r"[A-Za-z]\w*")

_CLASSES = {
    "RaggedTensor", "SparseTensor", "TensorShape", "ragged.RaggedTensor", "sparse.SparseTensor",
}  # fmt: skip


def is_harmless_call(class_name: str, config: Mapping[str, Any]) -> bool | None:
    """Say whether a layer calls nothing but computations; ``None`` if it is no such layer."""
    if class_name in ("TFOpLambda", "SlicingOpLambda"):
        return _is_harmless(config.get("function"))
    if class_name == "ClassMethod":
        return config.get("cls_symbol") in _CLASSES and _is_method(config.get("method_name"))
    if class_name == "InstanceMethod":
        return _is_method(config.get("method_name"))
    if class_name == "InstanceProperty":
        return _is_method(config.get("attr_name"))
    if class_name == "TensorFlowOpLayer":
        return _is_harmless_node(config.get("node_def"))
    return None


def _is_harmless(name: object) -> bool:
    if not isinstance(name, str):
        return False
    if name.startswith("raw_ops."):
        return not is_denied_operation(name.removeprefix("raw_ops."))
    if _NOT_COMPUTING.fullmatch(name.rpartition(".")[2]):
        return name in ("keras.backend.get_value", "math.get_static_value")
    return bool(_COMPUTING.fullmatch(name) or _OF_MODULE.fullmatch(name))


def _is_method(name: object) -> bool:
    return isinstance(name, str) and _METHOD.fullmatch(name) is not None


def _is_harmless_node(text: object) -> bool:
    """Whether a node that is written as JSON (``MessageToJson``) is an allowed operation."""
    try:
        node = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return False
    operation = node.get("op") if isinstance(node, Mapping) else None
    return isinstance(operation, str) and not is_denied_operation(operation)
