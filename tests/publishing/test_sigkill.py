"""A process that saves to the local disk and is killed, for real, before each system call."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from tempfile import TemporaryDirectory

import pytest

from publishing import syscall_kill
from publishing.artifacts import SCRATCH, observe
from publishing.test_faults import SCENARIOS, check_next_save
from remote_models.storage import Location


@pytest.mark.usefixtures("hasty_readers")
@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("first single", 30), ("first single, exclusive", 30), ("overwrite single", 60),
        ("first directory", 150), ("first directory, exclusive", 150),
        ("overwrite directory", 150), ("overwrite several", 100),
    ],
)  # fmt: skip
def test_killed(name: str, points: int) -> None:
    """At least that many points: what Python and the file system need besides may change."""
    scenario = SCENARIOS[name]
    found: Counter[str] = Counter()
    with TemporaryDirectory(dir=SCRATCH) as folder:
        done = subprocess.run(
            [sys.executable, syscall_kill.__file__, folder, name, "1"],
            check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        for at in range(int(done.stdout)):
            location = Location.parse(f"{folder}/point-{at}").join(scenario.content("new").name)
            outcome = observe(location, scenario.content("old"), scenario.content("new"))
            assert outcome in scenario.readable, f"{outcome} after a kill at {at}"
            found[outcome] += 1
            check_next_save(location, scenario)
    print(f"{name}: killed before {found.total()} system calls, {dict(found)}")
    assert found.total() >= points
    assert len(found) > 1
