"""Models without a manifest: what is read of them is of one and the same moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import remote_models as rm
from remote_models.errors import IntegrityError
from remote_models.storage import Location
from weights.artifacts import get, put, write_weights
from weights.published import copy_sample, upload

REPLACED = r"replaced while it was being read. Open the model again"


@pytest.fixture
def files(tmp_path: Path) -> tuple[bytes, bytes]:
    """Two weights files of one structure and length."""
    contents = []
    for number in (1, 2):
        path = tmp_path / "model.weights.h5"
        values = [np.full((300, 400), number, "float32"), np.full(400, number, "float32")]
        write_weights(path, {"dense": values, "out": [values[0][:70]]})
        contents.append(path.read_bytes())
        path.unlink()
    first, second = contents
    assert len(first) == len(second)
    return first, second


def opened(location: Location) -> rm.RemoteModel:
    return rm.open_model(
        str(location), verify=False, storage_options=dict(location.storage_options)
    )


def test_tensors_are_those_of_the_file_that_was_opened(
    base: Location, files: tuple[bytes, bytes]
) -> None:
    location = base.join("model.weights.h5")
    put(location, files[0])
    remote = opened(location)
    kernel = next(iter(remote.weights.values()))
    assert np.all(kernel[:3] == 1)
    put(location, files[1])
    with pytest.raises(IntegrityError, match=REPLACED):
        kernel[3:5]
    with pytest.raises(IntegrityError, match=REPLACED):
        remote.weights.fetch()
    again = opened(location)
    assert all(np.all(np.asarray(tensor) == 2) for tensor in again.weights.values())


def test_an_index_is_that_of_the_file_that_was_opened(
    base: Location, files: tuple[bytes, bytes]
) -> None:
    location = base.join("model.weights.h5")
    put(location, files[0])
    remote = opened(location)
    put(location, files[1])
    with pytest.raises(IntegrityError, match=REPLACED):
        _ = remote.weights


def test_a_copy_is_that_of_the_file_that_was_opened(
    base: Location, files: tuple[bytes, bytes], tmp_path: Path
) -> None:
    location = base.join("model.weights.h5")
    put(location, files[0])
    remote = opened(location)
    put(location, files[1])
    (tmp_path / "copy").mkdir()
    with pytest.raises(IntegrityError, match=REPLACED):
        remote.download(tmp_path / "copy")


@pytest.mark.parametrize("name", ["keras_directory", "tf_checkpoint", "sharded_weights"])
def test_no_file_of_several_is_a_later_one(base: Location, tmp_path: Path, name: str) -> None:
    """Nor one that is read for the first time after it was replaced by one of equal length."""
    path = copy_sample(name, tmp_path)
    location = upload(path, base)
    remote = opened(location)
    largest = max(remote.files, key=lambda file: remote.files[file])
    where = remote.file_location(largest)
    put(where, get(where)[::-1])
    (tmp_path / "copy").mkdir()
    with pytest.raises(IntegrityError, match=REPLACED) as caught:
        remote.download(tmp_path / "copy")
    assert caught.value.where == str(where)


def test_a_file_that_is_written_into_is_refused(
    local_base: Location, tmp_path: Path, files: tuple[bytes, bytes]
) -> None:
    location = local_base.join("model.weights.h5")
    put(location, files[0])
    remote = opened(location)
    tensor = next(iter(remote.weights.values()))
    assert np.all(tensor[:1] == 1)
    with open(location.path, "r+b") as file:
        file.seek(len(files[0]) // 2)
        file.write(b"\xff" * 8)
    with pytest.raises(IntegrityError, match=REPLACED):
        np.asarray(tensor)
