"""``remote-models cache``."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cache.models import StoredModel, entry_path, load, names_in
from remote_models.cache import Cache
from remote_models.cli import INTEGRITY, NOT_FOUND, OK, USAGE, main
from remote_models.cli._parser import make_parser

VERBS = ("dir", "ls", "prune", "verify")


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class Command:
    """Runs ``remote-models cache`` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> Result:
        self._capsys.readouterr()
        code = main(["cache", *words])
        return Result(code, *self._capsys.readouterr())


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> Command:
    monkeypatch.setenv("REMOTE_MODELS_CACHE", str(cache.directory))
    return Command(capsys)


@pytest.fixture
def full(cache: Cache, model: StoredModel) -> list[str]:
    """The digests of the model's files, which are in the cache; the first is the oldest."""
    load(cache, model.location)
    digests = [model.digests[f"variables/part-{number}"] for number in range(3)]
    for age, digest in enumerate(digests):
        os.utime(entry_path(cache, digest), (age * 86400, age * 86400))
    return digests


def test_dir(run: Command, cache: Cache, full: list[str]) -> None:
    assert run("dir") == (OK, f"{cache.directory}\n", "")
    assert run("dir", "--json").document == {
        "directory": str(cache.directory),
        "usable": True,
        "reason": None,
        "size": 3_005_000,
        "max_size": 10**10,
    }


def test_dir_says_why_there_is_none(
    run: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for directory, reason in {
        "off": "REMOTE_MODELS_CACHE=off",
        str(tmp_path / "file/cache"): f"{tmp_path}/file/cache: Not a directory",
    }.items():
        monkeypatch.setenv("REMOTE_MODELS_CACHE", directory)
        assert run("dir") == (NOT_FOUND, "", f"no cache: {reason}\n")
        assert run("dir", "--json").document["reason"] == reason
        for words in (("ls",), ("verify",), ("prune", "--all")):
            result = run(*words)
            assert (result.code, result.err) == (OK, f"note: no cache: {reason}\n")
            assert run(*words, "-q") == (OK, "", "")


def test_ls(run: Command, full: list[str]) -> None:
    assert run("ls").out.splitlines() == [
        f"    3.0 MB  1970-01-03T00:00:00Z  {full[2]}",
        f"       0 B  1970-01-02T00:00:00Z  {full[1]}",
        f"    5.0 kB  1970-01-01T00:00:00Z  {full[0]}",
    ]
    assert run("ls", "--json").document[2] == {
        "sha256": full[0],
        "size": 5_000,
        "last_used": "1970-01-01T00:00:00Z",
    }


def test_verify(run: Command, cache: Cache, full: list[str]) -> None:
    assert run("verify") == (OK, "ok: 3 files, 3.0 MB\n", "")
    # Looking is no use: what was used longest ago still is.
    assert [each["sha256"] for each in run("ls", "--json").document] == full[::-1]
    path = entry_path(cache, full[2])
    path.write_bytes(b"\0" * path.stat().st_size)
    assert run("verify") == (INTEGRITY, "", f"damaged, removed: {full[2]}\n")
    assert names_in(cache) == sorted(full[:2])
    document = run("verify", "--json").document
    assert document == {"ok": True, "damaged": [], "files": 2, "bytes_read": 5_000}


def test_prune(run: Command, cache: Cache, full: list[str]) -> None:
    leftover = entry_path(cache, full[0]).parent / f".{full[0]}.lock"
    leftover.touch()
    assert run("prune", "--to", "3MB", "-n").out == "would remove 1 file, 5.0 kB\n"
    assert len(names_in(cache)) == 4
    assert run("prune", "--to", "3MB").out == "removed 1 file, 5.0 kB\n"
    assert names_in(cache) == sorted(full[1:])
    assert run("prune").out == "removed 0 files, 0 B\n"
    assert run("prune", "--all", "--json").document == {
        "removed": full[1:],
        "freed": 3_000_000,
        "dry_run": False,
    }
    assert names_in(cache) == []


def test_prune_without_options_minds_the_size_that_is_set(
    run: Command, cache: Cache, full: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMOTE_MODELS_CACHE_SIZE", "4kB")
    run("prune")
    assert names_in(cache) == []


def test_what_is_no_size_is_wrong_usage(
    run: Command, full: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run("prune", "--to", "much")
    assert (result.code, result.err[:24]) == (USAGE, "error: --to: not a size ")
    monkeypatch.setenv("REMOTE_MODELS_CACHE_SIZE", "much")
    for verb in VERBS:
        assert "REMOTE_MODELS_CACHE_SIZE" in run(verb).err
    with pytest.raises(SystemExit, match="2"):
        run("prune", "--all", "--to", "1GB")


def test_every_verb_and_every_option_says_what_it_does() -> None:
    def choices(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
        (verbs,) = (
            each for each in parser._actions if isinstance(each, argparse._SubParsersAction)
        )
        found: dict[str, argparse.ArgumentParser] = verbs.choices
        return found

    parser = choices(make_parser())["cache"]
    assert "REMOTE_MODELS_CACHE_SIZE" in parser.format_help()
    assert parser.format_help().isascii()
    assert sorted(choices(parser)) == sorted(VERBS)
    for name, verb in choices(parser).items():
        assert len((verb.description or "").split()) > 12, name
        for action in verb._actions:
            assert action.help, (name, action.dest)
            assert action.metavar or action.nargs == 0, (name, action.dest)
