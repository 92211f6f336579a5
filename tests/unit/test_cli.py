"""The command line, on artifacts that no framework has made."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from resealing import resealed
from signing.keys import key_pair

import remote_models
from remote_models._progress_bar import CLEAR_LINE, ProgressBar
from remote_models.cli import (
    FAILED,
    INTEGRITY,
    INTERRUPTED,
    NOT_FOUND,
    OK,
    USAGE,
    _copies,
    _diff,
    _gc,
    _inspect,
    _signing,
    _tensors,
    _versions,
    main,
)
from remote_models.cli._parser import make_parser
from remote_models.errors import AccessDeniedError, StoreUnavailableError
from remote_models.formats import Format
from remote_models.manifest import Layout, Manifest
from remote_models.publishing import Artifact, local_files, publish
from remote_models.storage import Location, ObjectInfo, open_store

VERBS = (
    "adopt", "copy", "diff", "gc", "info", "ls", "promote", "prune", "pull", "push", "sign",
    "verify", "versions", "weights",
)  # fmt: skip

FRAMEWORKS = ("keras", "tensorflow", "tf_keras", "torch", "jax")

DATA = "variables/variables.data-00000-of-00001"

PRODUCER = {"keras": "3.15.0", "remote_models": "0.1.0"}


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class Command:
    """Runs the command line in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str | Path) -> Result:
        self._capsys.readouterr()
        code = main([str(word) for word in words])
        return Result(code, *self._capsys.readouterr())

    def exits(self, *words: str) -> Result:
        """Run words that end in argparse."""
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert isinstance(caught.value.code, int)
        return Result(caught.value.code, *self._capsys.readouterr())


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


@pytest.fixture
def base(memory_base: Location) -> str:
    return str(memory_base)


def write_h5(path: Path, *, content: int = 0) -> Path:
    """Write a whole model of Keras 2: one without layers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = (
            '{"class_name": "Sequential", "config": {"name": "m", "layers": []}}'
        )
        file.attrs["keras_version"] = "2.15.0"
        file.create_group("model_weights").attrs["layer_names"] = []
        file["kernel"] = [content] * 100
    return path


def write_saved_model(folder: Path) -> Path:
    for name, data in {
        "saved_model.pb": b"graph",
        "variables/variables.index": b"index",
        DATA: b"data",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "assets").mkdir()
    return folder


def put(
    url: str, source: Path, *, metadata: Mapping[str, Any] | None = None, **options: Any
) -> Manifest:
    """Publish a file or directory, with a manifest."""
    location = Location.parse(url)
    is_folder = source.is_dir()
    files = {location.name: source}
    if is_folder:
        files = {p.relative_to(source).as_posix(): p for p in source.rglob("*") if p.is_file()}
    artifact = Artifact(
        format=Format.SAVED_MODEL if is_folder else Format.H5,
        layout=Layout.DIRECTORY if is_folder else Layout.FILE,
        created="2026-03-14T09:26:53Z",
        producer=PRODUCER,
        metadata=metadata or {},
        files=local_files(files),
        empty_directories=["assets"] if is_folder else [],
        **options,
    )
    return publish(open_store(location), location, artifact, overwrite=True)


@pytest.fixture
def h5(base: str, tmp_path: Path) -> str:
    """The URL of an ``.h5`` file with a manifest."""
    url = f"{base}/model.h5"
    put(url, write_h5(tmp_path / "made" / "model.h5"), metadata={"step": 7})
    return url


@pytest.fixture
def saved_model(base: str, tmp_path: Path) -> str:
    """The URL of a SavedModel directory with a manifest."""
    url = f"{base}/saved"
    put(url, write_saved_model(tmp_path / "made" / "saved"))
    return url


@pytest.fixture
def bare(base: str, tmp_path: Path) -> str:
    """The URL of an ``.h5`` file without a manifest."""
    path = write_h5(tmp_path / "made" / "bare.h5")
    poke(f"{base}/bare.h5", path.read_bytes())
    return f"{base}/bare.h5"


def write_dense(path: Path, *, compressed: bool = False) -> Path:
    """Write a whole model of Keras 2 with a dense layer and an optimizer's counter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = (
            '{"class_name": "Sequential", "config": {"name": "m", "layers": '
            '[{"class_name": "Dense", "config": {"name": "dense", "units": 4}}]}}'
        )
        file.attrs["keras_version"] = "2.15.0"
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = [b"dense"]
        layer = weights.create_group("dense")
        layer.attrs["weight_names"] = [b"dense/kernel:0", b"dense/bias:0"]
        layer.create_dataset("dense/kernel:0", data=KERNEL)
        layer.create_dataset("dense/bias:0", data=BIAS, compression="gzip" if compressed else None)
        optimizer = file.create_group("optimizer_weights")
        optimizer.attrs["weight_names"] = [b"iteration:0"]
        optimizer.create_dataset("iteration:0", data=np.int64(7))
    return path


KERNEL = np.arange(1200, dtype="float32").reshape(300, 4)
BIAS = np.arange(4, dtype="float32")


@pytest.fixture
def dense(base: str, tmp_path: Path) -> str:
    """The URL of an ``.h5`` file with three tensors and without a manifest."""
    path = write_dense(tmp_path / "made" / "dense.h5")
    poke(f"{base}/dense.h5", path.read_bytes())
    return f"{base}/dense.h5"


@pytest.fixture
def adopted(base: str, dense: str) -> str:
    """The URL of such a file with a manifest."""
    url = f"{base}/adopted.h5"
    poke(url, peek(dense))
    remote_models.adopt_model(url)
    return url


@pytest.fixture
def apart(base: str, dense: str) -> str:
    """The URL of the manifest of ``dense``, which lies elsewhere."""
    url = f"{base}/manifests/dense.json"
    remote_models.adopt_model(dense, manifest_url=url)
    return url


def poke(url: str, data: bytes) -> None:
    """Write behind the library's back."""
    MemoryFileSystem().pipe_file(url, data)


def peek(url: str) -> bytes:
    data: bytes = MemoryFileSystem().cat_file(url)
    return data


def manifest_of(url: str) -> Manifest:
    manifest = remote_models.open_model(url).manifest
    assert manifest is not None
    return manifest


# info


def test_info_says_what_a_model_is(run: Command, h5: str) -> None:
    result = run("info", h5)
    assert (result.code, result.err) == (OK, "")
    facts = dict(re.split(r"  +", line, maxsplit=1) for line in result.out.splitlines())
    manifest = manifest_of(h5)
    assert facts == {
        "url": h5,
        "format": "h5",
        "what": "a whole Keras model in HDF5",
        "files": "1",
        "size": f"{manifest.total_size / 1000:.1f} kB ({manifest.total_size} bytes)",
        "created": "2026-03-14T09:26:53Z",
        "producer": "keras 3.15.0, remote_models 0.1.0",
        "metadata": '{"step": 7}',
        "manifest digest": manifest.digest,
    }


def test_info_as_json(run: Command, saved_model: str) -> None:
    manifest = manifest_of(saved_model)
    assert run("info", "--json", saved_model).document == {
        "url": saved_model,
        "format": "saved_model",
        "what": "a SavedModel directory",
        "files": 3,
        "size": 14,
        "tensors": None,
        "parameters": None,
        "signatures": None,  # what lies there is no graph
        "exports": {},
        "created": "2026-03-14T09:26:53Z",
        "producer": PRODUCER,
        "metadata": {},
        "manifest_digest": manifest.digest,
        "signed": None,
    }


def test_info_counts_the_tensors_that_a_manifest_names(run: Command, adopted: str) -> None:
    lines = run("info", adopted).out.splitlines()
    assert "tensors          3" in lines
    assert "parameters       1,204" in lines  # without the optimizer's
    document = run("info", "--json", adopted).document
    assert (document["tensors"], document["parameters"]) == (3, 1204)
    assert "summary" not in document


def test_info_with_a_summary(run: Command, adopted: str, dense: str) -> None:
    table = remote_models.open_model(adopted).summary()
    assert "dense" in table
    plain = run("info", adopted).out
    assert run("info", "--summary", adopted) == (OK, f"{plain}\n{table}\n", "")
    assert run("info", "--summary", "--json", adopted).document["summary"] == table
    assert run("info", "--summary", "-q", adopted) == (OK, "", "")
    assert run("info", "--summary", dense).out.endswith(f"\n\n{table}\n")


def test_info_of_a_manifest_that_lies_elsewhere(run: Command, dense: str, apart: str) -> None:
    assert run("info", dense).out.endswith("no manifest vouches for these bytes\n")
    document = run("info", "--json", "--manifest-url", apart, dense).document
    assert (document["url"], document["tensors"]) == (dense, 3)


def test_info_of_a_model_without_a_manifest(run: Command, bare: str, h5: str) -> None:
    result = run("info", bare)
    assert result.code == OK
    assert "written by Keras 2.15.0" in result.out
    assert "no manifest vouches for these bytes" in result.out
    assert "created" not in result.out
    document = run("info", "--json", bare).document
    assert document["manifest_digest"] is None
    assert document.keys() == run("info", "--json", h5).document.keys()


def test_info_of_a_format_of_tomorrow(run: Command, h5: str) -> None:
    where = f"{h5}.manifest.json"
    poke(where, resealed({**json.loads(peek(where)), "format": "h6"}))
    result = run("info", h5)
    assert result.code == OK
    assert "a format of a later version" in result.out


def test_info_of_what_is_no_model_says_what_it_is(run: Command, base: str) -> None:
    poke(f"{base}/notes", b"\x1f\x8b...")
    result = run("info", f"{base}/notes")
    assert result.code == FAILED
    assert result.err == (
        f"error: {base}/notes: a gzip file, no Keras model\nhint: Unpack it first\n"
    )


# ls


def test_ls_of_a_model_lists_its_files(run: Command, saved_model: str) -> None:
    result = run("ls", saved_model)
    assert (result.code, result.err) == (OK, "")
    files = manifest_of(saved_model).files
    assert [line.split() for line in result.out.splitlines()] == [
        [str(entry.size), "B", entry.sha256[:12], entry.path] for entry in files
    ]


def test_ls_of_a_model_as_json(run: Command, saved_model: str) -> None:
    assert run("ls", "--json", saved_model).document == [
        {"path": entry.path, "size": entry.size, "sha256": entry.sha256}
        for entry in manifest_of(saved_model).files
    ]


def test_ls_of_a_model_without_a_manifest(run: Command, bare: str) -> None:
    (row,) = run("ls", "--json", bare).document
    assert row == {"path": "bare.h5", "size": len(peek(bare)), "sha256": None}
    assert "-  " in run("ls", bare).out


def test_ls_of_a_file_that_is_no_model_lists_it(run: Command, base: str) -> None:
    poke(f"{base}/notes.txt", b"hello")
    result = run("ls", "--json", f"{base}/notes.txt")
    assert (result.code, result.document[0]["path"]) == (OK, "notes.txt")


def test_ls_of_a_folder_or_bucket_lists_the_models_below(
    run: Command, base: str, h5: str, saved_model: str, bare: str
) -> None:
    poke(f"{base}/deep/er/x.keras", b"1234")
    poke(f"{base}/readme.txt", b"")
    result = run("ls", base)
    assert (result.code, result.err) == (OK, "")
    rows = [line.split() for line in result.out.splitlines()]
    assert [(row[-2], row[-1]) for row in rows] == [
        ("-", "bare.h5"), ("-", "deep/er/x.keras"), ("manifest", "model.h5"),
        ("manifest", "saved"),
    ]  # fmt: skip
    documents = run("ls", "--json", base).document
    assert documents[1] == {
        "path": "deep/er/x.keras",
        "size": 4,
        "has_manifest": False,
        "is_signed": False,
    }
    assert documents[3] == {"path": "saved", "size": 14, "has_manifest": True, "is_signed": False}


def test_ls_of_a_local_folder(run: Command, tmp_path: Path) -> None:
    write_h5(tmp_path / "a" / "m.h5")
    write_saved_model(tmp_path / "b")
    documents = run("ls", "--json", tmp_path).document
    assert [row["path"] for row in documents] == ["a/m.h5", "b"]


def test_ls_counts_the_parts_of_a_model_to_it(run: Command, base: str) -> None:
    for name in (
        "w.weights.json", "w_00000.weights.h5", "w_00001.weights.h5", "other_00000.weights.h5",
        "ckpt-7.index", "ckpt-7.data-00000-of-00001", "ckpt-7.manifest.json",
        "ckpt-70.index", "loose.index",
    ):  # fmt: skip
        poke(f"{base}/{name}", b"1234")
    assert run("ls", "--json", base).document == [
        {"path": "ckpt-7", "size": 8, "has_manifest": True, "is_signed": False},
        {"path": "other_00000.weights.h5", "size": 4, "has_manifest": False, "is_signed": False},
        {"path": "w.weights.json", "size": 12, "has_manifest": False, "is_signed": False},
    ]


def test_ls_takes_time_in_proportion(
    run: Command, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {f"m{number}/saved_model.pb": 1 for number in range(20_000)}
    sizes |= {f"n{number}.keras": 1 for number in range(20_000)}
    infos = {path: ObjectInfo(size=size) for path, size in sizes.items()}
    monkeypatch.setattr("remote_models.storage.Store.list", lambda _store, _location: infos)
    start = time.process_time()
    assert len(run("ls", "--json", base).document) == 40_000
    assert time.process_time() - start < 10  # an hour in proportion to the square


def test_ls_below_names_that_no_manifest_could_hold(run: Command, base: str) -> None:
    poke(f"{base}/a\\b\x1b/m.keras", b"1")
    assert run("ls", base).out.split()[-1] == "a\\b\\x1b/m.keras"
    poke(f"{base}/manifest.json", b"{}")
    assert run("ls", base).code == INTEGRITY


def test_ls_where_no_model_is_says_so(run: Command, base: str) -> None:
    poke(f"{base}/a/readme.txt", b"x")
    result = run("ls", base)
    assert (result.code, result.out) == (OK, "")
    assert result.err == "note: files are stored below this URL, but no model\n"
    assert run("ls", "--json", base).document == []
    assert run("ls", "-q", base) == (OK, "", "")


# verify


def test_verify_says_how_much_is_as_it_should_be(run: Command, saved_model: str) -> None:
    result = run("verify", saved_model)
    digest = manifest_of(saved_model).digest
    assert result == (OK, f"ok: 3 files, 14 B, {digest}\n", "")
    assert run("verify", "--manifest-digest", digest, saved_model).code == OK


def test_verify_names_everything_that_is_wrong(run: Command, saved_model: str) -> None:
    MemoryFileSystem().rm_file(f"{saved_model}/variables/variables.index")
    poke(f"{saved_model}/{DATA}", b"DATA")
    poke(f"{saved_model}/saved_model.pb", b"longer")
    poke(f"{saved_model}/evil.py", b"")
    result = run("verify", saved_model)
    assert (result.code, result.out) == (INTEGRITY, "")
    lines = sorted(re.sub(r"[0-9a-f]{64}", "…", line) for line in result.err.splitlines())
    assert lines == [
        "mismatched: saved_model.pb (expected 5 bytes, sha256:…, found 6 bytes)",
        f"mismatched: {DATA} (expected 4 bytes, sha256:…, found 4 bytes, sha256:…)",
        "missing: variables/variables.index",
        "unexpected: evil.py",
    ]
    assert run("verify", "-q", saved_model).err == result.err
    report = run("verify", "--json", saved_model)
    assert (report.code, report.err) == (INTEGRITY, "")
    assert report.document.keys() == {
        "url", "manifest_digest", "verified", "missing", "mismatched", "unexpected",
        "bytes_read", "ok",
    }  # fmt: skip
    assert report.document["ok"] is False
    assert report.document["unexpected"] == ["evil.py"]


def test_verify_as_json_has_the_same_keys_when_all_is_well(run: Command, h5: str) -> None:
    report = run("verify", "--json", h5)
    assert (report.code, report.document["ok"], report.document["missing"]) == (OK, True, [])
    assert report.document["verified"] == ["model.h5"]


def test_verify_against_a_manifest_that_lies_elsewhere(
    run: Command, dense: str, apart: str
) -> None:
    assert run("verify", dense).code == INTEGRITY
    assert run("verify", "--manifest-url", apart, dense).code == OK
    poke(dense, peek(dense)[:-1])
    assert run("verify", "--manifest-url", apart, dense).code == INTEGRITY


def test_verify_of_a_model_without_a_manifest_fails(run: Command, bare: str) -> None:
    result = run("verify", bare)
    assert result.code == INTEGRITY
    assert "no manifest vouches for these files" in result.err
    assert "hint: " in result.err


def test_verify_where_nobody_may_list_says_so(
    run: Command, saved_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(self: object, location: Location) -> Mapping[str, int]:
        raise AccessDeniedError("access denied", where=str(location))

    monkeypatch.setattr("remote_models.storage.Store.list", deny)
    result = run("verify", saved_model)
    assert result.code == OK
    assert "may not be listed" in result.err
    assert run("verify", "-q", saved_model) == (OK, "", "")
    assert run("verify", "--json", saved_model).document["unexpected"] is None


# pull and push


def test_pull_copies_a_model_and_its_manifest(
    run: Command, saved_model: str, tmp_path: Path
) -> None:
    result = run("pull", saved_model, tmp_path / "copy")
    assert result == (OK, f"pulled 3 files into {tmp_path / 'copy'}\n", "")
    assert (tmp_path / "copy/saved_model.pb").read_bytes() == b"graph"
    assert (tmp_path / "copy/manifest.json").read_bytes() == peek(f"{saved_model}/manifest.json")
    assert (tmp_path / "copy/assets").is_dir()
    assert run("verify", tmp_path / "copy").code == OK


def test_pull_as_json_names_the_files(run: Command, h5: str, tmp_path: Path) -> None:
    result = run("pull", "--json", h5, tmp_path / "copy")
    assert result.document == [str(tmp_path / "copy/model.h5")]


def test_pull_counts_one_file_as_one(run: Command, h5: str, tmp_path: Path) -> None:
    assert run("pull", h5, tmp_path / "copy").out.startswith("pulled 1 file into ")


def test_pull_into_a_full_directory_is_refused(run: Command, h5: str, tmp_path: Path) -> None:
    result = run("pull", h5, tmp_path)
    assert result.code == USAGE
    assert "must be a new or empty directory" in result.err
    (tmp_path / "empty").mkdir()
    assert run("pull", h5, tmp_path / "empty").code == OK


def test_pull_of_damaged_bytes_leaves_nothing(run: Command, h5: str, tmp_path: Path) -> None:
    poke(h5, peek(h5)[:-1] + b"X")
    result = run("pull", h5, tmp_path / "copy")
    assert result.code == INTEGRITY
    assert result.err.startswith(f"error: {h5}: the bytes are not those")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made"]


def test_pull_into_a_place_that_cannot_be_is_no_bug_to_report(
    run: Command, h5: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    result = run("pull", h5, tmp_path / "file" / "copy")
    assert result.code == FAILED
    assert "Not a directory" in result.err
    assert "--debug" not in result.err


def test_pull_into_a_folder_that_does_not_exist_says_so(
    run: Command, h5: str, tmp_path: Path
) -> None:
    result = run("pull", h5, tmp_path / "none" / "copy")
    assert (result.code, result.out) == (NOT_FOUND, "")
    assert result.err == (
        f"error: {tmp_path / 'none'}: the folder does not exist\nhint: Make it first\n"
    )


def test_pull_by_a_manifest_that_lies_elsewhere_brings_it_along(
    run: Command, dense: str, apart: str, tmp_path: Path
) -> None:
    assert run("pull", "--manifest-url", apart, dense, tmp_path / "copy").code == OK
    assert (tmp_path / "copy/dense.h5.manifest.json").read_bytes() == peek(apart)
    assert run("verify", tmp_path / "copy/dense.h5").code == OK
    poke(dense, peek(dense)[:-1] + b"X")
    result = run("pull", "--manifest-url", apart, dense, tmp_path / "again")
    assert result.code == INTEGRITY
    assert not (tmp_path / "again").exists()


def test_push_copies_a_model_and_writes_a_manifest(run: Command, base: str, tmp_path: Path) -> None:
    path = write_h5(tmp_path / "m.h5")
    result = run("push", path, f"{base}/m.h5")
    digest = manifest_of(f"{base}/m.h5").digest
    assert result == (OK, f"pushed 1 file, {digest}\n", "")
    assert peek(f"{base}/m.h5") == path.read_bytes()


def test_push_as_json_prints_the_manifest(run: Command, base: str, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"")
    (folder / "fingerprint.pb").write_bytes(b"print")
    document = run("push", "--json", folder, f"{base}/saved").document
    manifest = manifest_of(f"{base}/saved")
    assert document == manifest.to_json() | {"manifest_digest": manifest.digest}


def test_push_of_what_was_pulled_keeps_what_the_manifest_says(
    run: Command, h5: str, base: str, tmp_path: Path
) -> None:
    assert run("pull", h5, tmp_path / "copy").code == OK
    assert run("push", tmp_path / "copy", f"{base}/again.h5").code == OK
    again = manifest_of(f"{base}/again.h5")
    assert (again.metadata, again.created) == ({"step": 7}, "2026-03-14T09:26:53Z")
    assert again.producer["keras"] == "3.15.0"


def test_push_without_overwriting_fails_if_something_is_there(
    run: Command, h5: str, tmp_path: Path
) -> None:
    before = peek(h5)
    other = write_h5(tmp_path / "model.h5", content=1)
    result = run("push", "--no-overwrite", other, h5)
    assert result.code == FAILED
    assert result.err == (
        f"error: {h5}: a model is stored here already\n"
        "hint: Leave out --no-overwrite to replace it\n"
    )
    assert peek(h5) == before
    assert run("push", other, h5).code == OK
    assert peek(h5) != before


def test_push_of_what_is_no_model_is_refused(run: Command, base: str, tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(b"\x80\x04.")
    result = run("push", tmp_path / "m.pkl", f"{base}/m")
    assert result.code == FAILED
    assert "a pickle" in result.err


# adopt


def test_adopt_writes_a_manifest_and_nothing_else(run: Command, dense: str) -> None:
    before = peek(dense)
    result = run("adopt", dense)
    digest = manifest_of(dense).digest
    assert result == (OK, f"adopted 1 file, 3 tensors, {digest}\n", "")
    assert peek(dense) == before
    assert run("verify", dense).code == OK


def test_adopt_as_json_prints_the_manifest(run: Command, dense: str) -> None:
    document = run("adopt", "--json", dense).document
    manifest = manifest_of(dense)
    assert document == manifest.to_json() | {"manifest_digest": manifest.digest}


def test_adopt_names_the_tensors_that_cannot_be_read_lazily(
    run: Command, base: str, tmp_path: Path
) -> None:
    path = write_dense(tmp_path / "m.h5", compressed=True)
    poke(f"{base}/m.h5", path.read_bytes())
    result = run("adopt", f"{base}/m.h5")
    assert (result.code, result.out.partition(", sha256")[0]) == (OK, "adopted 1 file, 2 tensors")
    assert re.fullmatch(r"note: \S+m\.h5: .* lazily: \S+/bias:0\n", result.err)
    assert run("adopt", "--overwrite", "-q", f"{base}/m.h5") == (OK, "", "")


@pytest.mark.parametrize("words", [(), ("--manifest-url",)], ids=str)
def test_adopt_replaces_a_manifest_only_if_it_may(
    run: Command, dense: str, base: str, words: tuple[str, ...]
) -> None:
    where = [*words, *[f"{base}/manifests/dense.json" for _ in words]]
    assert run("adopt", dense, *where).code == OK
    result = run("adopt", dense, *where)
    assert (result.code, result.out) == (FAILED, "")
    assert "the model has a manifest already" in result.err
    assert run("adopt", "--overwrite", dense, *where).code == OK


def test_adopt_puts_the_manifest_elsewhere(run: Command, dense: str, base: str) -> None:
    assert run("adopt", "--manifest-url", f"{base}/apart.json", dense).code == OK
    assert Manifest.from_json(json.loads(peek(f"{base}/apart.json"))).format == "h5"
    assert remote_models.open_model(dense).manifest is None


# weights


def test_weights_lists_the_tensors(run: Command, adopted: str) -> None:
    result = run("weights", adopted)
    assert (result.code, result.err) == (OK, "")
    assert [line.split() for line in result.out.splitlines()] == [
        ["4.8", "kB", "weight", "float32", "300x4", "dense/kernel"],
        ["16", "B", "weight", "float32", "4", "dense/bias"],
        ["8", "B", "optimizer", "int64", "scalar", "optimizer/iteration"],
    ]
    assert len({line.rindex(" ") for line in result.out.splitlines()}) == 1  # in columns


def test_weights_as_json(run: Command, adopted: str) -> None:
    documents = run("weights", "--json", adopted).document
    assert documents[0] == {
        "name": "dense/kernel", "key": "model_weights/dense/dense/kernel:0",
        "dtype": "float32", "shape": [300, 4], "bytes": 4800, "role": "weight",
    }  # fmt: skip
    assert {tuple(each) for each in documents} == {tuple(documents[0])}
    assert documents[2]["shape"] == []


def test_weights_that_match(run: Command, adopted: str) -> None:
    def names(*globs: str) -> list[str]:
        flags = [word for glob in globs for word in ("--match", glob)]
        return [each["name"] for each in run("weights", "--json", *flags, adopted).document]

    assert names("dense/*") == ["dense/kernel", "dense/bias"]
    assert names("*/bias", "opt*") == ["dense/bias", "optimizer/iteration"]
    assert names("dense/[bk]*") == names("dense/*")


def test_weights_that_match_nothing_are_not_found(run: Command, adopted: str) -> None:
    result = run("weights", "--match", "dense/*", "--match", "Dense/*", adopted)
    assert (result.code, result.out) == (NOT_FOUND, "")
    assert result.err == (
        f"error: {adopted}: no tensor has such a name (found 'Dense/*')\n"
        "hint: Leave --match out to see the names\n"
    )


def test_weights_of_a_model_without_tensors(run: Command, saved_model: str) -> None:
    assert run("weights", saved_model) == (OK, "", "note: the model holds no tensors\n")
    assert run("weights", "--json", saved_model).document == []
    assert run("weights", "-q", saved_model) == (OK, "", "")


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_weights_to_a_file(run: Command, adopted: str, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"out.{kind}"
    result = run("weights", adopted, "--to", path, "--match", "dense/*")
    assert result == (OK, f"exported 2 tensors, 4.8 kB, to {path}\n", "")
    found = read_export(path)
    assert found.keys() == {"dense/kernel", "dense/bias"}
    assert np.array_equal(found["dense/kernel"], KERNEL)
    names = run("weights", "--json", adopted, "--to", path).document
    assert names == ["dense/kernel", "dense/bias", "optimizer/iteration"]
    assert read_export(path).keys() == set(names)
    assert run("weights", "-q", adopted, "--to", path) == (OK, "", "")


def read_export(path: Path) -> dict[str, Any]:
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return dict(arrays)
    data = path.read_bytes()  # https://github.com/huggingface/safetensors, "Format"
    begin = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:begin])
    dtypes = {"F32": "<f4", "I64": "<i8"}
    return {
        name: np.frombuffer(
            data[begin + each["data_offsets"][0] : begin + each["data_offsets"][1]],
            dtypes[each["dtype"]],
        ).reshape(each["shape"])
        for name, each in header.items()
    }


def test_weights_that_nothing_vouches_for_are_read_only_if_asked(
    run: Command, dense: str, apart: str, tmp_path: Path
) -> None:
    path = tmp_path / "out.npz"
    refused = run("weights", dense, "--to", path)
    assert (refused.code, refused.out) == (INTEGRITY, "")
    assert "nothing vouches for these bytes" in refused.err
    assert not path.exists()
    note = "note: no manifest vouches for these bytes\n"
    assert run("weights", dense).err == note
    assert run("weights", "--unverified", dense, "--to", path).err == note
    assert np.array_equal(read_export(path)["dense/kernel"], KERNEL)
    assert run("weights", "-q", "--unverified", dense, "--to", path) == (OK, "", "")
    assert run("weights", "--manifest-url", apart, dense, "--to", path).err == ""


def test_weights_that_are_damaged_leave_no_file(run: Command, adopted: str, tmp_path: Path) -> None:
    poke(adopted, peek(adopted).replace(KERNEL.tobytes(), (KERNEL + 1).tobytes()))
    for flags in ((), ("--unverified",)):  # a manifest is believed all the same
        result = run("weights", adopted, *flags, "--to", tmp_path / "out.npz")
        assert result.code == INTEGRITY
        assert "(dense/kernel): the bytes are not those" in result.err
        assert sorted(path.name for path in tmp_path.iterdir()) == ["made"]


def test_weights_to_a_place_that_cannot_be(run: Command, adopted: str, tmp_path: Path) -> None:
    unknown = run("weights", adopted, "--to", tmp_path / "out.pt")
    assert unknown.code == USAGE
    assert "expected .safetensors or .npz" in unknown.err
    missing = run("weights", adopted, "--to", tmp_path / "none" / "out.npz")
    assert missing.code == NOT_FOUND
    assert f"{tmp_path / 'none'}: the folder does not exist" in missing.err


# Errors


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "gc"])
def test_where_nothing_is_every_verb_says_so(
    run: Command, verb: str, base: str, tmp_path: Path
) -> None:
    words: dict[str, list[str | Path]] = {
        "pull": [f"{base}/none", tmp_path / "x"],
        "copy": [f"{base}/none", f"{base}/m"],
        "diff": [f"{base}/none", f"{base}/m"],
        "push": [tmp_path / "none", f"{base}/m"],
        "sign": [f"{base}/none", "--key", key_pair().write(tmp_path)[0]],
        "promote": [f"{base}/none", "1", "production"],
        "prune": [f"{base}/none", "--keep-last", "1"],
    }
    result = run(verb, *words.get(verb, [f"{base}/none"]))
    assert (result.code, result.out) == (NOT_FOUND, "")
    assert re.fullmatch(r"error: \S+none: [^\n]+\n(hint: [^\n]+\n)?", result.err)


@pytest.mark.parametrize("verb", ["adopt", "info", "ls", "verify", "weights"])
def test_a_damaged_manifest_is_an_integrity_error(run: Command, verb: str, h5: str) -> None:
    poke(f"{h5}.manifest.json", b'{"schema":3}')
    result = run(verb, h5)
    assert result.code == INTEGRITY
    assert result.err.startswith(f"error: {h5}.manifest.json (schema): unknown manifest")
    assert "upgrade remote_models" in result.err


@pytest.mark.parametrize("verb", ["verify", "pull", "weights"])
def test_another_artifact_than_the_pinned_one_is_refused(
    run: Command, verb: str, h5: str, tmp_path: Path
) -> None:
    words: list[str | Path] = [h5, tmp_path / "copy"] if verb == "pull" else [h5]
    result = run(verb, "--manifest-digest", f"sha256:{'0' * 64}", *words)
    assert result.code == INTEGRITY
    assert "not the pinned manifest" in result.err
    assert run(verb, "--manifest-digest", "md5:0", *words).code == USAGE


@pytest.mark.parametrize("url", ["s3:/bucket/m", "", "nosuch://a/b", "memory://"])
def test_a_url_that_makes_no_sense_is_wrong_usage(run: Command, url: str) -> None:
    result = run("info", url)
    assert result.code == USAGE
    assert result.err.startswith("error: ")


@pytest.mark.parametrize(
    "words",
    [
        (), ("nonsense",), ("info",), ("info", "a", "b"), ("pull", "a"), ("push", "a"),
        ("info", "--nonsense", "a"), ("info", "a", "-o"), ("ls", "--manifest-digest", "x", "a"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_words_that_make_no_command_are_wrong_usage(run: Command, words: tuple[str, ...]) -> None:
    result = run.exits(*words)
    assert result.code == USAGE
    assert result.err.startswith("usage: remote-models")


def test_an_error_as_json_has_the_same_keys_always(
    run: Command, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run("info", "--json", f"{base}/none")
    assert result.code == NOT_FOUND
    assert result.document == {
        "error": "ModelNotFoundError",
        "message": f"{base}/none: no model is stored here",
        "hint": "Check the URL",
    }
    assert result.err.startswith("error: ")
    fail_with(monkeypatch, ZeroDivisionError())
    unknown = run("info", "--json", base)
    assert unknown.document.keys() == result.document.keys()


CALLS = ("collect_garbage",
    "Repository", "adopt_model", "copy_model", "list_models", "open_model", "pull_model",
    "push_model", "sign_model", "verify_model",
)  # fmt: skip
"""What the command line calls of the library."""


def replace_calls(monkeypatch: pytest.MonkeyPatch, substitute: Callable[..., object]) -> None:
    places = [
        (module, name)
        for module in (_copies, _diff, _gc, _inspect, _signing, _tensors, _versions)
        for name in CALLS
        if hasattr(module, name)
    ]
    assert {name for _, name in places} == set(CALLS)
    for module, name in places:
        monkeypatch.setattr(module, name, substitute)


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise error

    replace_calls(monkeypatch, fail)


WORDS = {
    "gc": ("gc", "u"), "info": ("info", "u"), "ls": ("ls", "u"), "verify": ("verify", "u"),
    "pull": ("pull", "u", "d"), "push": ("push", "d", "u"), "adopt": ("adopt", "u"),
    "sign": ("sign", "u", "--key", "k.pem"),
    "copy": ("copy", "u", "v"), "diff": ("diff", "u", "v"),
    "weights": ("weights", "u"), "versions": ("versions", "u"),
    "promote": ("promote", "u", "1", "a"), "prune": ("prune", "u", "--keep-last", "1"),
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_an_unknown_error_is_one_line_and_asks_for_a_report(
    run: Command, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, ZeroDivisionError("division\nby zero"))
    result = run(*WORDS[verb])
    assert (result.code, result.out) == (FAILED, "")
    assert result.err == (
        "error: ZeroDivisionError: division\n"
        "hint: Run it again with --debug and report what it prints\n"
    )


@pytest.mark.parametrize("verb", VERBS)
def test_a_traceback_is_printed_only_if_it_is_asked_for(
    run: Command, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, StoreUnavailableError("down", where="s3://b", hint="Wait"))
    assert run(*WORDS[verb]) == (FAILED, "", "error: s3://b: down\nhint: Wait\n")
    result = run(*WORDS[verb], "--debug")
    assert result.err.startswith("Traceback (most recent call last):")
    assert "in fail" in result.err
    assert result.err.endswith("error: s3://b: down\nhint: Wait\n")


def test_an_error_without_a_message_is_named(run: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, ZeroDivisionError())
    assert run("info", "u").err.startswith("error: ZeroDivisionError: no message\n")


def test_an_error_of_several_lines_is_printed_in_one(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, StoreUnavailableError("a\n  b", hint="c\nd"))
    assert run("info", "u").err == "error: a b\nhint: c d\n"


def test_a_file_that_cannot_be_opened_is_named(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, PermissionError(13, "Permission denied", "/srv/x"))
    assert run("info", "u") == (FAILED, "", "error: /srv/x: Permission denied\n")


def test_an_interrupt_says_so_and_exits_as_shells_have_it(
    run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_with(monkeypatch, KeyboardInterrupt())
    assert run("info", "u") == (INTERRUPTED, "", "interrupted\n")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_an_error_does_not_stand_behind_half_a_progress_bar(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    fail_with(monkeypatch, StoreUnavailableError("down"))
    assert main(["info", "u"]) == FAILED
    assert stderr.getvalue() == f"{CLEAR_LINE}error: down\n"


@pytest.mark.parametrize("verb", ["verify", "pull", "adopt"])
def test_progress_is_drawn_on_a_terminal_unless_it_is_to_be_quiet(
    verb: str, h5: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults = ProgressBar.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "quiet_seconds", 0)
    for quiet in ((), ("-q",)):
        monkeypatch.setattr(sys, "stderr", stderr := Terminal())
        rest = {"pull": [str(tmp_path / f"copy{len(quiet)}")], "adopt": ["--overwrite"]}
        assert main([verb, *quiet, h5, *rest.get(verb, [])]) == OK
        assert bool(stderr.getvalue()) != bool(quiet)


# Other people's text


def test_names_and_metadata_cannot_steer_the_terminal(
    run: Command, base: str, tmp_path: Path
) -> None:
    evil = "\x1b]0;owned\x07\x9b2J\u202e"
    poke(f"{base}/{evil}.keras", b"x")
    put(f"{base}/m.h5", write_h5(tmp_path / "m.h5"), metadata={"note": evil})
    where = f"{base}/m.h5.manifest.json"
    poke(where, peek(where).replace(b'"keras":"3.15.0"', b'"keras":"3\\u001b[2J"'))
    for result in (run("ls", base), run("info", f"{base}/m.h5"), run("info", f"{base}/{evil}")):
        for line in (result.out + result.err).splitlines():
            assert line.isprintable()
    assert "\\x1b]0;owned" in run("ls", base).out
    assert run("ls", "--json", base).document[0]["path"] == f"{evil}.keras"


def test_names_that_the_terminal_cannot_encode_are_escaped(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    poke(f"{base}/名前.keras", b"x")
    for words in (["ls", base], ["ls", "--json", base], ["info", f"{base}/é"]):
        stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
        assert main(words) in (OK, NOT_FOUND)


@pytest.mark.parametrize("verb", [(), *((verb,) for verb in VERBS)], ids=str)
def test_help_is_ascii(run: Command, verb: tuple[str, ...]) -> None:
    assert run.exits(*verb, "--help").out.isascii()


# Options


class Options(NamedTuple):
    storage_option: list[str]


@pytest.mark.parametrize(
    ("words", "parsed"),
    [
        ((), {}),
        (("anon=true", "n=3", "token=anon"), {"anon": True, "n": 3, "token": "anon"}),
        (("a=b=c", "a=d"), {"a": "d"}),
        (("x=",), {"x": ""}),
        (('client_kwargs={"endpoint_url": "http://h:1"}',),
         {"client_kwargs": {"endpoint_url": "http://h:1"}}),
        (('id="0123"', "zip=0123"), {"id": "0123", "zip": "0123"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("verb", VERBS)
def test_storage_options_reach_the_store(
    verb: str,
    words: tuple[str, ...],
    parsed: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []

    def remember(*_args: object, storage_options: object, **_options: object) -> None:
        seen.append(storage_options)
        raise KeyboardInterrupt

    replace_calls(monkeypatch, remember)
    flags = [flag for word in words for flag in ("-o", word)]
    assert main([*WORDS[verb], *flags]) == INTERRUPTED
    assert seen == [parsed]


@pytest.mark.parametrize("word", ["secret", "=value", ""])
def test_what_is_no_storage_option_is_wrong_usage(run: Command, word: str, h5: str) -> None:
    result = run("info", h5, "-o", word)
    assert result.code == USAGE
    assert "expected KEY=VALUE" in result.err


def test_a_malformed_option_does_not_print_its_value(run: Command, h5: str) -> None:
    assert "hunter2" not in run("info", h5, "-o", "=hunter2").err


def test_quiet_prints_nothing_but_errors(run: Command, h5: str, base: str, tmp_path: Path) -> None:
    source = write_h5(tmp_path / "m.h5")
    for words in (
        ("info", h5), ("ls", h5), ("ls", base), ("verify", h5), ("pull", h5, tmp_path / "copy"),
        ("push", source, f"{base}/m.h5"), ("adopt", "--overwrite", h5), ("weights", h5),
    ):  # fmt: skip
        assert run(*words, "-q") == (OK, "", "")
    assert run("info", "-q", f"{base}/none").err


# Help


def test_help_names_every_verb_and_exit_code(run: Command) -> None:
    text = run.exits("--help").out
    for verb in VERBS:
        assert re.search(rf"^    {verb} +\w+", text, re.MULTILINE)
    for code in (OK, FAILED, USAGE, NOT_FOUND, INTEGRITY, INTERRUPTED):
        assert re.search(rf"\b{code} [a-z]", text)
    for variable in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "GOOGLE_APPLICATION_CREDENTIALS"):
        assert variable in text


def test_every_verb_and_every_option_says_what_it_does() -> None:
    parser = make_parser()
    (verbs,) = (
        action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    assert sorted(verbs.choices) == sorted((*VERBS, "cache"))
    for name, verb in verbs.choices.items():
        assert len(verb.description.split()) > 12, name
        for action in verb._actions:
            assert action.help, (name, action.dest)
            assert action.metavar or action.nargs == 0, (name, action.dest)


def test_every_verb_has_help_of_its_own(run: Command) -> None:
    texts = {verb: run.exits(verb, "--help").out for verb in VERBS}
    assert len({text.partition("\n\n")[2] for text in texts.values()}) == len(VERBS)
    assert all("--json" in text and "--debug" in text for text in texts.values())


def test_the_version_is_that_of_the_package(run: Command) -> None:
    assert run.exits("--version").out == f"remote-models {remote_models.__version__}\n"


# Children: what only a process of its own can show


@pytest.fixture(autouse=True)
def buffered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let children buffer their output, as Python does for users."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


def child(*words: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "remote_models", *words],
        capture_output=True, text=True, timeout=60, check=False, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def local_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model and, below, more than a pipe can hold the names of."""
    folder = tmp_path_factory.mktemp("models")
    put(str(folder / "model.h5"), write_h5(folder / "made" / "model.h5"))
    (folder / "many").mkdir()
    for number in range(500):
        (folder / "many" / f"{'long' * 50}-{number}.keras").touch()
    return folder


def test_the_module_runs(local_models: Path) -> None:
    result = child("verify", local_models / "model.h5")
    assert (result.returncode, result.stderr) == (OK, "")
    assert result.stdout.startswith("ok: 1 file, ")
    missing = child("info", local_models / "none.h5")
    assert (missing.returncode, missing.stdout) == (NOT_FOUND, "")
    assert "Traceback" not in missing.stderr


def test_the_console_script_runs(local_models: Path) -> None:
    script = Path(sys.executable).with_name("remote-models")
    result = subprocess.run(
        [script, "ls", "--json", "model.h5"],
        capture_output=True, text=True, timeout=60, check=True, cwd=local_models,
    )  # fmt: skip
    assert [row["path"] for row in json.loads(result.stdout)] == ["model.h5"]


def test_the_exit_code_of_wrong_usage(local_models: Path) -> None:
    assert child().returncode == USAGE
    assert child("info", "s3:/x").returncode == USAGE


SEE_MODULES = """
import sys
from remote_models.cli import main
codes = [main([*words]) for words in (
    ("info", sys.argv[1]), ("info", sys.argv[2]), ("ls", sys.argv[1]), ("verify", sys.argv[1]),
    ("pull", sys.argv[1], sys.argv[3]), ("push", sys.argv[1], sys.argv[4]),
    ("adopt", sys.argv[4], "--overwrite"), ("weights", sys.argv[4], "--to", sys.argv[5]),
)]
print(codes, sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def test_no_verb_imports_a_framework(local_models: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [
            sys.executable, "-c", SEE_MODULES, local_models / "model.h5",
            local_models / "made/model.h5", tmp_path / "a", tmp_path / "b.h5",
            tmp_path / "c.npz",
        ],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert result.stderr.startswith("[0, 0, 0, 0, 0, 0, 0, 0]")
    for framework in FRAMEWORKS:
        assert f"'{framework}'" not in result.stderr
    assert "'h5py'" in result.stderr  # the test sees what is imported


def test_help_is_quick_to_come() -> None:
    """It needs neither NumPy nor h5py nor a client of a store."""
    code = "import sys, remote_models.cli; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(result.stdout.split())
    assert "fsspec" in loaded
    assert not loaded & {"numpy", "h5py", "s3fs", "gcsfs", "botocore", *FRAMEWORKS}


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=str)
def test_a_reader_that_goes_away_is_no_error(local_models: Path, flags: tuple[str, ...]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "remote_models", "ls", *flags, local_models / "many"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == FAILED


def test_a_reader_that_was_never_there_is_no_error(local_models: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    result = subprocess.run(
        [sys.executable, "-m", "remote_models", "info", local_models / "model.h5"],
        stdout=theirs, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    os.close(theirs)
    assert (result.returncode, result.stderr) == (FAILED, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_output_that_cannot_be_written_is_an_error(local_models: Path) -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "remote_models", "info", local_models / "model.h5"],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert result.returncode == FAILED
    assert result.stderr == "error: standard output: No space left on device\n"


def test_without_standard_streams_it_still_works(local_models: Path) -> None:
    command = f"'{sys.executable}' -m remote_models verify '{local_models / 'model.h5'}' >&- 2>&-"
    assert subprocess.run(["/bin/sh", "-c", command], timeout=60, check=False).returncode == OK


SLOW = """
import signal, sys, time
# A shell starts what it puts in the background with interrupts ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
from remote_models.cli import _inspect, main
def wait(*args, **options):
    print("ready", flush=True)
    time.sleep(60)
_inspect.open_model = wait
sys.exit(main(["info", "u"]))
"""


@pytest.fixture
def waiting() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_control_c_ends_it_without_a_traceback(waiting: subprocess.Popen[str]) -> None:
    waiting.send_signal(signal.SIGINT)
    _, err = waiting.communicate(timeout=30)
    assert (waiting.returncode, err) == (INTERRUPTED, "interrupted\n")
