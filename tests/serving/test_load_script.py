"""scripts/serving_load, for a few seconds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts/_serving_load.py"


def test_every_version_answers_and_nothing_fails() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--seconds", "4"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^swaps: 2, errors and wrong versions: 0$", done.stdout, re.MULTILINE)
    counts = re.findall(r"^version (\d): (\d+) answers$", done.stdout, re.MULTILINE)
    assert [number for number, _ in counts] == ["1", "2", "3"]
    assert all(int(count) > 0 for _, count in counts)
