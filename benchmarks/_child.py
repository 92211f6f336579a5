"""One process, one case: get ready, wait for the word, do it, tell what it cost.

Arguments: the peer, the artifact's name, the folder on disk, the bucket.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from benchmarks._meter import measure
from benchmarks._models import Artifact
from benchmarks._peers import PEERS
from benchmarks._task import Task

__all__ = ["READY", "main"]

READY = "ready"


def main() -> None:
    """Run the case that the command line names."""
    peer, name, folder, bucket = sys.argv[1:]
    begun = time.perf_counter()
    task = Task(artifact=Artifact.from_name(name), folder=Path(folder), bucket=bucket)
    PEERS[peer](task.tiny())()
    startup = time.perf_counter() - begun
    work = PEERS[peer](task)
    print(READY, flush=True)
    sys.stdin.readline()
    reading, made = measure(work)
    check(task, made)
    print(json.dumps({**asdict(reading), "startup": startup}), flush=True)
    os._exit(0)  # taking a model of a gigabyte and TensorFlow apart takes a second


def check(task: Task, made: object) -> None:
    """Make sure that what is told to be loaded is there.

    Raises:
        AssertionError: it is not.
    """
    if isinstance(made, Mapping):
        assert sum(array.nbytes for array in made.values()) == task.artifact.stack.nbytes
    elif isinstance(made, list):
        assert sum(len(chunk) for chunk in made) == task.size
    elif hasattr(made, "get_layer"):
        import numpy as np

        import remote_models as rm

        name = task.artifact.stack.last_kernel
        stored = np.asarray(rm.open_model(task.path).weights[name])
        layer, _, _ = name.partition("/")
        assert np.array_equal(np.asarray(made.get_layer(layer).kernel), stored)


if __name__ == "__main__":
    main()
