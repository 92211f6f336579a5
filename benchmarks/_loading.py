"""Load models and weights: with remote_models, and as people do without it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks._task import Task

__all__ = [
    "from_disk",
    "stream_tensors",
    "with_boto3",
    "with_remote_models",
    "with_runai",
    "with_s3fs",
]

_WEIGHTS = "weights.h5"


def with_remote_models(task: Task) -> Callable[[], object]:
    """Load straight from the store, every byte checked."""
    import remote_models as rm

    if task.artifact.format != _WEIGHTS:
        return lambda: rm.load_model(task.url, framework="keras")
    model = task.artifact.stack.build(initializer="zeros")

    def load() -> object:
        rm.load_weights(model, task.url)
        return model

    return load


def from_disk(task: Task) -> Callable[[], object]:
    """Load with Keras from the local disk, which the page cache holds."""
    load = _keras_loader(task)
    return lambda: load(task.path)


def with_s3fs(task: Task) -> Callable[[], object]:
    """Download with s3fs to a temporary file, then load with Keras."""
    import s3fs

    filesystem = s3fs.S3FileSystem()
    load = _keras_loader(task)

    def run() -> object:
        with _temporary(task) as path:
            filesystem.get_file(task.url, str(path))
            return load(path)

    return run


def with_boto3(task: Task) -> Callable[[], object]:
    """Download with boto3's transfer manager to a temporary file, then load with Keras."""
    import boto3

    client = boto3.client("s3")
    load = _keras_loader(task)

    def run() -> object:
        with _temporary(task) as path:
            client.download_file(task.bucket, task.key, str(path))
            return load(path)

    return run


def stream_tensors(task: Task) -> Callable[[], object]:
    """Read every tensor into memory, checked, without any framework."""
    import remote_models as rm

    def run() -> object:
        with rm.open_model(task.url) as remote:
            return dict(remote.weights.stream())

    return run


def with_runai(task: Task) -> Callable[[], object]:
    """Read every tensor of a safetensors file with Run:ai's model streamer, unchecked."""
    from runai_model_streamer import SafetensorsStreamer

    def run() -> object:
        with SafetensorsStreamer() as streamer:
            streamer.stream_file(task.url)
            # A tensor's memory is used again after its turn: who keeps one copies it.
            return {name: tensor.clone().numpy() for name, tensor in streamer.get_tensors()}

    return run


def _keras_loader(task: Task) -> Callable[[Path], object]:
    import keras

    if task.artifact.format != _WEIGHTS:
        load_model: Callable[[Path], object] = keras.models.load_model
        return load_model
    model: Any = task.artifact.stack.build(initializer="zeros")

    def load(path: Path) -> object:
        model.load_weights(path)
        return model

    return load


@contextmanager
def _temporary(task: Task) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / task.artifact.name
