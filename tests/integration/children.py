"""Scenarios as tests: find them in the source, run them in children, report each.

TensorFlow takes five seconds to import and leaves its traces in a process, so all
selected scenarios of one module share a child, and two children run at a time.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integration.scenarios.harness import STORES

SCENARIOS = Path(__file__).parent / "scenarios"

TIMEOUT_SECONDS = 900
"""A module takes a minute, on a busy machine five; a hanging child must not hang the session."""

_ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join(
        [str(Path(__file__).parents[1]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    ).rstrip(os.pathsep),
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}


@dataclass(frozen=True, slots=True)
class Case:
    """One scenario on one store."""

    module: str
    scenario: str
    store: str

    def __str__(self) -> str:
        """The test's id."""
        return f"{self.module}.{self.scenario}-{self.store}"


def find_cases(module: str) -> list[Case]:
    """Return every case of a module of scenarios, in the order of its source."""
    tree = ast.parse((SCENARIOS / f"{module}.py").read_text())
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [
        Case(module, function.name, store)
        for function in functions
        for mark in function.decorator_list
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "scenario"
        for store in [ast.literal_eval(each) for each in mark.args] or STORES
    ]


class Children:
    """Runs every module's selected cases once and remembers how each case ended.

    Args:
        cases: All cases of the session.
        bases: For each store the URL of a place where children may write.
        environment: Where children find the servers.
        folder: For jobs and reports.
    """

    def __init__(
        self,
        cases: Iterable[Case],
        bases: Mapping[str, str],
        environment: Mapping[str, str],
        folder: Path,
    ) -> None:
        self._bases = bases
        self._environment = {**os.environ, **_ENVIRONMENT, **environment}
        self._folder = folder
        self._pool = ThreadPoolExecutor(max_workers=2)
        by_module: dict[str, list[Case]] = {}
        for each in cases:
            by_module.setdefault(each.module, []).append(each)
        self._results: dict[str, Future[Mapping[Case, str | None]]] = {
            module: self._pool.submit(self._run, module, wanted)
            for module, wanted in by_module.items()
        }

    def close(self) -> None:
        """Start no further child."""
        self._pool.shutdown(cancel_futures=True)

    def failure(self, case: Case) -> str | None:
        """Return why a case failed, or ``None`` if it passed."""
        return self._results[case.module].result().get(case, "the child did not come to it")

    def _run(self, module: str, cases: Sequence[Case]) -> Mapping[Case, str | None]:
        report = self._folder / f"{module}.jsonl"
        job = self._folder / f"{module}.json"
        job.write_text(
            json.dumps(
                {
                    "module": module,
                    "cases": [[each.scenario, each.store, self._url(each)] for each in cases],
                    "report": str(report),
                    "forbidden": ["tensorflow", "tf_keras"] if module.startswith("keras3") else [],
                }
            )
        )
        (self._folder / module).mkdir()
        log = self._folder / f"{module}.log"
        problem = self._start("integration.scenarios.run", str(job), module=module, log=log)
        results = _read(report, module)
        if problem is None:
            return results
        return {each: results.get(each, problem) for each in cases}

    def _start(self, *arguments: str, module: str, log: Path) -> str | None:
        with open(log, "wb") as output:
            try:
                ended = subprocess.run(
                    [sys.executable, "-m", *arguments],
                    env={**self._environment, "TMPDIR": str(self._folder / module)},
                    cwd=self._folder,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=TIMEOUT_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return f"no end after {TIMEOUT_SECONDS} s\n{_tail(log)}"
        return f"exit status {ended.returncode}\n{_tail(log)}" if ended.returncode else None

    def _url(self, case: Case) -> str:
        return f"{self._bases[case.store]}/{case.module}/{case.scenario}"


def _read(report: Path, module: str) -> dict[Case, str | None]:
    lines: list[dict[str, Any]] = (
        [json.loads(line) for line in report.read_text().splitlines()] if report.exists() else []
    )
    return {Case(module, line["scenario"], line["store"]): line["failure"] for line in lines}


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]
