"""README.md keeps its word: all that it shows is run, all that it names exists."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from remote_models import cli, errors
from remote_models.cli._parser import make_parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

Results = dict[str, dict[str, str | None]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What came of each block, command and format, from one child process."""
    return run_document(ROOT / "README.md", tmp_path_factory.mktemp("readme"))


def run_document(document: Path, folder: Path) -> Results:
    report = folder / "report.json"
    child: list[str | Path] = [sys.executable, ROOT / "tests/readme_child.py", document, report]
    done = subprocess.run(child, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found: Results = json.loads(report.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("python", README.count("\n```python\n")),
        ("console", README.count("\n$ remote-models ")),
        ("formats", 20),  # rows times endings times generations
    ],
)
def test_what_it_shows_works(results: Results, kind: str, count: int) -> None:
    failed = [f"{name}\n{told}" for name, told in results[kind].items() if told]
    assert not failed, "\n".join(failed)
    assert len(results[kind]) == count


def test_what_the_document_of_serving_shows_works(tmp_path: Path) -> None:
    document = ROOT / "docs/serverless.md"
    results = run_document(document, tmp_path)
    assert [told for told in results["python"].values() if told] == []
    assert len(results["python"]) == document.read_text("utf-8").count("\n```python\n") > 0


def test_what_the_document_of_repositories_shows_works(tmp_path: Path) -> None:
    document = ROOT / "docs/repository.md"
    text = document.read_text(encoding="utf-8")
    results = run_document(document, tmp_path)
    failed = [
        f"{name}\n{told}"
        for kind in ("python", "console")
        for name, told in results[kind].items()
        if told
    ]
    assert not failed, "\n".join(failed)
    assert len(results["python"]) == text.count("\n```python\n") > 3
    assert len(results["console"]) == text.count("\n$ remote-models ") > 2


def test_what_the_document_of_callbacks_shows_works(tmp_path: Path) -> None:
    results = run_document(ROOT / "docs/callbacks.md", tmp_path)
    assert list(results["python"].values()) == [None]


def test_error_tree_is_that_of_the_module() -> None:
    assert errors.__doc__ is not None
    drawn = [line.strip() for line in errors.__doc__.split("::")[1].split("``")[0].splitlines()]
    shown = re.search(r"```text\n(RemoteModelsError\n.*?)```", README, re.DOTALL)
    assert shown is not None
    assert shown[1].split("\n") == [*(line for line in drawn if line), ""]


def test_extras_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {
        extra.strip()
        for extras in re.findall(r"pip install '\.\[([^]]+)\]'", README)
        for extra in extras.split(",")
    }
    assert named
    assert named <= set(project["optional-dependencies"])


def test_scripts_and_linked_files_exist() -> None:
    named = re.findall(r"^\$ (scripts/\w+)", README, re.MULTILINE)
    named += re.findall(r"\]\((?!\w+:)([^)]+)\)", README)
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name.partition("#")[0]).is_file()] == []
    assert [name for name in named if "#" in name and not has_heading(name)] == []


def has_heading(link: str) -> bool:
    """Whether a page has the heading that a link leads to (GitHub's rules for anchors)."""
    page, _, anchor = link.partition("#")
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    return anchor in [re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings]


def verbs() -> Iterator[tuple[str, argparse.ArgumentParser, str | None]]:
    """Every command of the command line: name, parser and line of help."""
    for action in make_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            told = {choice.dest: choice.help for choice in action._choices_actions}
            for name, parser in action.choices.items():
                yield name, parser, told.get(name)


@pytest.mark.parametrize(("name", "parser", "told"), list(verbs()), ids=lambda each: str(each)[:9])
def test_verb_is_documented(name: str, parser: argparse.ArgumentParser, told: str | None) -> None:
    assert f"\n$ remote-models {name} " in README
    assert told
    assert parser.description
    assert [action.dest for action in parser._actions if not action.help] == []


def test_exit_codes_are_those_of_the_command_line() -> None:
    codes = (cli.OK, cli.FAILED, cli.USAGE, cli.NOT_FOUND, cli.INTEGRITY)
    words = ("done", "failed", "wrong usage", "nothing is there", "the bytes are not")
    for code, word in zip(codes, words, strict=True):
        assert f"{code} {word}" in README
