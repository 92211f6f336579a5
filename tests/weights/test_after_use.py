"""What happens to opened weights, copies and folders later, or in odd places."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

import remote_models as rm
from remote_models._api._fetch import _remove
from remote_models.errors import StorageError, TensorNotFoundError


@pytest.fixture
def weights_file(tmp_path: Path) -> Path:
    path = tmp_path / "source" / "w.weights.h5"
    path.parent.mkdir()
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.arange(6, dtype="float32").reshape(2, 3)
        file["layers/dense/vars"].attrs["name"] = "dense"
    target = tmp_path / "w.weights.h5"
    rm.push_model(path, target)
    return target


def test_weights_can_be_pickled_after_they_were_read(weights_file: Path) -> None:
    weights = rm.open_model(weights_file).weights
    before = weights.fetch()
    after = pickle.loads(pickle.dumps(weights)).fetch()
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("name", [3, None, b"dense/kernel"])
def test_what_is_no_name_is_not_found(weights_file: Path, name: object) -> None:
    weights = rm.open_model(weights_file).weights
    assert name not in weights
    with pytest.raises(TensorNotFoundError):
        weights[name]  # type: ignore[index]  # what a caller may do by mistake
    with pytest.raises(TensorNotFoundError):
        weights.fetch([name])  # type: ignore[list-item]  # likewise


@pytest.mark.filterwarnings("ignore::remote_models.UnverifiedModelWarning")
def test_links_to_files_inside_are_read_whole(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "graph").write_bytes(b"g" * 1000)
    (model / "saved_model.pb").symlink_to("graph")
    rm.pull_model(model, tmp_path / "out")
    assert (tmp_path / "out" / "saved_model.pb").read_bytes() == b"g" * 1000


@pytest.mark.filterwarnings("ignore::remote_models.UnverifiedModelWarning")
def test_links_in_a_cache_of_hugging_face_are_read_whole(tmp_path: Path) -> None:
    blobs, model = tmp_path / "blobs", tmp_path / "snapshots" / "0123abc"
    blobs.mkdir()
    model.mkdir(parents=True)
    (blobs / "graph").write_bytes(b"g" * 1000)
    (model / "saved_model.pb").symlink_to("../../blobs/graph")
    rm.pull_model(model, tmp_path / "out")
    assert (tmp_path / "out" / "saved_model.pb").read_bytes() == b"g" * 1000


def test_a_link_to_a_folder_is_refused_rather_than_left_out(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "saved_model.pb").write_bytes(b"g")
    (tmp_path / "elsewhere").mkdir()
    (model / "variables").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(StorageError, match="link to a folder"):
        rm.pull_model(model, tmp_path / "out")


def test_a_forked_child_leaves_the_copy_to_its_parent(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    _remove(tmp_path / "copy", os.getpid() + 1)
    assert (tmp_path / "copy").is_dir()
    _remove(tmp_path / "copy", os.getpid())
    assert not (tmp_path / "copy").exists()
