"""The command line's hints do not speak Python."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import remote_models
from remote_models.cli import USAGE, main
from remote_models.cli._wording import _OPTIONS, as_options

ROOT = Path(remote_models.__file__).parent

REACHED = (
    "_api/_artifacts", "_api/_gc", "_api/_listing", "_api/_neighbours", "_api/_signing",
    "adoption", "publishing", "remote_model", "repository/_a", "repository/_l", "repository/_p",
    "repository/_ret", "repository/_s", "repository/_t", "signing", "storage/_fate",
    "storage/_gcs", "storage/_l", "storage/_obstore", "storage/_s3",
)  # fmt: skip
"""Modules whose errors the command line meets; elsewhere only callers of Python do."""

PYTHON = re.compile(r"(?<!-o )(?<!Python with )\b\w+=|\b\w+\([^)]*\)(?![^;]* in Python)")


def sources() -> Iterator[tuple[str, str]]:
    for path in sorted(ROOT.rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith("cli/"):
            yield name, path.read_text(encoding="utf-8")


def hints() -> Iterator[tuple[str, str]]:
    """Every text that is passed as ``hint=``, and its module."""
    for name, source in sources():
        if not name.startswith(REACHED):
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.keyword) and node.arg == "hint":
                for each in ast.walk(node.value):
                    if isinstance(each, ast.Constant) and isinstance(each.value, str):
                        yield name, each.value


def test_no_hint_speaks_python() -> None:
    found = list(hints())
    assert len(found) > 50
    spoken = {(name, as_options(hint, "push")) for name, hint in found}
    assert {each for each in spoken if PYTHON.search(each[1])} == set()


@pytest.mark.parametrize("call", _OPTIONS)
def test_each_row_is_of_use(call: str) -> None:
    assert any(call in source for _, source in sources())


@pytest.mark.parametrize(
    ("verb", "hint", "said"),
    [
        ("push", "Pass overwrite=True to replace it", "Leave out --no-overwrite to replace it"),
        ("push", "Wait; or pass overwrite=True", "Wait; or leave out --no-overwrite"),
        ("adopt", "Pass overwrite=True to write it anew", "Pass --overwrite to write it anew"),
        ("info", "Pass overwrite=True", "Pass overwrite=True"),
    ],
)
def test_the_same_argument_is_another_option(verb: str, hint: str, said: str) -> None:
    assert as_options(hint, verb) == said


def test_what_is_typed_is_what_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", str(tmp_path)]) == USAGE
    assert "hint: Pass --keep-last, --keep-best or --keep-every" in capsys.readouterr().err
