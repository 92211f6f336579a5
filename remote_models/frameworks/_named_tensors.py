"""Stored tensors by their names, on their way from a store; needs no framework."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from remote_models.tensors import Role

if TYPE_CHECKING:
    from remote_models.remote_model import Weights

__all__ = ["NamedTensor", "NamedTensors", "named_tensors"]

_OF_CHECKPOINT = "/.ATTRIBUTES/"
"""What the keys of a checkpoint have in them, which lists its tensors in alphabetical order."""

_NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedTensor:
    """What a stored tensor is.

    Attributes:
        name: Its name by docs/names.md.
        key: Its name inside the file, for which its name stands where two have the same.
        shape: Its shape.
        role: What it is for.
    """

    name: str
    key: str
    shape: tuple[int, ...]
    role: Role


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedTensors:
    """Stored tensors, in the order of the model as far as the format knows it.

    Attributes:
        tensors: What they are.
        read: Begins to read those with the given names; yields name and array as they
            arrive.
        where: The artifact, for messages.
    """

    tensors: Sequence[NamedTensor]
    read: Callable[[Collection[str]], Iterator[tuple[str, Any]]]
    where: str

    def of_role(self, role: Role) -> list[NamedTensor]:
        """Return the tensors that are for this."""
        return [each for each in self.tensors if each.role is role]


def named_tensors(
    weights: Weights,
    read: Callable[[Collection[str]], Iterator[tuple[str, Any]]],
    *,
    where: str,
) -> NamedTensors:
    """Return the tensors of an opened artifact, in the order of the model where it is known."""
    tensors = [
        NamedTensor(name=each.name, key=each.key, shape=each.shape, role=each.role)
        for each in weights.values()
    ]
    if any(_OF_CHECKPOINT in each.key for each in tensors):
        tensors.sort(key=lambda each: _natural(each.key))
    return NamedTensors(tensors=tensors, read=read, where=where)


def _natural(key: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdecimal() else -1, part) for part in _NUMBER.split(key)]
