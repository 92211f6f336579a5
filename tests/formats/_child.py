"""Run a script that saves models with one generation of Keras and says what it saved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def run_child(script: str, folder: Path) -> dict[str, Any]:
    """Return what the script wrote into ``expected.json``, by the name of each case."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(FOLDER.parent),
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    done = subprocess.run(
        [sys.executable, str(FOLDER / script), str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    cases: dict[str, Any] = json.loads((folder / "expected.json").read_text())
    return cases
