"""What two models differ in: values, no NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from remote_models.tensors import Role

__all__ = ["Change", "ModelDiff", "TensorDiff", "TensorForm"]


class Change(StrEnum):
    """What became of a tensor."""

    SAME = "same"
    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorForm:
    """What a tensor is, whatever its values.

    Attributes:
        role: What it is for.
        dtype: Its logical dtype, as in ``bfloat16``.
        shape: Its shape.
    """

    role: Role
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorDiff:
    """One tensor in two models.

    Attributes:
        name: Its name, as in ``conv1/kernel``.
        change: ``"same"`` (bit for bit), ``"changed"``, ``"added"`` or ``"removed"``.
        before: What it is in the first model; ``None`` if it is not there.
        after: What it is in the second model; ``None`` if it is not there.
        different: How many elements have another value; ``None``, like all that follow,
            where the shapes differ, and for strings and packed integers.
        not_finite: How many of these are infinite or NaN in one model. They are left out
            of the distances.
        max_abs: The largest difference of two elements.
        l2: The Euclidean norm of the difference.
        relative_l2: The same divided by the norm that the first model has in the blocks
            that differ, which is at most that of the whole tensor; ``None`` if it is zero.
    """

    name: str
    change: Change
    before: TensorForm | None
    after: TensorForm | None
    different: int | None = None
    not_finite: int | None = None
    max_abs: float | None = None
    l2: float | None = None
    relative_l2: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelDiff:
    """What two models differ in.

    Attributes:
        first: The URL of the first.
        second: The URL of the second.
        tensors: Each tensor of either, in the order of the first.
        bytes_read: The bytes of tensors that were read to find out.
    """

    first: str
    second: str
    tensors: Sequence[TensorDiff]
    bytes_read: int

    @property
    def same(self) -> bool:
        """Whether both have the same tensors, bit for bit."""
        return all(each.change is Change.SAME for each in self.tensors)

    def those(self, change: Change) -> list[TensorDiff]:
        """Return the tensors of which a change is told."""
        return [each for each in self.tensors if each.change is change]
