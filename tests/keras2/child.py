"""Run one of the scripts beside this module in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["run"]


def run(
    script: str,
    *arguments: str | Path,
    python: str = sys.executable,
    environment: Mapping[str, str] | None = None,
    first: Path | None = None,
) -> list[dict[str, Any]]:
    """Return the JSON objects that a script prints.

    Args:
        script: Its name.
        arguments: What follows it.
        python: What runs it.
        environment: Variables of its own.
        first: A folder whose modules go before all others.

    Raises:
        AssertionError: it failed; with the end of what it had to say.
    """
    here = Path(__file__).parent
    folders = [*([first] if first else []), here.parents[1], here.parent]
    child = subprocess.run(
        [python, str(here / script), *map(str, arguments)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, folders)),
            "KERAS_BACKEND": "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-4000:]
    return [json.loads(line) for line in child.stdout.splitlines() if line.startswith("{")]
