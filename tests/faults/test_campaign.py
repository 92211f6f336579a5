"""Saves and loads while one request in five goes wrong; scripts/faults does many more."""

from __future__ import annotations

from faults.campaign import OF_ANSWERS, OF_REQUESTS, Campaign
from faults.servers import Disturbed

MODELS = 16


def test_saves_and_loads_under_faults(store: Disturbed, client: str) -> None:
    tally = Campaign(store, rate=2.5, latency=0.001).run(MODELS)
    print(f"{client}: {tally}")
    assert tally.failures == []
    assert tally.counts["saves"] == tally.counts["loads"] == MODELS
    assert tally.counts.total() == 3 * MODELS
    assert tally.faults.total() >= MODELS
    assert len(tally.faults) >= len(OF_REQUESTS + OF_ANSWERS) - 2
