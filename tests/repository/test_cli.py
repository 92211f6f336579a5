"""``remote-models versions``, ``promote`` and ``prune``."""

from __future__ import annotations

import json

import pytest
from publishing.artifacts import snapshot

from remote_models.cli import INTEGRITY, NOT_FOUND, OK, USAGE, main
from remote_models.storage import Location, open_store
from repository.versions import fill, repository_at, save_next


@pytest.fixture
def root(memory_base: Location) -> Location:
    """A repository of five versions, of which the fourth is the best."""
    for number, loss in enumerate((0.9, 0.8, 0.7, 0.1, 0.5), 1):
        save_next(memory_base, f"v{number}", loss=loss)
    repository_at(memory_base).set_alias("production", 2)
    return memory_base


def test_versions(root: Location, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["versions", str(root)]) == OK
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3", "4", "5"]
    assert "production" in lines[1]
    assert "latest" in lines[4]
    assert '"loss": 0.5' in lines[4]
    assert main(["versions", str(root), "--json"]) == OK
    document = json.loads(capsys.readouterr().out)
    versions = repository_at(root).versions()
    assert document == [
        {
            "version": version.number, "url": version.url, "format": "saved_model",
            "created": version.created, "size": version.size, "manifest_digest": version.digest,
            "metadata": dict(version.metadata),
            "aliases": {2: ["production"], 5: ["latest"]}.get(version.number, []),
        }
        for version in versions
    ]  # fmt: skip


def test_promote(root: Location, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["promote", str(root), "3", "production"]) == OK
    assert capsys.readouterr().out.startswith("production is version 3, sha256:")
    assert main(["promote", str(root), "latest", "candidate", "--json"]) == OK
    assert json.loads(capsys.readouterr().out)["version"] == 5
    assert repository_at(root).aliases() == {"latest": 5, "production": 3, "candidate": 5}
    assert main(["promote", str(root), "9", "production"]) == NOT_FOUND
    assert "no version 9" in capsys.readouterr().err
    for words in (["3", "latest"], ["3", "a/b"], ["0", "a"], ["x y", "a"]):
        assert main(["promote", str(root), *words]) == USAGE
    assert repository_at(root).aliases() == {"latest": 5, "production": 3, "candidate": 5}


def test_prune(root: Location, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["prune", str(root), "--keep-last", "1", "--keep-best", "loss:min"]
    before = snapshot(root)
    assert main([*words, "--dry-run"]) == OK
    assert capsys.readouterr().out == "would delete: 1, 3\nkept: 2, 4, 5\n"
    assert snapshot(root) == before
    assert main([*words, "--json"]) == OK
    assert json.loads(capsys.readouterr().out) == {
        "kept": [2, 4, 5], "deleted": [1, 3], "resumed": [], "dry_run": False,
    }  # fmt: skip
    assert main(words) == OK
    assert capsys.readouterr().out == "deleted: none\nkept: 2, 4, 5\n"


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ("loss:min:2", [2, 4, 5]), ("loss:max:2", [1, 2, 5]), ("loss:min:4", [2, 3, 4, 5]),
    ],
)  # fmt: skip
def test_keep_best(
    root: Location, capsys: pytest.CaptureFixture[str], rule: str, kept: list[int]
) -> None:
    assert main(["prune", str(root), "--keep-best", rule, "--json"]) == OK
    assert json.loads(capsys.readouterr().out)["kept"] == kept


@pytest.mark.parametrize(
    "words",
    [
        (), ("--keep-last", "0"), ("--keep-every", "-1"), ("--keep-best", "loss"),
        ("--keep-best", ":min"), ("--keep-best", "loss:low"), ("--keep-best", "loss:min:0"),
        ("--keep-best", ""), ("--keep-best", "los:min"), ("--keep-best", "a:b:min:1"),
    ],
)  # fmt: skip
def test_wrong_usage_deletes_nothing(root: Location, words: tuple[str, ...]) -> None:
    before = snapshot(root)
    assert main(["prune", str(root), *words]) == USAGE
    assert snapshot(root) == before


def test_an_interrupted_prune_is_finished(
    memory_base: Location, capsys: pytest.CaptureFixture[str]
) -> None:
    from publishing.faults import Fault, FaultyStore, Killed, Plan

    fill(memory_base, 2)
    store = FaultyStore(open_store(memory_base), Plan(Fault.KILL, 7))
    with pytest.raises(Killed):
        repository_at(memory_base, store).prune(keep_last=1)
    for flags, said in (["--dry-run"], "would finish deleting: 1"), ([], "finished deleting: 1"):
        assert main(["prune", str(memory_base), "--keep-last", "1", *flags]) == OK
        assert said in capsys.readouterr().out
    assert not [path for path in snapshot(memory_base) if path.startswith(("1/", "deleting/1"))]


def test_a_damaged_alias(root: Location) -> None:
    from repository.test_repository import put

    put(root.join("aliases/production.json"), b"{")
    assert main(["versions", str(root)]) == INTEGRITY
    assert main(["promote", str(root), "production", "other"]) == INTEGRITY
    assert main(["prune", str(root), "--keep-last", "1"]) == INTEGRITY
