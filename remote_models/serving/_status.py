"""What a server tells about itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from remote_models.runtimes import Runtime

__all__ = ["PredictionTimes", "ServedModel", "ServerStatus"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedModel:
    """A model that answers.

    Attributes:
        url: Where its artifact lies.
        version: Its number in the repository; ``None`` for an artifact by itself.
        manifest_digest: The digest of its manifest; ``None`` without a manifest.
        runtime: What runs it.
        loaded_at: When it was loaded, UTC.
        load_seconds: How long that took, from the first request on.
    """

    url: str
    version: int | None
    manifest_digest: str | None
    runtime: Runtime
    loaded_at: datetime
    load_seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictionTimes:
    """How long predictions took.

    Attributes:
        count: How many there were.
        seconds: All together.
        longest: The longest of them, in seconds.
        last: The last of them, in seconds.
    """

    count: int = 0
    seconds: float = 0.0
    longest: float = 0.0
    last: float = 0.0

    def plus(self, seconds: float) -> PredictionTimes:
        """Return these and one more."""
        return PredictionTimes(
            count=self.count + 1,
            seconds=self.seconds + seconds,
            longest=max(self.longest, seconds),
            last=seconds,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerStatus:
    """What a server does at the moment.

    Attributes:
        model: The model that answers.
        swaps: How often another one took over.
        checked_at: When it was last found out what to serve, UTC.
        failure: Why the last refresh failed, in one line; ``None`` if it did not.
        predictions: How long predictions took, of all models together.
    """

    model: ServedModel
    swaps: int
    checked_at: datetime
    failure: str | None
    predictions: PredictionTimes

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object; times in seconds."""
        model = self.model
        return {
            "url": model.url,
            "version": model.version,
            "manifest_digest": model.manifest_digest,
            "runtime": model.runtime.name,
            "loaded_at": _text(model.loaded_at),
            "load_seconds": round(model.load_seconds, 6),
            "swaps": self.swaps,
            "checked_at": _text(self.checked_at),
            "failure": self.failure,
            "predictions": {
                "count": self.predictions.count,
                "seconds": round(self.predictions.seconds, 6),
                "longest": round(self.predictions.longest, 6),
                "last": round(self.predictions.last, 6),
            },
        }


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
