"""A traced model as a file for another runtime, made by TensorFlow's converter or by tf2onnx.

Of what others keep private, ``ConverterError`` of TensorFlow, which its converter raises.
Tried with TensorFlow 2.21 and tf2onnx 1.17.
"""

from __future__ import annotations

import importlib.util
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError

from remote_models.errors import FormatError, MissingDependencyError

__all__ = ["convert"]

_OPSET = 17
"""The version of ONNX's operations: that of ONNX 1.12, which every runtime of today knows."""

_CAUSE = re.compile(r"^(?:TF Select ops|Custom ops): .*$|(?<=error: ).*$", re.MULTILINE)
"""What TensorFlow's converter says of its failure, among where in the program it was."""

_NAMED = ("TF Select ops", "Custom ops")
"""Causes that name operations, and say most."""

_MAX_CAUSE = 300
"""Characters of the converter's own message that an error of ours repeats."""

_MAX_ONNX_BYTES = 2**31 - 1
"""What a protocol buffer holds; the weights of larger models lie in other files."""


def convert(function: Any, kind: str) -> bytes:
    """Return a concrete function as a file of another format, with the same names in and out.

    Args:
        function: Takes and gives tensors by name.
        kind: ``tflite`` or ``onnx``.

    Raises:
        FormatError: the format has no word for what the function does.
        MissingDependencyError: the converter is not installed.
    """
    with _quiet():
        return _CONVERTERS[kind](function)


def _to_tflite(function: Any) -> bytes:
    # The converter turns into constants only those variables that this object holds; others
    # it leaves in the file as variables without a value.
    holder = tf.Module()
    holder.held = list(function.variables)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], holder)
    try:
        data: bytes = converter.convert()
    except (ConverterError, ValueError, TypeError, RuntimeError) as error:
        causes = sorted(_CAUSE.findall(str(error)), key=lambda cause: not cause.startswith(_NAMED))
        raise _inconvertible("TensorFlow Lite", (causes or [str(error)])[0], "onnx") from error
    return data


def _to_onnx(function: Any) -> bytes:
    for package in ("tf2onnx", "onnx"):
        if importlib.util.find_spec(package) is None:
            raise MissingDependencyError(
                f"making an ONNX export needs {package}, which is not installed",
                hint="pip install 'remote_models[onnx,onnx-export]'",
            )
    import tf2onnx

    arguments, _ = function.structured_input_signature
    names = [spec.name for spec in arguments]

    def again(*tensors: Any) -> Any:
        return function(**dict(zip(names, tensors, strict=True)))

    traced = tf.function(again, input_signature=arguments, autograph=False)
    try:
        model, _ = tf2onnx.convert.from_function(traced, input_signature=arguments, opset=_OPSET)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise _inconvertible("ONNX", str(error), "tflite") from error
    if model.ByteSize() > _MAX_ONNX_BYTES:
        raise _inconvertible("ONNX", "a file holds at most 2 GiB", "tflite")
    data: bytes = model.SerializeToString()
    return data


_CONVERTERS: Mapping[str, Callable[[Any], bytes]] = {"onnx": _to_onnx, "tflite": _to_tflite}


def _inconvertible(format: str, cause: str, other: str) -> FormatError:
    cause = " ".join(cause.split())[:_MAX_CAUSE].rstrip(".")
    return FormatError(
        f"the model cannot be converted to {format}: {cause}", where="exports",
        hint=f"Leave this export out; exports=({other!r},) may do",
    )  # fmt: skip


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep converters from telling users of this library how to convert for themselves."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
