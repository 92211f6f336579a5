"""What a server is told by environment variables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from remote_models._fields import shorten
from remote_models.errors import ArgumentError

__all__ = ["RUNTIMES", "ServerSettings"]

RUNTIMES = ("auto", "keras", "litert", "onnx", "tensorflow")

_PREFIX = "REMOTE_MODELS_"


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerSettings:
    """What to serve and how.

    Attributes:
        url: A model's URL, or a repository's.
        alias: The repository's alias to follow.
        runtime: ``"auto"``, ``"litert"``, ``"onnx"``, ``"keras"`` or ``"tensorflow"``.
        manifest_digest: The only artifact to serve.
        public_key: The key by which models must be signed: a path, or a PEM file's content.
        refresh: Seconds after which to look for another version.
    """

    url: str
    alias: str | None = None
    runtime: str = "auto"
    manifest_digest: str | None = None
    public_key: str | None = None
    refresh: float | None = None

    def __post_init__(self) -> None:
        if self.runtime not in RUNTIMES:
            raise ArgumentError(
                "unknown runtime", where="runtime", expected=", ".join(RUNTIMES),
                found=shorten(self.runtime),
            )  # fmt: skip
        if self.refresh is None:
            return
        if not 0 < self.refresh < math.inf:
            raise ArgumentError(
                "not a number of seconds", where="refresh", expected="more than 0",
                found=shorten(self.refresh),
            )  # fmt: skip
        if self.manifest_digest is not None:
            raise ArgumentError(
                "a pinned model never changes", where="refresh", found=shorten(self.refresh),
                hint="Leave manifest_digest or refresh out",
            )  # fmt: skip

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read ``REMOTE_MODELS_URL`` and its like; what is empty counts as not set.

        Raises:
            ArgumentError: there is no URL, or the seconds are no number.
        """
        url = environment.get(f"{_PREFIX}URL")
        if not url:
            raise ArgumentError(
                "no model is named", where=f"{_PREFIX}URL",
                hint="Set this variable, or pass url=",
            )  # fmt: skip
        return cls(
            url=url,
            alias=environment.get(f"{_PREFIX}ALIAS") or None,
            runtime=environment.get(f"{_PREFIX}RUNTIME") or "auto",
            manifest_digest=environment.get(f"{_PREFIX}MANIFEST_DIGEST") or None,
            public_key=environment.get(f"{_PREFIX}PUBLIC_KEY") or None,
            refresh=_seconds(environment.get(f"{_PREFIX}REFRESH")),
        )


def _seconds(text: str | None) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise ArgumentError(
            "not a number of seconds", where=f"{_PREFIX}REFRESH", found=shorten(text)
        ) from error
