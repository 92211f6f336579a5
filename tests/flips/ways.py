"""The ways in which an artifact is read, each by the code that the public verbs run through.

No framework is imported: what a load of ``keras`` or ``tf_keras`` reads comes from
``WholeReading`` if it goes straight into variables, and from ``RemoteModel.download`` if
it has to be a file first.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from weights.artifacts import same

import remote_models as rm
from remote_models.errors import IntegrityError
from remote_models.remote_model import RemoteModel, WholeReading


class Outcome(StrEnum):
    """What came of reading something damaged."""

    NOTICED = "noticed"
    HARMLESS = "harmless"
    MISSED = "MISSED"
    WRONG = "WRONG"


Tensors = Mapping[str, Any]
"""What an undamaged artifact holds, by name."""


def load(url: str, _expected: Tensors) -> Outcome:
    """Read all that a load reads that streams; whatever is damaged has to be noticed."""
    remote = rm.open_model(url)
    if remote.manifest is None:
        return Outcome.NOTICED  # a load warns of it, and refuses it where a digest is pinned
    with WholeReading(remote) as reading:
        _ = reading.architecture
        for _name, _array in reading.weights.stream():
            pass
    return Outcome.MISSED


def copy(url: str, _expected: Tensors) -> Outcome:
    """Copy all files, as loads do that need files, and pull; everything has to be noticed."""
    remote = rm.open_model(url)
    if remote.manifest is None:
        return Outcome.NOTICED
    folder = Path(tempfile.mkdtemp())
    try:
        remote.download(folder)
    finally:
        shutil.rmtree(folder)
    return Outcome.MISSED


def read_lazily(url: str, expected: Tensors) -> Outcome:
    """Read each tensor; a wrong one is an error, a right one is none, whatever lies beside it."""
    remote = rm.open_model(url)
    if remote.manifest is None:
        return Outcome.NOTICED
    return Outcome.HARMLESS if is_right(remote, expected) else Outcome.WRONG


def is_right(remote: RemoteModel, expected: Tensors) -> bool:
    found = remote.weights.fetch()
    return found.keys() == expected.keys() and all(
        same(array, expected[name]) for name, array in found.items()
    )


def verify(url: str, _expected: Tensors) -> Outcome:
    """Verify: everything has to be noticed."""
    return Outcome.MISSED if rm.verify_model(url).ok else Outcome.NOTICED


WAYS: Mapping[str, Callable[[str, Tensors], Outcome]] = {
    "load": load,
    "copy": copy,
    "lazy read": read_lazily,
    "verify": verify,
}


def outcome(way: str, url: str, expected: Tensors) -> Outcome:
    """Read in one way and say what came of it; other errors than ours come through."""
    try:
        return WAYS[way](url, expected)
    except IntegrityError:
        return Outcome.NOTICED
