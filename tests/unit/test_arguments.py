"""Names of models: which format each asks for, and which are mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

import remote_models as rm
from remote_models._api._arguments import local_path, model_format
from remote_models.errors import ArgumentError
from remote_models.formats import Format
from remote_models.storage import Location


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet", Format.SAVED_MODEL),
        ("resnet.v2", Format.SAVED_MODEL),
        ("resnet-1.0.3", Format.SAVED_MODEL),
        ("2026.11.24", Format.SAVED_MODEL),
        ("model.savedmodel", Format.SAVED_MODEL),
        ("model.tf", Format.SAVED_MODEL),
        ("model.KERAS", Format.KERAS),
        ("model.h5", Format.H5),
        ("model.hdf5", Format.H5),
    ],
)
def test_names(name: str, expected: Format) -> None:
    assert model_format(Location.parse(f"s3://bucket/{name}"), None) is expected


@pytest.mark.parametrize(
    ("suffix", "meant"),
    [(".kears", ".keras"), (".kera", ".keras"), (".hdf", ".hdf5"), (".h55", ".h5"),
     (".onnx", ".keras or .h5 or .hdf5"), (".txt", ".keras"), (".PB", ".keras")],
)  # fmt: skip
def test_mistakes_are_refused_unless_they_are_meant(suffix: str, meant: str) -> None:
    location = Location.parse(f"memory://model{suffix}")
    with pytest.raises(ArgumentError, match="SavedModel is a directory") as error:
        model_format(location, None)
    assert meant in str(error.value.expected)
    assert model_format(location, "tf") is Format.SAVED_MODEL


@pytest.mark.parametrize(
    ("where", "options"),
    [
        ("transfer", {"transfer": {"max_concurrency": 4}}),
        ("storage_options", {"storage_options": "anon"}),
        ("prefetch", {"lazy": True, "prefetch": "all"}),
        ("prefetch", {"prefetch": True}),
    ],
)
def test_arguments_of_wrong_types_are_named(where: str, options: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError) as error:
        rm.load_model("memory://nothing.keras", **options)
    assert error.value.where == where


@pytest.mark.parametrize("url", ["s3://bucket/model", "memory://model", Path("s3:/bucket/model")])
def test_a_url_is_no_local_path(url: str | Path, tmp_path: Path) -> None:
    for act in (
        lambda: rm.pull_model(tmp_path, url),
        lambda: rm.push_model(url, tmp_path / "copy"),
        lambda: rm.export_weights(cast("rm.Weights", None), f"{url}.npz"),
    ):
        with pytest.raises(ArgumentError, match=r"path on this machine|URL that lost"):
            act()
    assert list(tmp_path.iterdir()) == []


def test_a_local_path_may_be_a_url(tmp_path: Path) -> None:
    path = local_path(f"file://{tmp_path}/model", where="path", hint="")
    assert path == tmp_path / "model"
    assert local_path("model", where="path", hint="") == Path("model")
