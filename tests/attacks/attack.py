"""What an attack is: an artifact that somebody made to harm whoever loads it.

Each family of attacks is a module of builders. A builder writes its artifact into an
empty folder when the tests run: nothing hostile lies in the repository.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BOTH", "KERAS_OWN", "Attack", "Canaries", "Registry"]

BOTH = ("keras", "tf_keras")

KERAS_OWN = "Exception"
"""The error of an attack that Keras itself does not fall for; what it does is watched."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Canaries:
    """Files outside of every artifact.

    Attributes:
        secret: Exists, and must not be read.
        written: Does not exist, and must not come into being.
    """

    secret: Path
    written: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """A hostile artifact on disk.

    Attributes:
        url: What the victim is given.
        verb: What the victim calls: ``load_model``, ``load_architecture``,
            ``load_weights``, ``load_runtime``, ``lazy`` (a lazy load) or ``adopt_model``.
        adopt: Whether it has a manifest, written by its maker.
    """

    url: Path
    verb: str = "load_model"
    adopt: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Attack:
    """One attack.

    Attributes:
        name: What it tries.
        frameworks: Those that are to load it.
        error: The name of the error that refuses it.
        match: A regular expression for its message.
        build: Writes the artifact.
    """

    name: str
    frameworks: Sequence[str]
    error: str
    match: str
    build: Callable[[Path, Canaries, str], Built]


class Registry:
    """The attacks of one family."""

    def __init__(self, family: str) -> None:
        self.family = family
        self.attacks: list[Attack] = []

    def attack(
        self,
        match: str,
        *,
        error: str = "UnsafeFormatError",
        frameworks: Sequence[str] = BOTH,
        name: str | None = None,
    ) -> Callable[[Callable[[Path, Canaries, str], Built]], Callable[[Path, Canaries, str], Built]]:
        """Register a builder, which takes a folder, the canaries and the framework's name."""

        def register(
            build: Callable[[Path, Canaries, str], Built],
        ) -> Callable[[Path, Canaries, str], Built]:
            self.attacks.append(
                Attack(
                    name=f"{self.family}: {name or build.__name__.replace('_', ' ')}",
                    frameworks=tuple(frameworks),
                    error=error,
                    match=match,
                    build=build,
                )
            )
            return build

        return register
