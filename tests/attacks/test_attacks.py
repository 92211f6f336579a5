"""Hostile artifacts are refused, before they do anything; benign ones are not.

Importing a framework takes seconds, so all attacks on one share a process, which does
nothing else; so do its benign models. Nothing hostile lies in the repository: the
builders beside this module make it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from attacks.archives import ARCHIVES
from attacks.attack import KERAS_OWN, Attack
from attacks.checkpoints_and_manifests import FILES
from attacks.configurations import CONFIGURATIONS
from attacks.exports import EXPORTS
from attacks.hdf5_files import HDF5_FILES

FRAMEWORKS = ("keras", "tf_keras")

REGISTRIES = (CONFIGURATIONS, ARCHIVES, HDF5_FILES, FILES, EXPORTS)
"""Those whose builders need no TensorFlow. The child reports the expectations of the rest."""

MAX_MEMORY = 256 * 1024 * 1024

MAX_CPU_SECONDS = 2.0

MIB = 1024 * 1024

Reports = Mapping[str, list[dict[str, Any]]]


def _run(script: str, framework: str, folder: Path) -> list[dict[str, Any]]:
    here = Path(__file__).parent
    folder.mkdir(parents=True)
    child = subprocess.run(
        [sys.executable, str(here / script), framework, str(folder)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(here.parents[1]), str(here.parent)]),
            "REMOTE_MODELS_CACHE": "off",
            "KERAS_BACKEND": "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
            "TMPDIR": str(folder),
        },
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-4000:]
    return [json.loads(line) for line in child.stdout.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reports]:
    """What the four children have to say: two at a time."""
    folder = tmp_path_factory.mktemp("attacks")
    scripts = {"attacks": "child.py", "benign": "benign_child.py"}
    with ThreadPoolExecutor(2) as pool:
        waiting = {
            f"{kind} {framework}": pool.submit(_run, script, framework, folder / kind / framework)
            for kind, script in scripts.items()
            for framework in FRAMEWORKS
        }
        yield {name: each.result() for name, each in waiting.items()}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_attack_is_refused_and_does_nothing(reports: Reports, framework: str) -> None:
    found = reports[f"attacks {framework}"]
    assert [problem for each in found for problem in _problems(each)] == []
    _print_counts(framework, found)


def _problems(report: dict[str, Any]) -> Iterator[str]:
    name = report["attack"]
    ours = report["expected"] == KERAS_OWN or "RemoteModelsError" in report["error"]
    if report["expected"] not in report["error"] or not ours:
        yield f"{name}: {report['error'][0]}: {report['message'][:300]}"
    elif not re.search(report["match"], report["message"]):
        yield f"{name}: says {report['message'][:300]}"
    if report["seen"]:
        yield f"{name}: {report['seen'][:3]}"
    if report["written"] or report["outside"] != ["secret"]:
        yield f"{name}: has written {report['outside']}"
    size = max(report["size"] / MIB, 1)
    if report["memory"] > MAX_MEMORY * size or report["cpu"] > MAX_CPU_SECONDS * size:
        yield f"{name}: {report['memory'] / MIB:.0f} MiB, {report['cpu']:.1f} s"


def _print_counts(framework: str, found: list[dict[str, Any]]) -> None:
    print(
        f"\n{framework}: {len(found)} hostile artifacts refused, at most "
        f"{max(each['memory'] for each in found) / MIB:.0f} MiB and "
        f"{max(each['cpu'] for each in found):.2f} s of CPU for one"
    )


def test_there_are_many_attacks(reports: Reports) -> None:
    names = {each["attack"] for framework in FRAMEWORKS for each in reports[f"attacks {framework}"]}
    assert len(names) >= 60
    assert {each.name for registry in REGISTRIES for each in registry.attacks} <= names


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_no_benign_model_is_refused(reports: Reports, framework: str) -> None:
    found = reports[f"benign {framework}"]
    refused = [each for each in found if each["error"] is not None]
    assert refused == []
    models = {each["benign"].partition(".")[0].removesuffix(" with manifest") for each in found}
    assert len(models) >= 30
    print(f"\n{framework}: {len(models)} benign models, {len(found)} loads, none refused")


def test_each_attack_has_a_name_of_its_own() -> None:
    attacks: list[Attack] = [each for registry in REGISTRIES for each in registry.attacks]
    assert len({each.name for each in attacks}) == len(attacks)
