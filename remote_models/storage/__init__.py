"""Bytes at URLs: a narrow port over fsspec that knows no models."""

from remote_models.storage._location import Location
from remote_models.storage._progress import ProgressCallback, ProgressMeter, TransferProgress
from remote_models.storage._publication import Publication
from remote_models.storage._reader import open_reader
from remote_models.storage._registry import open_store
from remote_models.storage._staging import StagedFile
from remote_models.storage._store import ObjectInfo, Store
from remote_models.storage._transfer import TransferSettings, read_all, read_chunks

__all__ = [
    "Location",
    "ObjectInfo",
    "ProgressCallback",
    "ProgressMeter",
    "Publication",
    "StagedFile",
    "Store",
    "TransferProgress",
    "TransferSettings",
    "open_reader",
    "open_store",
    "read_all",
    "read_chunks",
]
