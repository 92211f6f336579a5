"""A process that saves to the local disk and is killed, for real, at each of its steps."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from tempfile import TemporaryDirectory

import pytest

from publishing import sigkill
from publishing.artifacts import SCRATCH, observe
from publishing.test_faults import SCENARIOS, check_next_save
from remote_models.storage import Location


@pytest.mark.usefixtures("hasty_readers")
@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("first single", 6), ("first directory", 25), ("first directory, exclusive", 25),
        ("overwrite single", 9), ("overwrite directory", 24), ("overwrite several", 16),
    ],
)  # fmt: skip
def test_killed(name: str, points: int) -> None:
    """At least that many points: what a file system needs besides may change."""
    scenario = SCENARIOS[name]
    found: Counter[str] = Counter()
    with TemporaryDirectory(dir=SCRATCH) as folder:
        done = subprocess.run(
            [sys.executable, sigkill.__file__, folder, name],
            check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        for at in range(int(done.stdout)):
            location = Location.parse(f"{folder}/point-{at}").join(scenario.content("new").name)
            outcome = observe(location, scenario.content("old"), scenario.content("new"))
            assert outcome in scenario.readable, f"{outcome} after a kill at {at}"
            found[outcome] += 1
            check_next_save(location, scenario)
    print(f"{name}: killed at {found.total()} points, {dict(found)}")
    assert found.total() >= points
    assert len(found) > 1
