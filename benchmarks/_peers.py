"""Everybody who moves a model, by name: each prepares, and returns the work to measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from benchmarks import _limits, _loading, _saving
from benchmarks._task import Task

__all__ = ["PEERS", "Peer"]

Peer = Callable[[Task], Callable[[], object]]
"""Makes ready what is not measured, and returns what is."""

PEERS: Mapping[str, Peer] = MappingProxyType(
    {
        "remote_models": _loading.with_remote_models,
        "keras_local": _loading.from_disk,
        "s3fs_keras": _loading.with_s3fs,
        "boto3_keras": _loading.with_boto3,
        "stream": _loading.stream_tensors,
        "runai": _loading.with_runai,
        "get_obstore": _limits.get_with_obstore,
        "get_s3fs": _limits.get_with_s3fs,
        "get_curl": _limits.get_with_curl,
        "save_remote_models": _saving.with_remote_models,
        "save_keras_local": _saving.to_disk,
        "save_keras_s3fs": _saving.with_s3fs,
        "save_keras_boto3": _saving.with_boto3,
        "put_obstore": _limits.put_with_obstore,
        "put_s3fs": _limits.put_with_s3fs,
        "put_boto3": _limits.put_with_boto3,
    }
)
