"""Run the cases of a group, each in a process of its own, one after the other by turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO

from benchmarks._cases import Case, Group
from benchmarks._child import READY
from benchmarks._meter import Reading
from benchmarks._samples import Sample
from benchmarks.server import Counters, RangeServer

__all__ = ["OTHER_PYTHON", "Stage", "run_group"]

_ROOT = Path(__file__).parents[1]

OTHER_PYTHON = Path(__file__).with_name(".venv") / "bin/python"
"""Has Run:ai's streamer, which brings 5 GB of PyTorch; made by ``scripts/benchmark --runai``."""

_TOGETHER = 4
"""Processes that get ready at the same time: importing frameworks takes longest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A server with the artifacts on it.

    Attributes:
        folder: Where the artifacts are on disk.
        environment: Variables with which clients find it.
        bucket: Where the artifacts are.
        target: Where saves go.
        counting: The server, if it is the one that counts.
    """

    folder: Path
    environment: Mapping[str, str]
    bucket: str
    target: str
    counting: RangeServer | None

    def reset(self, latency: float) -> None:
        """Make the server as slow as a group wants it, and let it count from zero."""
        if self.counting is not None:
            self.counting.reset(latency=latency)

    def counters(self) -> Counters | None:
        """Return what the server has counted."""
        return None if self.counting is None else self.counting.counters()


def run_group(group: Group, stage: Stage) -> Iterator[Sample]:
    """Yield a sample for each turn of each case, as it comes.

    Raises:
        RuntimeError: a case fails.
    """
    for turn in range(group.repeats):
        # Nobody is always the first, or always behind the same one.
        shift = turn % len(group.cases)
        cases = [*group.cases[shift:], *group.cases[:shift]]
        cases = [case for case in cases if case.turns is None or turn < case.turns]
        for first in range(0, len(cases), _TOGETHER):
            yield from _run_some(cases[first : first + _TOGETHER], group, stage, turn)


def _run_some(cases: Sequence[Case], group: Group, stage: Stage, turn: int) -> Iterator[Sample]:
    with ExitStack() as stack:
        stage.reset(0)
        children = [stack.enter_context(_child(case, stage)) for case in cases]
        for child in children:
            child.expect(READY)
        for case, child in zip(cases, children, strict=True):
            stage.reset(group.latency)
            measured = json.loads(child.go())
            yield Sample(
                group=group.name,
                case=case.label,
                turn=turn,
                reading=Reading(**{each.name: measured[each.name] for each in fields(Reading)}),
                startup=measured["startup"],
                counters=stage.counters(),
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Child:
    """A process that waits for its turn."""

    case: Case
    process: subprocess.Popen[str]
    log: IO[str]

    def expect(self, line: str) -> None:
        """Wait until it says so."""
        assert self.process.stdout is not None
        if self.process.stdout.readline().strip() != line:
            raise self._failure("does not get ready")

    def go(self) -> str:
        """Give it its turn and return what it measured."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if self.process.wait() or not answer:
            raise self._failure("fails")
        return answer

    def _failure(self, what: str) -> RuntimeError:
        self.log.seek(0)
        name = f"{self.case.label} with {self.case.artifact.name}"
        return RuntimeError(f"{name} {what}:\n{self.log.read()}")


@contextmanager
def _child(case: Case, stage: Stage) -> Iterator[_Child]:
    bucket = stage.target if case.peer.startswith(("save_", "put_")) else stage.bucket
    arguments = [case.peer, case.artifact.name, str(stage.folder), bucket]
    own = {name: value for name, value in os.environ.items() if not _is_a_setting(name)}
    environment = {
        **own,
        **stage.environment,
        "REMOTE_MODELS_CACHE": "off",
        "REMOTE_MODELS_CLIENT": case.client or "auto",
        "TMPDIR": str(_temporary(stage.folder)),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
    }
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            [_python(case), "-m", "benchmarks._child", *arguments],
            cwd=_ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            yield _Child(case=case, process=process, log=log)
        finally:
            process.kill()


def _is_a_setting(name: str) -> bool:
    return name.startswith(("REMOTE_MODELS_", "AWS_", "KERAS_"))


def _python(case: Case) -> str:
    return str(OTHER_PYTHON) if case.peer == "runai" else sys.executable


def _temporary(folder: Path) -> Path:
    """Return a folder for temporary files beside the artifacts: on a disk, not in memory."""
    path = folder.parent / "tmp"
    path.mkdir(exist_ok=True)
    return path
