"""scripts/flips, briefly, and that it can fail."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "_flips.py"), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--parts", "reads", "--only", "keras", "--stride", "300"),
        ("--parts", "loads", "--only", "keras/saved_model", "--stride", "300"),
        ("--parts", "large", "--bits", "20"),
    ],
    ids=lambda arguments: arguments[1],
)
def test_nothing_is_missed(arguments: tuple[str, ...]) -> None:
    told = run(*arguments)
    assert "MISSED" not in told
    (noticed,) = re.findall(r"^all: .*'load: noticed': (\d+)", told, re.MULTILINE)
    assert int(noticed) >= 20


def test_what_is_missed_is_told() -> None:
    sys.path.insert(0, str(SCRIPTS))
    try:
        from _flips import Report
    finally:
        sys.path.remove(str(SCRIPTS))
    report = Report()
    report.add("one", "load", "noticed")
    report.add("two", "lazy read", "harmless")
    assert report.missed == []
    report.add("three", "load", "harmless")
    report.add("four", "lazy read", "WRONG")
    report.add("five", "verify", "MISSED")
    assert [each[:4] for each in report.missed] == ["thre", "four", "five"]
