"""Trainings that are killed come to the same end: what scripts/training_kills does at length."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts/_training_kills.py"


def test_trainings_that_are_killed_learn_the_same() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--kills", "3"],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
    assert done.stdout.splitlines()[-1].startswith("3 kills in ")
    print(done.stdout.splitlines()[-1])
