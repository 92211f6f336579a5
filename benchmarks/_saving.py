"""Save models and weights: with remote_models, and as people do without it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks._task import Task

__all__ = ["to_disk", "with_boto3", "with_remote_models", "with_s3fs"]

_WEIGHTS = "weights.h5"


def with_remote_models(task: Task) -> Callable[[], object]:
    """Save straight to the store, with a manifest of digests."""
    import remote_models as rm

    model = _model(task)
    save: Callable[..., object] = (
        rm.save_weights if task.artifact.format == _WEIGHTS else rm.save_model
    )

    def run() -> None:
        save(model, task.url)

    return run


def to_disk(task: Task) -> Callable[[], object]:
    """Save with Keras to the local disk, and nothing more."""
    return _save_and(task, lambda _: None)


def with_s3fs(task: Task) -> Callable[[], object]:
    """Save with Keras to a temporary file, then upload it with s3fs."""
    import s3fs

    filesystem = s3fs.S3FileSystem()
    return _save_and(task, lambda path: filesystem.put_file(str(path), task.url))


def with_boto3(task: Task) -> Callable[[], object]:
    """Save with Keras to a temporary file, then upload it with boto3's transfer manager."""
    import boto3

    client = boto3.client("s3")
    return _save_and(task, lambda path: client.upload_file(str(path), task.bucket, task.key))


def _save_and(task: Task, upload: Callable[[Path], object]) -> Callable[[], object]:
    model = _model(task)
    save = model.save_weights if task.artifact.format == _WEIGHTS else model.save

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / task.artifact.name
            save(path)
            upload(path)

    return run


def _model(task: Task) -> Any:
    return task.artifact.stack.build(initializer="ones")
