"""Tensors as JSON, as TensorFlow Serving writes and reads them.

TensorFlow Serving's documentation, "RESTful API", sections "JSON mapping", "Encoding binary
values" and "JSON conformance": numbers are numbers, ``NaN``, ``Infinity`` and ``-Infinity``
are allowed, bytes are ``{"b64": …}``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from remote_models._fields import shorten
from remote_models.errors import ArgumentError

if TYPE_CHECKING:
    from remote_models.runtimes import TensorSpec

__all__ = ["decode_tensor", "encode_tensor", "shape_text"]

_B64 = "b64"

_BYTES_SUFFIX = "_bytes"
"""Outputs that are named so hold bytes and no text ("Output of binary values")."""

_FITTING: Mapping[str, frozenset[type]] = {
    "f": frozenset({int, float}),
    "i": frozenset({int}),
    "u": frozenset({int}),
    "b": frozenset({bool}),
}
"""What an array of each kind is made from. A number is no truth, and 1.0 no whole number."""

_WIDE: Mapping[str, type] = {"f": np.float64, "i": np.int64, "u": np.int64, "b": np.bool_}
"""In what numbers arrive, before they are compared with what the dtype can hold."""

_WORDS = {"f": "numbers", "i": "whole numbers", "u": "whole numbers", "b": "true and false"}


def decode_tensor(value: Any, spec: TensorSpec, where: str) -> NDArray[Any]:
    """Return the array that a JSON value stands for, in the dtype and shape of an input.

    Args:
        value: Nested lists, as ``json.loads`` returns them.
        spec: The input of the signature.
        where: What to call it in an error.

    Raises:
        ArgumentError: it is ragged, of another shape or dtype, or holds a number that the
            dtype cannot hold.
    """
    array = _decode_text(value, where) if _is_text(spec) else _decode_numbers(value, spec, where)
    if not _fits(array.shape, spec.shape):
        raise ArgumentError(
            "wrong shape", where=where, expected=shape_text(spec.shape),
            found=shape_text(array.shape),
        )  # fmt: skip
    return array


def encode_tensor(array: NDArray[Any], name: str) -> Any:
    """Return an output as what ``json.dumps`` takes.

    Text that is no UTF-8, and all that is named ``…_bytes``, becomes ``{"b64": …}``.
    """
    if array.dtype.kind in "OSU":
        return _encode_text(array.tolist(), as_bytes=name.endswith(_BYTES_SUFFIX))
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        # The shortest digits that mean this float: 0.1, not 0.10000000149011612.
        return array.astype(str).astype(np.float64).tolist()
    if array.dtype.kind == "V":  # bfloat16 and its like
        return encode_tensor(array.astype(np.float32), name)
    return array.tolist()


def shape_text(shape: tuple[int | None, ...]) -> str:
    """Return a shape as people write it, ``?`` for any size."""
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


def _is_text(spec: TensorSpec) -> bool:
    return spec.dtype.kind in "OSU"


def _fits(found: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(found) == len(expected) and all(
        size is None or size == each for each, size in zip(found, expected, strict=True)
    )


def _decode_numbers(value: Any, spec: TensorSpec, where: str) -> NDArray[Any]:
    dtype = spec.dtype
    kind = "f" if dtype.kind == "V" else dtype.kind
    fitting = _FITTING.get(kind, frozenset())
    # NumPy gives each element of a mixed list the room of its longest text: a small request
    # could take all memory (CWE-789). So what is in there is looked at first.
    if not _types_in(value) <= fitting:
        raise ArgumentError(
            "wrong values", where=where, expected=f"{_WORDS.get(kind, 'values')} ({dtype})",
            found=_first_other(value, fitting),
        )  # fmt: skip
    try:
        if dtype == np.uint64:  # no dtype of NumPy holds these and negative numbers
            flat, shape = _flatten(value, where)
            array = np.array(flat, dtype=object).reshape(shape)
        else:
            array = np.asarray(value, dtype=_WIDE[kind])
    except ValueError as error:  # NumPy's word for ragged and for too deep
        raise _ragged(where) from error
    except OverflowError as error:
        raise _too_large(where, dtype) from error
    return _cast(array, dtype, where)


def _cast(array: NDArray[Any], dtype: np.dtype[Any], where: str) -> NDArray[Any]:
    if dtype.kind in "iu" and array.size:
        limits = np.iinfo(dtype)
        if array.min() < limits.min or array.max() > limits.max:
            raise _too_large(where, dtype)
    with np.errstate(over="ignore"):
        cast = array.astype(dtype)
    if dtype.kind in "fV" and _overflowed(array, cast):
        raise _too_large(where, dtype)
    return cast


def _types_in(value: Any) -> set[type]:
    """Return the types of the leaves of nested lists."""
    found: set[type] = set()
    pending = [[value]]
    while pending:
        each = pending.pop()
        types = set(map(type, each))
        if list in types:
            pending.extend(item for item in each if type(item) is list)
        found |= types - {list}
    return found


def _overflowed(array: NDArray[Any], cast: NDArray[Any]) -> bool:
    return bool((np.isinf(cast.astype(np.float64)) & ~np.isinf(array)).any())


def _decode_text(value: Any, where: str) -> NDArray[Any]:
    """Return an array of ``str`` and ``bytes``."""
    flat, shape = _flatten(value, where)
    array = np.empty(len(flat), dtype=object)
    for index, each in enumerate(flat):
        array[index] = _decode_leaf(each, where)
    return array.reshape(shape)


def _flatten(value: Any, where: str) -> tuple[list[Any], list[int]]:
    """Return the leaves of nested lists, and the lengths of the lists."""
    shape = []
    inner = value
    while isinstance(inner, list):
        shape.append(len(inner))
        inner = inner[0] if inner else None
    flat = [value]
    for size in shape:
        if not all(isinstance(each, list) and len(each) == size for each in flat):
            raise _ragged(where)
        flat = [item for each in flat for item in each]
    if any(isinstance(each, list) for each in flat):
        raise _ragged(where)
    return flat, shape


def _decode_leaf(value: Any, where: str) -> str | bytes:
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and set(value) == {_B64} and isinstance(value[_B64], str):
        try:
            return base64.b64decode(value[_B64], validate=True)
        except (binascii.Error, ValueError) as error:
            raise ArgumentError("not base64", where=where, found=shorten(value[_B64])) from error
    raise ArgumentError(
        "wrong values", where=where, expected=f'text, or {{"{_B64}": …}} for bytes',
        found=shorten(value),
    )  # fmt: skip


def _encode_text(value: Any, *, as_bytes: bool) -> Any:
    if isinstance(value, list):
        return [_encode_text(each, as_bytes=as_bytes) for each in value]
    data = value if isinstance(value, bytes) else str(value).encode()
    if not as_bytes:
        try:
            return data.decode()
        except UnicodeDecodeError:
            pass
    return {_B64: base64.b64encode(data).decode()}


def _first_other(value: Any, types: frozenset[type]) -> str:
    """Return the first leaf that is of none of the types, to name it."""
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, list):
            pending.extend(reversed(each))
        elif type(each) not in types:
            return shorten(each)
    return "nothing"


def _ragged(where: str) -> ArgumentError:
    return ArgumentError(
        "not a tensor", where=where, found="lists of different lengths or depths, or values of "
        "different kinds",
    )  # fmt: skip


def _too_large(where: str, dtype: np.dtype[Any]) -> ArgumentError:
    return ArgumentError("a number is too large", where=where, expected=f"what {dtype} can hold")
