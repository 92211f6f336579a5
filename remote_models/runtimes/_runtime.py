"""What every runtime of a model offers, and how it takes its inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

from remote_models.errors import ArgumentError

__all__ = [
    "Array",
    "ClosedAfterUse",
    "Inputs",
    "Runtime",
    "Signature",
    "TensorSpec",
    "check_inputs",
    "in_order",
]

Array = np.ndarray[Any, Any]

Inputs = Array | Sequence[Array] | Mapping[str, Array]
"""One array where the model takes one, or several in the signature's order or by name."""


@dataclass(frozen=True)
class TensorSpec:
    """What goes into a model or comes out of it.

    Attributes:
        name: By which it is given or returned.
        shape: The lengths, ``None`` where any will do.
        dtype: Of its elements; ``object`` for text.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        """Name, dtype and shape, as in ``x: float32[?,8]``."""
        return f"{self.name}: {self.dtype}[{_lengths(self.shape)}]"


@dataclass(frozen=True)
class Signature:
    """How a model is run.

    Attributes:
        inputs: What it takes, sorted by name. A sequence of arrays is taken in this order,
            which is the same in every runtime.
        outputs: What it gives, sorted by name.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def __str__(self) -> str:
        """Inputs and outputs, as in ``(x: float32[?,8]) -> dense: float32[?,1]``."""
        return f"({', '.join(map(str, self.inputs))}) -> {', '.join(map(str, self.outputs))}"


def in_order(specs: Iterable[TensorSpec]) -> tuple[TensorSpec, ...]:
    """Return specs in the order that a :class:`Signature` has them in."""
    return tuple(sorted(specs, key=lambda spec: spec.name))


class Runtime(Protocol):
    """A model that is ready to predict, whatever runs it.

    Used in a ``with`` block, or closed, or left to the garbage collector.
    """

    @property
    def name(self) -> str:
        """What runs it: ``litert``, ``onnx``, ``keras`` or ``tensorflow``."""

    @property
    def signature(self) -> Signature:
        """What it takes and gives."""

    @property
    def manifest_digest(self) -> str | None:
        """``sha256:<hex>`` of the manifest that vouches for it; ``None`` without one."""

    def predict(self, inputs: Inputs) -> dict[str, Array]:
        """Run the model on a batch of any size, and return its outputs by name.

        Several threads may call it at once. The arrays that are returned are the
        caller's own.

        Args:
            inputs: One array where the model takes one, or several in the signature's
                order or by name. Numbers are converted to the signature's dtypes as long
                as they stay of their kind.

        Raises:
            ArgumentError: they do not fit the signature, or it is closed.
        """

    def close(self) -> None:
        """Let go of the model's memory; a prediction that is under way ends first."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class ClosedAfterUse(ABC):
    """What is closed at the end of a ``with`` block."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what it holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def check_inputs(signature: Signature, inputs: Inputs) -> dict[str, Array]:
    """Return what a model is given as arrays by name, of the signature's dtypes.

    Raises:
        ArgumentError: it does not fit the signature.
    """
    given = _by_name(signature, inputs)
    found = {spec.name: _as_taken(given[spec.name], spec) for spec in signature.inputs}
    _check_batch(signature, found)
    return found


def _by_name(signature: Signature, inputs: Inputs) -> Mapping[str, Array]:
    names = [spec.name for spec in signature.inputs]
    if isinstance(inputs, Mapping):
        if set(inputs) != set(names):
            raise _misfit("inputs", _listed(names), _listed(map(str, inputs)))
        return inputs
    arrays: object = [inputs] if isinstance(inputs, np.ndarray) else inputs
    if isinstance(arrays, (str, bytes)) or not isinstance(arrays, Sequence):
        raise _misfit("inputs", "an array, or several in a list or a dict", type(inputs).__name__)
    if len(arrays) != len(names):
        raise _misfit("inputs", f"{len(names)} arrays: {_listed(names)}", len(arrays))
    return dict(zip(names, arrays, strict=True))


def _as_taken(value: object, spec: TensorSpec) -> Array:
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise _misfit(spec.name, str(spec), "lists of different lengths") from error
    fits = len(array.shape) == len(spec.shape) and all(
        wanted in (None, found) for wanted, found in zip(spec.shape, array.shape, strict=False)
    )
    if not fits:
        raise _misfit(spec.name, str(spec), f"{array.dtype}[{_lengths(array.shape)}]")
    if spec.dtype == object:
        return _as_text(array, spec)
    if not np.can_cast(array.dtype, spec.dtype, "same_kind"):
        raise _misfit(spec.name, str(spec), str(array.dtype))
    return np.ascontiguousarray(array, dtype=spec.dtype)


def _as_text(array: Array, spec: TensorSpec) -> Array:
    if array.dtype.kind not in "OSU":
        raise _misfit(spec.name, str(spec), str(array.dtype))
    return array.astype(object)


def _check_batch(signature: Signature, arrays: Mapping[str, Array]) -> None:
    """Hold that all inputs that begin with an open length are batches of one size."""
    sizes = {
        spec.name: arrays[spec.name].shape[0]
        for spec in signature.inputs
        if spec.shape and spec.shape[0] is None
    }
    if len(set(sizes.values())) > 1:
        found = ", ".join(f"{name}: {size}" for name, size in sizes.items())
        raise _misfit("inputs", "batches of one size", found)


def _misfit(where: str, expected: object, found: object) -> ArgumentError:
    return ArgumentError(
        "not what the model takes", where=where, expected=expected, found=found,
        hint="The runtime's signature says what it takes",
    )  # fmt: skip


def _listed(names: Any) -> str:
    return ", ".join(map(repr, names))


def _lengths(shape: tuple[int | None, ...]) -> str:
    return ",".join("?" if each is None else str(each) for each in shape)
