"""Tensors as JSON: what TensorFlow Serving takes and gives, and nothing that is no tensor."""

from __future__ import annotations

import json
import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from remote_models.errors import ArgumentError
from remote_models.runtimes import Signature, TensorSpec
from remote_models.serving._predict import PredictRequest, parse_body
from remote_models.serving._tensors import decode_tensor, encode_tensor

ROWS = (None, 2)


def spec(dtype: Any, *shape: int | None, name: str = "x") -> TensorSpec:
    return TensorSpec(name, shape, np.dtype(dtype))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i4", "i8", "u1", "u8", "?"])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_what_is_written_is_read_back(dtype: str, data: st.DataObject) -> None:
    array = data.draw(arrays.arrays(dtype, arrays.array_shapes(min_dims=1, max_dims=3)))
    text = json.dumps(encode_tensor(array, "y"))
    back = decode_tensor(json.loads(text), spec(dtype, *array.shape), "x")
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_floats_are_written_with_the_shortest_digits() -> None:
    array = np.array([0.1, math.nan, math.inf, -math.inf], np.float32)
    assert json.dumps(encode_tensor(array, "y")) == "[0.1, NaN, Infinity, -Infinity]"
    assert encode_tensor(array[:1].astype(ml_dtypes.bfloat16), "y") == [0.100097656]  # as float32


@pytest.mark.parametrize(
    ("name", "value", "written"),
    [
        ("y", b"text", "text"),
        ("y", "text", "text"),
        ("y", b"\xff", {"b64": "/w=="}),
        ("y_bytes", b"text", {"b64": "dGV4dA=="}),
    ],
)
def test_text_and_bytes(name: str, value: Any, written: Any) -> None:
    assert encode_tensor(np.array([value], object), name) == [written]


def test_text_is_read() -> None:
    found = decode_tensor([["a", {"b64": "/w=="}]], spec(object, None, 2), "x")
    assert found.tolist() == [["a", b"\xff"]]


@pytest.mark.parametrize(
    ("dtype", "value", "told"),
    [
        ("f4", [[1, 2], [3]], "lists of different lengths"),
        ("f4", [[1, 2], 3], "lists of different lengths"),
        ("f4", [[1, 2, 3]], "expected [?, 2], found [1, 3]"),
        ("f4", [1, 2], "expected [?, 2], found [2]"),
        ("f4", [[1, "2"]], "expected numbers (float32), found '2'"),
        ("f4", [[1, None]], "found None"),
        ("f4", [[1, True]], "found True"),
        ("f4", [[1, {"b64": ""}]], "found {'b64': ''}"),
        ("f4", [[1, 1e39]], "too large"),
        ("f4", [[1, 10**400]], "too large"),
        ("f8", [[1, 10**400]], "too large"),
        ("i4", [[1, 2.0]], "expected whole numbers (int32), found 2.0"),
        ("i4", [[1, 2**31]], "too large"),
        ("u1", [[1, -1]], "too large"),
        ("i8", [[1, 2**64]], "too large"),
        ("u8", [[1, 2**64]], "too large"),
        ("u8", [[1, -1]], "too large"),
        ("u8", [[1, 2], [3]], "lists of different lengths"),
        ("?", [[True, 1]], "expected true and false (bool), found 1"),
        (object, [["a", 1]], "expected text"),
        (object, [["a", {"b64": "?"}]], "not base64"),
        (object, [["a", ["b"]]], "lists of different lengths"),
        (object, [["a", "b"], ["c"]], "lists of different lengths"),
    ],
)
def test_what_fits_not_is_named(dtype: object, value: Any, told: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        decode_tensor(value, spec(dtype, *ROWS), "instances")
    assert told in str(caught.value)
    assert caught.value.where == "instances"


def test_a_long_text_among_numbers_takes_no_memory() -> None:
    # As an array of text each of a million elements would have a million characters: 4 TB.
    with pytest.raises(ArgumentError, match="wrong values"):
        decode_tensor(["x" * 10**6, *[1] * 10**6], spec("f4", None), "x")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000, b"1" * 5000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(ArgumentError, match="not JSON"):
        parse_body(body)


TWO = Signature(
    inputs=(spec("f4", None, name="a"), spec("i4", None, 2, name="b")),
    outputs=(spec("f4", None, name="c"), spec("f4", None, name="d")),
)
ONE = Signature(inputs=(spec("f4", None, 2),), outputs=(spec("f4", None, 2, name="y"),))
TEXT = Signature(inputs=(spec(object, None),), outputs=(spec("f4", None, name="y"),))


def test_rows_of_several_inputs() -> None:
    rows = [{"a": 1.5, "b": [1, 2]}, {"a": 2, "b": [3, 4]}]
    request = PredictRequest.parse({"instances": rows}, TWO)
    assert {name: each.tolist() for name, each in request.inputs.items()} == {
        "a": [1.5, 2.0],
        "b": [[1, 2], [3, 4]],
    }
    outputs = {"c": np.array([1.0, 2.0]), "d": np.array([3.0, 4.0])}
    assert request.answer(outputs) == {"predictions": [{"c": 1, "d": 3}, {"c": 2, "d": 4}]}


def test_columns_of_several_inputs() -> None:
    request = PredictRequest.parse({"inputs": {"a": [1], "b": [[1, 2]]}}, TWO)
    outputs = {"c": np.array([1.0]), "d": np.array(2.0)}
    assert request.answer(outputs) == {"outputs": {"c": [1.0], "d": 2.0}}


@pytest.mark.parametrize("document", [
    {"instances": [[1, 2]]}, {"instances": [{"x": [1, 2]}]},
    {"inputs": [[1, 2]]}, {"inputs": {"x": [[1, 2]]}, "signature_name": "serving_default"},
])  # fmt: skip
def test_a_single_input_may_be_named(document: Any) -> None:
    request = PredictRequest.parse(document, ONE)
    assert request.inputs["x"].tolist() == [[1.0, 2.0]]
    key = "predictions" if "instances" in document else "outputs"
    assert request.answer({"y": np.array([[1.0]])}) == {key: [[1.0]]}


def test_bytes_are_a_value_and_no_row() -> None:
    request = PredictRequest.parse({"instances": [{"b64": "/w=="}]}, TEXT)
    assert request.inputs["x"].tolist() == [b"\xff"]


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], "body: not a request"),
        ({}, "one of the two"),
        ({"instances": [1], "inputs": [1]}, "one of the two"),
        ({"instances": [[1, 2]], "examples": 1}, "one of the two"),
        ({"instances": []}, "at least one instance"),
        ({"instances": {"x": 1}}, "at least one instance"),
        ({"instances": [[1, 2]], "signature_name": "other"}, "expected serving_default"),
        ({"instances": [{"a": 1, "b": [1, 2]}, {"a": 1}]}, "instances[1]"),
        ({"instances": [1]}, "instances[0]: not the inputs of this model"),
        ({"inputs": {"a": [1], "c": [1]}}, "expected a, b"),
        ({"inputs": {"a": [1], "b": [[1]]}}, "inputs, b: wrong shape"),
    ],
)
def test_a_request_that_is_none_is_named(document: Any, told: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        PredictRequest.parse(document, TWO)
    assert told in str(caught.value)


def test_outputs_without_rows_are_refused_in_rows() -> None:
    request = PredictRequest.parse({"instances": [[1, 2]]}, ONE)
    with pytest.raises(ArgumentError, match="no row for each instance"):
        request.answer({"y": np.zeros((3, 2))})
