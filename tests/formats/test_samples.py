"""Every file that Keras 3.15 and tf_keras 2.21 really wrote is taken for what it is."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import pytest

from remote_models.formats import (
    Format,
    Recognition,
    recognise_directory,
    recognise_file,
    shard_names,
)

SAMPLES = Path(__file__).parent / "samples"

FILES = {
    "keras-3.15.1/model.keras": Recognition(
        format=Format.KERAS, generation=3, keras_version="3.15.1"
    ),
    "keras-3.15.1/model.h5": Recognition(format=Format.H5, generation=3, keras_version="3.15.1"),
    "keras-3.15.1/model.weights.h5": Recognition(format=Format.KERAS_WEIGHTS, generation=3),
    "keras-3.15.1/model.json": Recognition(format=Format.ARCHITECTURE, generation=3),
    "keras-3.15.1/shards.weights.json": Recognition(format=Format.SHARDED_WEIGHTS, generation=3),
    "tf_keras-2.21.0/model.keras": Recognition(
        format=Format.KERAS, generation=2, keras_version="2.21.0"
    ),
    "tf_keras-2.21.0/model.h5": Recognition(format=Format.H5, generation=2, keras_version="2.21.0"),
    "tf_keras-2.21.0/legacy.h5": Recognition(
        format=Format.H5_WEIGHTS, generation=2, keras_version="2.21.0"
    ),
    "tf_keras-2.21.0/model.weights.h5": Recognition(format=Format.KERAS_WEIGHTS, generation=2),
    "tf_keras-2.21.0/model.json": Recognition(
        format=Format.ARCHITECTURE, generation=2, keras_version="2.21.0"
    ),
}

DIRECTORIES = {
    "keras-3.15.1/unpacked": Recognition(
        format=Format.KERAS_DIRECTORY, generation=3, keras_version="3.15.1"
    ),
    "keras-3.15.1/exported": Recognition(
        format=Format.SAVED_MODEL, generation=None, has_keras_metadata=False
    ),
    "tf_keras-2.21.0/saved_model": Recognition(format=Format.SAVED_MODEL, generation=2),
}


@pytest.mark.parametrize(("name", "expected"), FILES.items())
def test_file(name: str, expected: Recognition) -> None:
    with (SAMPLES / name).open("rb") as file:
        assert recognise_file(file, where=name) == expected


@pytest.mark.parametrize(("name", "expected"), FILES.items())
def test_name_does_not_matter(tmp_path: Path, name: str, expected: Recognition) -> None:
    for suffix in (".h5", ".keras", ".json", ".txt"):
        path = tmp_path / f"file{suffix}"
        path.write_bytes((SAMPLES / name).read_bytes())
        with path.open("rb") as file:
            assert recognise_file(file, where=path.name) == expected


@pytest.mark.parametrize(("name", "expected"), DIRECTORIES.items())
def test_directory(name: str, expected: Recognition) -> None:
    folder = SAMPLES / name

    def open_file(path: str) -> IO[bytes]:
        return (folder / path).open("rb")

    names = [each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()]
    assert recognise_directory(names, open_file, where=name) == expected


def test_shards_are_named() -> None:
    with (SAMPLES / "keras-3.15.1/shards.weights.json").open("rb") as file:
        assert shard_names(file, where="map") == [
            "shards_00000.weights.h5",
            "shards_00001.weights.h5",
        ]


def test_every_sample_is_expected() -> None:
    """A sample that nobody looks at would be kept in vain."""
    known = {*FILES, *DIRECTORIES, "tf_keras-2.21.0/checkpoint"}
    found = {
        path.relative_to(SAMPLES).as_posix()
        for folder in SAMPLES.glob("*keras-*")
        for path in folder.iterdir()
        if not path.name.startswith("shards_")
    }
    assert found == known


@pytest.mark.parametrize("name", FILES)
def test_titles_fit_into_a_sentence(name: str) -> None:
    with (SAMPLES / name).open("rb") as file:
        title = recognise_file(file, where=name).title
    assert not title.endswith(".")
    assert "Keras" in title or ".keras" in title
