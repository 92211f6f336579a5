"""Have every peer of the benchmark move the tiny model, and print who has done it.

In a process of its own, since it imports Keras. Argument: a folder for the models.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks._child import check
from benchmarks._models import TINY, Artifact, make_artifacts
from benchmarks._peers import PEERS
from benchmarks._task import Task
from benchmarks.server import range_server


def main() -> None:
    """Try each peer with each format that it takes."""
    models, saved = Path(sys.argv[1]) / "models", Path(sys.argv[1]) / "saved"
    saved.mkdir(parents=True)
    artifacts = [Artifact(stack=TINY, format=each) for each in ("keras", "weights.h5", "h5")]
    make_artifacts(artifacts, models)
    with range_server({"models": models, "saved": saved}) as server:
        os.environ.update(server.environment)
        for artifact in artifacts:
            for name in PEERS.keys() - {"runai"}:
                bucket = "saved" if name.startswith(("save_", "put_")) else "models"
                task = Task(artifact=artifact, folder=models, bucket=bucket)
                check(task, PEERS[name](task)())
                print(name, artifact.format)


main()
