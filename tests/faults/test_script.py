"""scripts/faults, shortly."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts/_faults.py"


def test_the_script_counts_what_it_has_done() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--models", "6", "--keras", "0", "--client", "obstore"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"obstore, \d+ s: 6 loads, .*6 saves; 0 wrong", done.stdout)
