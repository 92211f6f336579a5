"""How far a training has come, as a backup's metadata has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from remote_models.callbacks._values import from_json, to_json
from remote_models.errors import ManifestError

__all__ = ["BackupRecord"]

_SCHEMA = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class BackupRecord:
    """How far a training has come.

    Attributes:
        epoch: Epochs that have ended.
        batch: Batches that are done of the next one.
        epochs: Those whose logs are known.
        history: What Keras calls so: the logs of the epochs by their names.
        random_states: Python's and NumPy's generators as the next epoch begins.
    """

    epoch: int
    batch: int
    epochs: Sequence[int]
    history: Mapping[str, Sequence[float]]
    random_states: Mapping[str, Any]

    @classmethod
    def from_json(cls, document: object, *, where: str) -> Self:
        """Read a record; the inverse of :meth:`to_json`.

        Raises:
            ManifestError: it is none, or one of a later version.
        """
        try:
            return cls._read(document)
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise ManifestError(
                "not the record of a training", where=f"{where} (metadata.backup)",
                hint="Something else was saved here: choose another URL, or delete it",
            ) from error  # fmt: skip

    @classmethod
    def _read(cls, document: Any) -> Self:
        if document["schema"] != _SCHEMA:
            raise ValueError(document["schema"])
        history = {
            str(name): [_number(each) for each in values]
            for name, values in document["history"].items()
        }
        return cls(
            epoch=_count(document["epoch"]),
            batch=_count(document["batch"]),
            epochs=[_count(each) for each in document["epochs"]],
            history=history,
            random_states=document["random_states"],
        )

    def to_json(self) -> dict[str, Any]:
        """Return the record as a JSON object."""
        return {
            "schema": _SCHEMA,
            "epoch": self.epoch,
            "batch": self.batch,
            "epochs": list(self.epochs),
            "history": {name: [*map(to_json, values)] for name, values in self.history.items()},
            "random_states": dict(self.random_states),
        }


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(value)
    return value


def _number(value: object) -> float:
    number = from_json(value)
    if number is None:
        raise ValueError(value)
    return number
