"""What an emulator does otherwise than the store for which it stands.

Cases that need it are skipped by name, and counted at the end of a run: a skip that
nobody reads is a hole in the tests that nobody knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NoReturn

import pytest
from _pytest.mark import ParameterSet

__all__ = ["WHOLE_VERSIONS", "blind", "skip_blind_spot", "summary"]

WHOLE_VERSIONS = "ministack answers with the whole of a version, whatever the range"

_MARK = "blind spot: "


def blind(server: str, spot: str) -> ParameterSet:
    """Return a server as a parameter of cases of which it is no judge."""
    return pytest.param(server, marks=pytest.mark.skip(reason=f"{_MARK}{spot}"))


def skip_blind_spot(spot: str) -> NoReturn:
    """Skip a case of which the emulator is no judge."""
    pytest.skip(f"{_MARK}{spot}")


def summary(reasons: Iterable[str]) -> list[str]:
    """Return a line for each blind spot, with how many cases it has cost, after their sum."""
    counts = Counter(reason.partition(_MARK)[2] for reason in reasons if _MARK in reason)
    lines = [f"{count:4} {spot}" for spot, count in sorted(counts.items())]
    return [f"{counts.total():4} cases skipped", *lines] if counts else []
