"""TensorFlow takes memory over where it may, and copies where it must."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

CHILD = Path(__file__).with_name("lent_array_child.py")


def test_lent_arrays() -> None:
    child = subprocess.run(
        [sys.executable, str(CHILD)],
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-4000:]
    found = json.loads(child.stdout)
    assert len(found) == 21
    assert all(found.values()), [name for name, holds in found.items() if not holds]
