"""``diff``, ``copy``, and the verbs that take whole folders."""

from __future__ import annotations

import json
import socket
import sys
from typing import Any, NamedTuple

import distributed
import numpy as np
import pytest
from publishing.artifacts import download, expected, save, single, snapshot
from repository.versions import fill as fill_repository
from weights.artifacts import delete, flip, put, store_tensors

import remote_models as rm
from folders.models import BARE, DAMAGED, WHOLE, fill
from remote_models.cli import FAILED, INTEGRITY, NOT_FOUND, OK, USAGE, main
from remote_models.manifest import StoredManifest
from remote_models.storage import Location, open_store

ALL = sorted([BARE, DAMAGED, *WHOLE])


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


class Command:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: object) -> Result:
        self._capsys.readouterr()
        code = main([str(word) for word in words])
        return Result(code, *self._capsys.readouterr())


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def store_model(location: Location, arrays: dict[str, Any]) -> str:
    manifest = store_tensors(location, arrays)
    put(location.join("manifest.json"), StoredManifest(current=manifest).to_bytes())
    return str(location)


@pytest.fixture
def pair(memory_base: Location) -> tuple[str, str]:
    kernel = np.arange(40_000, dtype=np.float32)
    other = kernel.copy()
    other[7] = np.nan
    other[8] += 2
    same = np.ones((3,), np.int64)
    return (
        store_model(memory_base.join("a"), {"kernel": kernel, "gone": same, "same": same}),
        store_model(memory_base.join("b"), {"kernel": other, "new": kernel[:2], "same": same}),
    )


def test_diff_shows_what_is_not_the_same(run: Command, pair: tuple[str, str]) -> None:
    result = run("diff", *pair)
    assert (result.code, result.err) == (OK, "")
    assert result.out.splitlines() == [
        "~ kernel  float32 40000, 2 elements, at most 2, relative L2 1.652e-06, 1 not finite",
        "- gone  int64 3",
        "+ new  float32 2",
        "4 tensors: 1 same, 1 changed, 1 added, 1 removed; 131.1 kB read",
    ]
    assert run("diff", *pair, "-q") == (OK, "", "")
    alike = run("diff", pair[0], pair[0])
    assert alike.out == "3 tensors: 3 same, 0 changed, 0 added, 0 removed; 0 B read\n"


def test_diff_as_json(run: Command, pair: tuple[str, str]) -> None:
    document = run("diff", *pair, "--json").document
    assert document["counts"] == {"same": 1, "changed": 1, "added": 1, "removed": 1}
    assert (document["first"], document["second"], document["same"]) == (*pair, False)
    assert document["bytes_read"] == 2 * 64 * 1024
    kernel = document["tensors"][0]
    assert kernel["before"] == {"role": "weight", "dtype": "float32", "shape": [40000]}
    assert (kernel["different"], kernel["not_finite"], kernel["max_abs"]) == (2, 1, 2.0)
    assert run("diff", pair[0], pair[0], "--json").document["same"] is True


def test_diff_of_what_overflows_is_json_still(run: Command, memory_base: Location) -> None:
    first = store_model(memory_base.join("a"), {"x": np.array([1e308])})
    second = store_model(memory_base.join("b"), {"x": np.array([-1e308])})
    (tensor,) = run("diff", first, second, "--json").document["tensors"]
    assert (tensor["different"], tensor["max_abs"], tensor["l2"]) == (1, None, None)


def test_diff_fails_as_all_verbs_do(run: Command, pair: tuple[str, str]) -> None:
    assert run("diff", pair[0], f"{pair[1]}/none").code == NOT_FOUND
    flip(Location.parse(pair[0]).join("data-0"), 50)
    damaged = run("diff", *pair)
    assert damaged.code == INTEGRITY
    assert "(kernel)" in damaged.err
    delete(Location.parse(pair[0]).join("manifest.json"))
    assert run("diff", *pair).code == FAILED  # raw tensors are no model


def test_diff_of_models_without_a_manifest_says_so(run: Command, memory_base: Location) -> None:
    fill(memory_base)
    url = str(memory_base.join(BARE))
    result = run("diff", url, url)
    assert result.code == OK
    assert "1 tensor: 1 same" in result.out
    assert "no manifest vouches for these bytes" in result.err


def test_copy(run: Command, memory_base: Location, local_base: Location) -> None:
    save(memory_base.join("model.h5"), single("1"))
    source, target = memory_base.join("model.h5"), local_base.join("model.h5")
    result = run("copy", source, target)
    assert (result.code, result.err) == (OK, "")
    assert result.out.startswith("copied 1 file, 500 B, sha256:")
    assert download(rm.open_model(target.url)) == expected(single("1"))
    again = run("copy", source, target, "--no-overwrite")
    assert (again.code, again.out) == (FAILED, "")
    assert "hint: Leave out --no-overwrite" in again.err
    document = run("copy", source, target, "--json").document
    assert document["metadata"] == {"version": "1"}
    pinned = run("copy", source, target, "--manifest-digest", f"sha256:{'0' * 64}")
    assert pinned.code == INTEGRITY


def test_the_second_url_has_options_of_its_own(
    run: Command, memory_base: Location, moto_base: Location
) -> None:
    save(memory_base.join("model.h5"), single("1"))
    target = moto_base.join("model.h5")
    flags = [
        word
        for key, value in moto_base.storage_options.items()
        for word in ("--second-option", f"{key}={json.dumps(value)}")
    ]
    assert run("copy", memory_base.join("model.h5"), target, *flags).code == OK
    assert run("diff", memory_base.join("model.h5"), target, *flags).code == OK
    assert run("copy", memory_base.join("model.h5"), target, "--second-option", "x").code == USAGE


@pytest.fixture
def models(local_base: Location) -> Location:
    fill(local_base.join("models"))
    return local_base.join("models")


def test_verify_of_a_folder(run: Command, models: Location) -> None:
    result = run("verify", "-r", models)
    assert result.code == INTEGRITY
    lines = result.out.splitlines()[:-1]  # each as it is done
    assert sorted(line.partition(":")[0] for line in lines) == list(WHOLE)
    assert result.out.splitlines()[-1] == "3 of 5 done"
    damaged, bare = sorted(result.err.splitlines())
    assert bare.startswith(f"error: {models.join(BARE)}: no manifest vouches")
    assert damaged.startswith(f"{DAMAGED}: mismatched: {DAMAGED}")
    document = run("verify", "--recursive", models, "--jobs", "1", "--json").document
    assert {each["path"]: each["ok"] for each in document} == {path: path in WHOLE for path in ALL}
    assert document[0]["error"]["error"] == "ManifestError"
    assert document[0]["error"]["hint"] == "Adopt the model to get one: remote-models adopt URL"
    quiet = run("verify", "-r", models, "-q")
    assert (quiet.code, quiet.out) == (INTEGRITY, "")
    assert sorted(quiet.err.splitlines()) == [damaged, bare]


def test_adopt_and_copy_of_a_folder(run: Command, models: Location) -> None:
    result = run("adopt", "-r", models)
    assert (result.code, result.err) == (OK, "")
    assert result.out.startswith(f"{BARE}: adopted 1 file, 1 tensor, sha256:")
    assert run("adopt", "-r", models).out == "0 of 0 done\n"
    aim = models.parent.join("copies")
    copied = run("copy", "-r", models, aim)
    assert copied.code == INTEGRITY
    assert str(models.join(DAMAGED)) in copied.err
    assert copied.out.splitlines()[-1] == "4 of 5 done"
    assert run("verify", "-r", aim).code == OK
    delete(models.join(DAMAGED))
    again = run("copy", "-r", models, aim, "--no-overwrite", "--json")
    assert again.code == INTEGRITY  # a model that has lost its file
    inside = run("copy", "-r", models, models.join("x"))
    assert (inside.code, "inside of what is to be copied" in inside.err) == (USAGE, True)


def test_prune_of_a_folder(run: Command, memory_base: Location) -> None:
    for name in ("one", "two"):
        fill_repository(memory_base.join(name), 3)
    before = snapshot(memory_base)
    planned = run("prune", "-r", memory_base, "--keep-last", "1", "--dry-run")
    assert sorted(planned.out.splitlines()) == [
        "2 of 2 done", "one: would delete: 1, 2; kept: 3", "two: would delete: 1, 2; kept: 3",
    ]  # fmt: skip
    assert snapshot(memory_base) == before
    done = run("prune", "-r", memory_base, "--keep-last", "1", "--json").document
    assert [each["result"]["deleted"] for each in done] == [[1, 2], [1, 2]]
    assert run("prune", "-r", memory_base).code == USAGE
    assert run("prune", "-r", memory_base.join("one/3"), "--keep-last", "1").code == NOT_FOUND


def test_one_way_to_fail_has_its_own_exit_code(run: Command, memory_base: Location) -> None:
    save(memory_base.join("a/model.h5"), single("1"))
    assert run("copy", "-r", memory_base.join("a"), memory_base.join("b")).code == OK
    there = run("copy", "-r", memory_base.join("a"), memory_base.join("b"), "--no-overwrite")
    assert (there.code, there.out) == (FAILED, "0 of 1 done\n")


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "-r", "URL", "--manifest-url", "x"),
        ("verify", "-r", "URL", "--manifest-digest", f"sha256:{'0' * 64}"),
        ("adopt", "-r", "URL", "--manifest-url", "x"),
        ("copy", "-r", "URL", "TARGET", "--manifest-url", "x"),
        ("verify", "-r", "URL", "--jobs", "0"),
        ("verify", "URL", "--jobs", "2"),
        ("prune", "URL", "--keep-last", "1", "--dask", "tcp://127.0.0.1:1"),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_of_many_is_wrong_usage(
    run: Command, models: Location, words: tuple[str, ...]
) -> None:
    known = {"URL": str(models), "TARGET": str(models.parent.join("x"))}
    result = run(*(known.get(word, word) for word in words))
    assert (result.code, result.out) == (USAGE, "")


def test_a_cluster_does_the_work(
    run: Command, models: Location, cluster: distributed.LocalCluster
) -> None:
    address = cluster.scheduler_address
    result = run("verify", "-r", models, "--dask", address, "--json")
    assert result.code == INTEGRITY
    assert [each["path"] for each in result.document if each["ok"]] == list(WHOLE)
    assert run("adopt", "-r", models, "--dask", address).code == OK
    aim = models.parent.join("copies")
    assert run("copy", "-r", models, aim, "--dask", address, "-q").code == INTEGRITY
    assert run("verify", "-r", aim, "--dask", address).code == OK
    root = models.parent.join("repositories")
    open_store(root).make_directory(root)
    fill_repository(root.join("one"), 3)
    pruned = run("prune", "-r", root, "--keep-last", "2", "--dask", address, "--json")
    assert pruned.document[0]["result"]["deleted"] == [1]
    with distributed.Client(cluster) as client:
        worked = client.run(lambda: "remote_models.repository" in sys.modules)
        assert any(worked.values())


def test_where_no_scheduler_is_that_is_said(
    run: Command, models: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("remote_models.cli._walks._SECONDS", 0.5)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        result = run("verify", "-r", models, "--dask", address)
    assert (result.code, result.out) == (USAGE, "")
    assert result.err.startswith("error: --dask: no Dask scheduler answers")
    assert run("verify", "-r", models, "--dask", "nonsense://x").code == USAGE
    monkeypatch.setitem(sys.modules, "distributed", None)
    missing = run("verify", "-r", models, "--dask", address)
    assert missing.code == FAILED
    assert "pip install 'remote_models[dask]'" in missing.err
