"""Run a script of this folder in a process of its own: TensorFlow takes five seconds to import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["run_child"]


def run_child(
    script: str, folder: Path, environment: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """Return the JSON objects that a script prints, by their member ``case``."""
    here = Path(__file__).parent
    child = subprocess.run(
        [sys.executable, str(here / script), str(folder)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(here.parent), os.environ.get("PYTHONPATH", "")]),
            "KERAS_BACKEND": "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-4000:]
    found = [json.loads(line) for line in child.stdout.splitlines() if line.startswith("{")]
    return {each["case"]: each for each in found}
