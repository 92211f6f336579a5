"""One test for every scenario on every store that it names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from integration.children import SCENARIOS, Case, Children, find_cases

MODULES = (
    "tf_keras_training",  # the longest first: two run at a time
    "keras3",
    "tf_keras_guide",
    "cross_keras3",
    "cross_tf_keras",
)
CASES = [case for module in MODULES for case in find_cases(module)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_scenario(case: Case, children: Children) -> None:
    failure = children.failure(case)
    assert failure is None, failure


def test_every_module_of_scenarios_is_run() -> None:
    assert {path.stem for path in SCENARIOS.glob("*.py") if find_cases(path.stem)} == set(MODULES)


def test_a_failing_scenario_fails_its_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain from a child's assertion to this session has no gap."""
    folder = tmp_path / "integration" / "scenarios"
    folder.mkdir(parents=True)
    monkeypatch.setattr("integration.children.SCENARIOS", folder)
    monkeypatch.setenv("PYTHONPATH", "")
    (folder / "probe.py").write_text(
        "from integration.scenarios.harness import scenario\n"
        "@scenario('local')\ndef good(base): open(base + '/file', 'w').close()\n"
        "@scenario('local')\ndef bad(base): assert base == 'nowhere'\n"
        "@scenario('local')\ndef fatal(base): import os; os._exit(3)\n"
        "@scenario('local')\ndef late(base): pass\n"
    )
    cases = find_cases("probe")
    assert [case.scenario for case in cases] == ["good", "bad", "fatal", "late"]
    # The child looks for its module where all scenarios are.
    extend = f"import integration.scenarios as s; s.__path__.append({str(folder)!r})"
    (tmp_path / "sitecustomize.py").write_text(extend)
    environment = {"PYTHONPATH": os.pathsep.join([str(SCENARIOS.parents[1]), str(tmp_path)])}
    runs = Children(cases, {"local": str(tmp_path)}, environment, tmp_path)
    try:
        failures = [runs.failure(case) for case in cases]
    finally:
        runs.close()
    assert failures[0] is None
    assert "nowhere" in str(failures[1])
    assert "exit status 3" in str(failures[2])
    assert "exit status 3" in str(failures[3])
