"""Every format as a published artifact, from the frameworks' own small files."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

import remote_models as rm
from remote_models.storage import Location
from weights.artifacts import SAMPLES, put, write_weights

__all__ = ["FORMATS", "copy_sample", "publish", "upload"]

FORMATS: Mapping[str, str] = {
    "saved_model": "tf_keras-2.21.0/saved_model",
    "exported": "keras-3.15.1/exported",
    "keras": "keras-3.15.1/model.keras",
    "tf_keras_keras": "tf_keras-2.21.0/model.keras",
    "keras_directory": "keras-3.15.1/unpacked",
    "h5": "keras-3.15.1/model.h5",
    "tf_keras_h5": "tf_keras-2.21.0/model.h5",
    "h5_weights": "tf_keras-2.21.0/legacy.h5",
    "keras_weights": "keras-3.15.1/model.weights.h5",
    "tf_keras_weights": "tf_keras-2.21.0/model.weights.h5",
    "sharded_weights": "keras-3.15.1/shards.weights.json",
    "tf_checkpoint": "tf_keras-2.21.0/checkpoint/small",
    "large": "",
}
"""Each kind of artifact, and the sample that it is; ``large`` has tensors of several blocks."""


def copy_sample(name: str, folder: Path) -> Path:
    """Copy an artifact into a new folder inside ``folder``, and return the path that names it."""
    folder = Path(mkdtemp(dir=folder))
    if name == "large":
        values = np.random.default_rng(0)
        kernel, bias = values.random((300, 400), "float32"), values.random(400, "float32")
        write_weights(folder / "large.weights.h5", {"dense": [kernel, bias], "out": [kernel[:70]]})
        return folder / "large.weights.h5"
    source = SAMPLES / FORMATS[name]
    if source.is_dir():
        shutil.copytree(source, folder / source.name)
        return folder / source.name
    stem = source.name.removesuffix(".weights.json")
    for path in source.parent.iterdir():
        if path.name == source.name or path.name.startswith((f"{stem}_", f"{stem}.")):
            shutil.copy(path, folder)
    if name not in ("sharded_weights", "tf_checkpoint"):
        for path in folder.iterdir():
            if path.name != source.name:
                path.unlink()
    return folder / source.name


def publish(name: str, base: Location, folder: Path) -> Location:
    """Push an artifact to ``base`` with a manifest."""
    path = copy_sample(name, folder)
    location = base.join(path.name)
    rm.push_model(path, str(location), storage_options=location.storage_options)
    return location


def upload(path: Path, base: Location) -> Location:
    """Put an artifact's files at ``base`` as a stranger would: without a manifest."""
    if path.is_dir():
        files = {each.relative_to(path.parent): each for each in path.rglob("*")}
    else:
        files = {each.relative_to(path.parent): each for each in path.parent.iterdir()}
    for name, each in files.items():
        if each.is_file():
            put(base.join(name.as_posix()), each.read_bytes())
    return base.join(path.name)
