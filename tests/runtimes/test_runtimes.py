"""Models saved with exports, and predicted with by whatever is at hand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import remote_models as rm
from remote_models.cli import main
from remote_models.cli._exit_codes import OK
from remote_models.errors import (
    ArgumentError,
    FormatError,
    IntegrityError,
    ManifestError,
    MissingDependencyError,
)
from remote_models.runtimes import Runtime

FRAMEWORKS = ("keras", "tf_keras")

CLOSE = 2e-5

Cases = Mapping[str, dict[str, Any]]


def run_child(script: str, *arguments: str, folder: Path) -> list[dict[str, Any]]:
    here = Path(__file__).parent
    child = subprocess.run(
        [sys.executable, str(here / script), *arguments],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(here.parents[1]), str(here.parent)]),
            "KERAS_BACKEND": "tensorflow",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
            "TMPDIR": str(folder),
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-4000:]
    return [json.loads(line) for line in child.stdout.splitlines() if line.startswith("{")]


class Saved:
    """What a framework has saved: a folder, and what it computes in each case."""

    def __init__(self, framework: str, folder: Path) -> None:
        self.folder = folder
        temporary = folder.with_name(f"{folder.name}-tmp")
        temporary.mkdir()
        found = run_child("saving_child.py", framework, str(folder), folder=temporary)
        self.cases: Cases = {each["case"]: each for each in found}

    def url(self, case: str) -> Path:
        return self.folder / str(self.cases[case]["name"])

    def inputs(self, case: str) -> dict[str, np.ndarray[Any, Any]]:
        return {name: np.asarray(value) for name, value in self.cases[case]["inputs"].items()}

    def check(self, case: str, runtime: Runtime, outputs: Mapping[str, Any]) -> None:
        """Hold that a prediction is what the model computes."""
        expected = [np.asarray(each, np.float32) for each in self.cases[case]["outputs"]]
        assert sorted(outputs) == [spec.name for spec in runtime.signature.outputs]
        names = ["second", "first"] if len(expected) > 1 else list(outputs)
        for name, right in zip(names, expected, strict=True):
            np.testing.assert_allclose(outputs[name], right, atol=CLOSE)


@pytest.fixture(scope="module", params=FRAMEWORKS)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    folder: Path = tmp_path_factory.mktemp("exports") / str(request.param)
    folder.mkdir()
    return Saved(request.param, folder)


EXPORTED = {
    "directory": ("litert", "onnx"), "keras": ("litert", "onnx"), "h5": ("litert", "onnx"),
    "words": ("litert",), "recurrent": ("onnx",),
}  # fmt: skip


def test_each_export_predicts_what_the_model_does(saved: Saved) -> None:
    for case, runtimes in EXPORTED.items():
        for name in runtimes:
            with rm.load_runtime(saved.url(case), name) as runtime:
                assert runtime.name == name
                assert runtime.manifest_digest == saved.cases[case]["digest"]
                saved.check(case, runtime, runtime.predict(saved.inputs(case)))


def test_runtimes_agree_on_the_signature(saved: Saved) -> None:
    for case in ("directory", "keras", "h5"):
        litert = rm.load_runtime(saved.url(case), "litert").signature
        onnx = rm.load_runtime(saved.url(case), "onnx").signature
        assert litert == onnx
        assert all(spec.shape[0] is None for spec in (*litert.inputs, *litert.outputs))
    expected = (
        "(narrow: float32[?,3], wide: float32[?,4]) -> first: float32[?,1], second: float32[?,2]"
    )
    assert str(rm.load_runtime(saved.url("directory")).signature) == expected


def test_exports_are_files_of_the_artifact(saved: Saved) -> None:
    assert saved.cases["directory"]["exports"] == {
        "tflite": "exports/model.tflite", "onnx": "exports/model.onnx"
    }  # fmt: skip
    assert saved.cases["keras"]["files"] == ["m.keras", "m.keras.onnx", "m.keras.tflite"]
    for case in EXPORTED:
        assert rm.verify_model(saved.url(case)).ok
        with rm.open_model(saved.url(case)) as remote:
            assert remote.exports == saved.cases[case]["exports"]
            assert len(remote.weights)


@pytest.mark.parametrize("name", ["litert", "onnx"])
def test_batches_of_any_size_and_many_threads(saved: Saved, name: str) -> None:
    with rm.load_runtime(saved.url("directory"), name) as runtime:
        inputs = saved.inputs("directory")
        whole = runtime.predict(inputs)

        def predict(number: int) -> None:
            rows = slice(0, 1 + number % 5)
            found = runtime.predict({key: value[rows] for key, value in inputs.items()})
            for key, array in found.items():
                np.testing.assert_allclose(array, whole[key][rows], atol=CLOSE)

        with ThreadPoolExecutor(8) as pool:
            assert len(list(pool.map(predict, range(400)))) == 400


def test_one_array_or_several_in_order(saved: Saved) -> None:
    with rm.load_runtime(saved.url("h5")) as runtime:
        pixels = saved.inputs("h5")["pixels"]
        saved.check("h5", runtime, runtime.predict(pixels))
        saved.check("h5", runtime, runtime.predict([pixels]))
    with rm.load_runtime(saved.url("directory")) as runtime:
        inputs = saved.inputs("directory")
        in_order = [inputs[spec.name] for spec in runtime.signature.inputs]
        saved.check("directory", runtime, runtime.predict(in_order))


MISFITS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "too few": lambda inputs: {"wide": inputs["wide"]},
    "another name": lambda inputs: {"wide": inputs["wide"], "other": inputs["narrow"]},
    "one for two": lambda inputs: inputs["wide"],
    "another length": lambda inputs: {**inputs, "wide": inputs["narrow"]},
    "another rank": lambda inputs: {**inputs, "wide": inputs["wide"][0]},
    "two batches": lambda inputs: {**inputs, "wide": inputs["wide"][:2]},
    "text": lambda inputs: {**inputs, "wide": np.full((5, 4), "a")},
    "complex": lambda inputs: {**inputs, "wide": inputs["wide"] * 1j},
    "ragged": lambda inputs: {**inputs, "wide": [[1.0], [1.0, 2.0]]},
    "nothing": lambda inputs: None,
}


@pytest.mark.parametrize("name", ["litert", "onnx"])
def test_what_does_not_fit_is_refused_and_does_no_harm(saved: Saved, name: str) -> None:
    with rm.load_runtime(saved.url("directory"), name) as runtime:
        inputs = saved.inputs("directory")
        for misfit in MISFITS.values():
            with pytest.raises(ArgumentError, match="not what the model takes"):
                runtime.predict(misfit(inputs))
        saved.check("directory", runtime, runtime.predict(inputs))
        runtime.close()
        with pytest.raises(ArgumentError, match="closed"):
            runtime.predict(inputs)


@pytest.mark.parametrize("name", ["litert", "onnx"])
def test_no_framework_and_no_disk(saved: Saved, name: str, tmp_path: Path) -> None:
    (found,) = run_child("running_child.py", str(saved.url("directory")), name, folder=tmp_path)
    assert found["name"] == name
    assert found["written"] == found["temporary"] == found["imported"] == []
    assert sorted(found["outputs"]) == ["first", "second"]


def test_a_failed_export_publishes_nothing(saved: Saved) -> None:
    wrong = saved.cases["wrong"]
    assert wrong["error"] == "FormatError"
    assert "does not compute what the model does" in wrong["message"]
    inconvertible = saved.cases["inconvertible"]
    assert inconvertible["error"] == "FormatError"
    assert "TensorListReserve" in inconvertible["message"]
    assert saved.cases["unknown"]["error"] == "ArgumentError"
    assert [saved.cases[each]["there"] for each in ("wrong", "inconvertible", "unknown")] == [
        []
    ] * 3


def test_a_flipped_bit_is_found_whatever_it_is_in(saved: Saved) -> None:
    path = saved.url("keras").with_name("m.keras.tflite")
    right = path.read_bytes()
    try:
        for place in (4, len(right) // 2, len(right) - 1):
            path.write_bytes(right[:place] + bytes([right[place] ^ 1]) + right[place + 1 :])
            with pytest.raises(IntegrityError, match=r"m\.keras\.tflite"):
                rm.load_runtime(saved.url("keras"), "litert")
    finally:
        path.write_bytes(right)
    digest = saved.cases["keras"]["digest"]
    assert rm.load_runtime(saved.url("keras"), manifest_digest=digest).name == "litert"
    with pytest.raises(ManifestError):
        rm.load_runtime(saved.url("keras"), manifest_digest="sha256:" + 64 * "0")


def test_an_export_that_is_not_there(saved: Saved) -> None:
    with pytest.raises(FormatError, match="no onnx export"):
        rm.load_runtime(saved.url("words"), "onnx")
    with pytest.raises(ArgumentError, match="'litert'"):
        rm.load_runtime(saved.url("words"), "coreml")
    with pytest.raises(ArgumentError, match="num_threads"):
        rm.load_runtime(saved.url("words"), num_threads=0)


def test_auto_takes_what_is_installed(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    from remote_models._api import _runtimes

    monkeypatch.setattr(_runtimes, "is_installed", lambda name: name == "onnx")
    assert rm.load_runtime(saved.url("directory")).name == "onnx"
    monkeypatch.setattr(_runtimes, "is_installed", lambda name: False)
    monkeypatch.setattr(_runtimes, "_can_import", lambda package: False)
    with pytest.raises(MissingDependencyError, match=r"litert, onnx, keras.*\[tflite\]"):
        rm.load_runtime(saved.url("directory"))


def test_info_names_the_exports(saved: Saved, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(saved.url("words"))]) == OK
    shown = capsys.readouterr().out
    assert re.search(r"^exports +tflite w\.keras\.tflite$", shown, re.MULTILINE)
    assert main(["info", "--json", str(saved.url("bare"))]) == OK
    assert json.loads(capsys.readouterr().out)["exports"] == {}


def test_adopted_directories_keep_their_exports(saved: Saved, tmp_path: Path) -> None:
    shutil.copytree(saved.url("directory"), tmp_path / "m")
    (tmp_path / "m" / "manifest.json").unlink()
    manifest = rm.adopt_model(tmp_path / "m")
    assert manifest.exports == saved.cases["directory"]["exports"]
    assert rm.load_runtime(tmp_path / "m").name == "litert"


def test_copies_keep_their_exports(saved: Saved, tmp_path: Path) -> None:
    for case, target in (
        ("directory", "memory://exports/copy"),
        ("keras", "memory://exports/c.keras"),
    ):
        pulled = tmp_path / case
        rm.pull_model(saved.url(case), pulled)
        rm.push_model(pulled, target)
        with rm.load_runtime(target, "onnx") as runtime:
            saved.check(case, runtime, runtime.predict(saved.inputs(case)))
        assert rm.verify_model(target).ok
    rm.push_model(tmp_path / "keras", "memory://exports/renamed.keras")
    with rm.open_model("memory://exports/renamed.keras") as remote:
        assert remote.exports["onnx"] == "renamed.keras.onnx"
