"""The script that runs Keras' own tests of saving through remote_models."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"

FEW = """
    test_metadata or test_save_load_weights_only or test_load_model_rejects
    or test_save_to_fileobj or test_h5_io_store_basics or test_model_api_errors
    or (LegacyH5WeightsTest and sequential)
"""

SABOTAGED = """
import sys
import _keras_saving_tests as script
from _keras_swap import Swap

table = script._NOT_APPLICABLE
listed = table["saving_lib_test.py::SavingAPITest::test_model_api_errors"]
table["saving_lib_test.py::SavingTest::test_gone"] = listed
table["saving_lib_test.py::SavingTest::test_metadata"] = listed
Swap._push_if_changed = lambda self, path, url: None
sys.exit(script.main())
"""


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command, "-k", " ".join(FEW.split())],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def honest() -> subprocess.CompletedProcess[str]:
    return run(SCRIPTS / "_keras_saving_tests.py")


@pytest.fixture(scope="module")
def sabotaged() -> subprocess.CompletedProcess[str]:
    """The push of files that a test wrote is left out, and the table is wrong twice."""
    return run("-c", SABOTAGED)


def test_counts(honest: subprocess.CompletedProcess[str]) -> None:
    assert honest.stdout.splitlines()[-1] == "4 passed, 0 failed, 5 not applicable", honest.stderr
    assert honest.returncode == 0


def test_says_why_a_test_does_not_apply(honest: subprocess.CompletedProcess[str]) -> None:
    reasons = {
        line.rpartition("::")[2].partition(": ")[0]: line.rpartition("::")[2].partition(": ")[2]
        for line in honest.stdout.splitlines()
        if line.startswith("not applicable")
    }
    assert reasons.keys() == {
        "test_h5_io_store_basics",
        "test_load_model_rejects_bomb_config",
        "test_load_model_rejects_bomb_weights",
        "test_model_api_errors",
        "test_save_to_fileobj",
    }
    assert "open file" in reasons["test_save_to_fileobj"]
    assert "does not save or load" in reasons["test_h5_io_store_basics"]


def test_loads_come_from_the_store(sabotaged: subprocess.CompletedProcess[str]) -> None:
    """Without the push the store lacks the bombs that lie at the local path."""
    failed = [line for line in sabotaged.stdout.splitlines() if line.startswith("failed")]
    assert any("test_load_model_rejects_bomb_weights" in line for line in failed)
    assert any("test_load_model_rejects_extraction_bomb" in line for line in failed)
    assert sabotaged.returncode == 1


def test_refuses_stale_names(sabotaged: subprocess.CompletedProcess[str]) -> None:
    assert "test_gone: listed as not applicable, but there is no such test" in sabotaged.stderr


def test_refuses_listing_a_test_that_passes(sabotaged: subprocess.CompletedProcess[str]) -> None:
    [line] = [line for line in sabotaged.stdout.splitlines() if "::test_metadata" in line]
    assert line.startswith("failed")
    assert "does not fail as the list says" in line


def test_program_can_be_run() -> None:
    program = SCRIPTS / "keras_saving_tests"
    assert os.access(program, os.X_OK)
    assert "_keras_saving_tests.py" in program.read_text(encoding="utf-8")
