"""What a model that is saved gives: its file, and what is known of the variables in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remote_models.formats.streaming import StreamedFile

__all__ = ["ModelDescription", "StreamedSave"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelDescription:
    """What a live model tells of the variables that its weights file only numbers.

    Attributes:
        name: The model's own name.
        variables: The framework's name of each variable by its key in the file, as far
            as the framework tells.
        architecture: The configuration, ``None`` for a model that has none.
    """

    name: str
    variables: Mapping[str, str]
    architecture: Mapping[str, Any] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamedSave:
    """A saved model that is one file, made while it is sent.

    Attributes:
        file: The file. Its tensors are asked for when their turn comes.
        description: What is known of the variables in it.
    """

    file: StreamedFile
    description: ModelDescription
