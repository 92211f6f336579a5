"""The signatures of a SavedModel: what its graphs take and give, without TensorFlow.

Layout: tensorflow/core/protobuf/saved_model.proto and meta_graph.proto.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from remote_models.errors import FormatError
from remote_models.formats._protos import parse_message

__all__ = ["Signature", "SignatureTensor", "parse_signatures"]

_SERVE = b"serve"
"""The tag of the graph that is run (tensorflow/python/saved_model/tag_constants.py)."""

_INITIALISERS = {"__saved_model_init_op", "__saved_model_train_op"}
"""Signatures that TensorFlow runs for itself (saved_model/constants.py)."""

_DTYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string",
    8: "complex64", 9: "int64", 10: "bool", 11: "qint8", 12: "quint8", 13: "qint32",
    14: "bfloat16", 15: "qint16", 16: "quint16", 17: "uint16", 18: "complex128",
    19: "float16", 20: "resource", 21: "variant", 22: "uint32", 23: "uint64",
    24: "float8_e5m2", 25: "float8_e4m3fn", 29: "int4", 30: "uint4",
}  # fmt: skip
"""Values of ``DataType`` (tensorflow/core/framework/types.proto)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SignatureTensor:
    """What goes into a signature or comes out of it.

    Attributes:
        dtype: TensorFlow's name of the dtype, ``float32`` or ``string``.
        shape: The lengths, ``None`` where any will do; ``None`` if the rank is open.
    """

    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        """The dtype and the shape, as in ``float32[?,8]``."""
        if self.shape is None:
            return f"{self.dtype}[...]"
        lengths = ",".join("?" if each is None else str(each) for each in self.shape)
        return f"{self.dtype}[{lengths}]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """One way to run a SavedModel.

    Attributes:
        inputs: What it takes, by name.
        outputs: What it gives, by name.
    """

    inputs: Mapping[str, SignatureTensor]
    outputs: Mapping[str, SignatureTensor]

    def __str__(self) -> str:
        """Inputs and outputs, as in ``(x: float32[?,8]) -> dense: float32[?,1]``."""
        return f"({_listed(self.inputs)}) -> {_listed(self.outputs) or 'nothing'}"


def parse_signatures(data: bytes, *, where: str) -> dict[str, Signature]:
    """Return the signatures in a ``saved_model.pb`` by their names.

    They are those of the graph that is tagged to be served, or of the first.

    Raises:
        FormatError: it is damaged.
    """
    graphs = list(parse_message("SavedModel", data, where=where).meta_graphs)
    if not graphs:
        raise FormatError(
            "the SavedModel holds no graph", where=where, hint="Save or copy it again"
        )
    served = [graph for graph in graphs if _SERVE in graph.meta_info_def.tags]
    found = {
        _text(entry.key): Signature(
            inputs=_tensors(entry.value.inputs), outputs=_tensors(entry.value.outputs)
        )
        for entry in (served or graphs)[0].signature_def
    }
    return {name: found[name] for name in sorted(found) if name not in _INITIALISERS}


def _tensors(entries: Any) -> dict[str, SignatureTensor]:
    found = {_text(entry.key): _tensor(entry.value) for entry in entries}
    return {name: found[name] for name in sorted(found)}


def _tensor(info: Any) -> SignatureTensor:
    shape = info.tensor_shape
    is_open = shape.unknown_rank or not info.HasField("tensor_shape")
    return SignatureTensor(
        dtype=_DTYPES.get(info.dtype, f"dtype {info.dtype}"),
        shape=None if is_open else tuple(None if d.size < 0 else d.size for d in shape.dim),
    )


def _listed(tensors: Mapping[str, SignatureTensor]) -> str:
    return ", ".join(f"{name}: {tensor}" for name, tensor in tensors.items())


def _text(name: bytes) -> str:
    """Names are a stranger's: they need not be UTF-8."""
    return name.decode("utf-8", "replace")
