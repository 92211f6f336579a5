"""Savers and readers over a store that fails: no history breaks a promise."""

from __future__ import annotations

import os

import pytest

from simulation.planted import MISTAKES
from simulation.run import run_in_parallel, run_seeds

SEEDS = 20_000

MOST_SEEDS = 4_000
"""Histories after which a mistake should have shown itself."""


def test_no_history_breaks_a_promise() -> None:
    tally = run_in_parallel(0, SEEDS, os.cpu_count() or 1)
    print(tally)
    assert tally.violation is None, tally.violation
    assert tally.histories == SEEDS
    assert min(tally.saves[each] for each in ("done", "refused", "overtaken", "dead")) > 0
    assert min(tally.loads[each] for each in ("whole", "nothing", "damaged")) > 0
    assert tally.swept > 0


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_found(mistake: str) -> None:
    tally = run_seeds(0, MOST_SEEDS, mistake)
    print(f"{mistake}: found in history {tally.histories}")
    assert tally.violation is not None


def test_a_seed_gives_one_history() -> None:
    assert run_seeds(40, 20) == run_seeds(40, 20)
