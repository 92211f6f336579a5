"""What a translation knows besides the configuration, and how it refuses."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from remote_models.errors import GenerationError
from remote_models.frameworks._framework import UnknownClassError

__all__ = ["Context"]

_WAYS_OUT = (
    "Load it with tf_keras (framework='tf_keras'), or run a SavedModel with keras.layers.TFSMLayer"
)

_OF_TRAINING = {"optimizer", "learning rate schedule", "loss", "metric"}
"""Kinds of classes without which a model is still known, if not how to train it."""

_MAX_SHOWN = 120
"""Characters of a value that an error shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """Where in a model a translation is.

    Attributes:
        url: The artifact, for messages.
        custom: The names of classes and functions that the caller knows.
        layer: The layer that is being translated, empty outside of any.
    """

    url: str
    custom: Collection[str]
    layer: str = ""

    def within(self, layer: str) -> Context:
        """Return the context of a layer."""
        return replace(self, layer=layer)

    def refusal(
        self,
        message: str,
        found: object = None,
        hint: str = "",
        *,
        kind: type[GenerationError] = GenerationError,
    ) -> GenerationError:
        """Return the error that says what Keras 3 has nothing for, and what to do."""
        return kind(
            message,
            where=f"{self.url}: layer {self.layer!r}" if self.layer else self.url,
            found=None if found is None else _short(found),
            hint=f"{hint}. {_WAYS_OUT}" if hint else _WAYS_OUT,
        )

    def unknown(self, kind: str, name: object) -> GenerationError:
        """Return the error for a class or function that is neither Keras' nor the caller's."""
        return self.refusal(
            f"Keras 3 has no {kind} of this name",
            name,
            f"If it is your own, pass custom_objects={{{str(name)!r}: …}}",
            kind=GenerationError if kind in _OF_TRAINING else UnknownClassError,
        )

    def argument(self, class_name: str, argument: str, value: Any) -> GenerationError:
        """Return the error for an argument that Keras 3's class has nothing for."""
        return self.refusal(
            f"{class_name} of Keras 3 has no {argument}", f"{argument}={_short(value)}"
        )


def _short(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
