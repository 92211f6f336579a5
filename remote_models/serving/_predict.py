"""A request to predict, and its answer: TensorFlow Serving's rows and columns.

TensorFlow Serving's documentation, "RESTful API", section "Predict API".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from numpy.typing import NDArray

from remote_models._fields import shorten
from remote_models.errors import ArgumentError
from remote_models.serving._tensors import decode_tensor, encode_tensor

if TYPE_CHECKING:
    from remote_models.runtimes import Signature, TensorSpec

__all__ = ["SIGNATURE_NAME", "PredictRequest", "parse_body"]

SIGNATURE_NAME = "serving_default"
"""The only signature that a runtime has."""

_KEYS = {"instances", "inputs", "signature_name"}


def parse_body(body: bytes) -> Any:
    """Return the document of a request.

    Raises:
        ArgumentError: it is no JSON.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        # Whole numbers of thousands of digits are a ValueError too.
        text = str(error) if isinstance(error, json.JSONDecodeError) else type(error).__name__
        raise ArgumentError("not JSON", where="body", found=text) from error


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictRequest:
    """What is to be predicted.

    Attributes:
        inputs: The arrays, by the names of the signature.
        in_rows: Whether the request has ``instances``, and the answer ``predictions``.
        rows: How many instances there are; 0 for columns.
    """

    inputs: Mapping[str, NDArray[Any]]
    in_rows: bool
    rows: int

    @classmethod
    def parse(cls, document: Any, signature: Signature) -> Self:
        """Check a document against a signature.

        Raises:
            ArgumentError: it is no request, or not one for this model; it says where.
        """
        if not isinstance(document, dict):
            raise ArgumentError(
                "not a request", where="body", expected='{"instances": …} or {"inputs": …}',
                found=shorten(document),
            )  # fmt: skip
        _check_keys(document)
        in_rows = "instances" in document
        key = "instances" if in_rows else "inputs"
        value = document[key]
        columns = _columns_of_rows(value, signature) if in_rows else _columns(value, signature)
        inputs = {
            spec.name: decode_tensor(columns[spec.name], spec, _place(key, spec, signature))
            for spec in signature.inputs
        }
        return cls(inputs=inputs, in_rows=in_rows, rows=len(value) if in_rows else 0)

    def answer(self, outputs: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Return the answer as a JSON object.

        Raises:
            ArgumentError: the outputs cannot be told apart by rows.
        """
        if not self.in_rows:
            columns = {name: encode_tensor(array, name) for name, array in outputs.items()}
            return {"outputs": _only(columns)}
        for name, array in outputs.items():
            if array.ndim == 0 or len(array) != self.rows:
                raise ArgumentError(
                    "this output has no row for each instance", where=name,
                    expected=f"{self.rows} rows", found=str(array.shape),
                    hint='Ask with {"inputs": …}',
                )  # fmt: skip
        columns = {name: encode_tensor(array, name) for name, array in outputs.items()}
        if len(columns) == 1:
            return {"predictions": _only(columns)}
        rows = zip(*columns.values(), strict=True)
        return {"predictions": [dict(zip(columns, row, strict=True)) for row in rows]}


def _check_keys(document: Mapping[str, Any]) -> None:
    unknown = sorted(set(document) - _KEYS)
    if unknown or ("instances" in document) == ("inputs" in document):
        raise ArgumentError(
            "not a request", where="body", found=", ".join(map(shorten, sorted(document))) or "{}",
            expected="instances or inputs, one of the two, and perhaps signature_name",
        )  # fmt: skip
    name = document.get("signature_name", SIGNATURE_NAME)
    if name not in (SIGNATURE_NAME, ""):
        raise ArgumentError(
            "the model has no such signature", where="signature_name", expected=SIGNATURE_NAME,
            found=shorten(name),
        )  # fmt: skip


def _columns_of_rows(value: Any, signature: Signature) -> Mapping[str, Any]:
    """Turn a list of instances into a list for each input."""
    if not isinstance(value, list) or not value:
        raise ArgumentError(
            "not a list of instances", where="instances", expected="at least one instance",
            found=shorten(value),
        )  # fmt: skip
    names = [spec.name for spec in signature.inputs]
    if len(names) == 1 and not _is_row(value[0], names):
        return {names[0]: value}
    for index, row in enumerate(value):
        _check_names(row, names, f"instances[{index}]")
    return {name: [row[name] for row in value] for name in names}


def _columns(value: Any, signature: Signature) -> Mapping[str, Any]:
    names = [spec.name for spec in signature.inputs]
    if len(names) == 1 and not _is_row(value, names):
        return {names[0]: value}
    _check_names(value, names, "inputs")
    columns: Mapping[str, Any] = value
    return columns


def _is_row(value: Any, names: list[str]) -> bool:
    """Whether this names inputs; ``{"b64": …}`` is a value, unless an input is called so."""
    return isinstance(value, dict) and (set(value) != {"b64"} or names == ["b64"])


def _check_names(value: Any, names: list[str], where: str) -> None:
    if not isinstance(value, dict) or set(value) != set(names):
        found = ", ".join(map(shorten, value)) if isinstance(value, dict) else shorten(value)
        raise ArgumentError(
            "not the inputs of this model", where=where, expected=", ".join(names), found=found
        )


def _place(key: str, spec: TensorSpec, signature: Signature) -> str:
    return key if len(signature.inputs) == 1 else f"{key}, {spec.name}"


def _only(columns: Mapping[str, Any]) -> Any:
    """Return the only column without its name, as TensorFlow Serving does, or all of them."""
    return next(iter(columns.values())) if len(columns) == 1 else dict(columns)
