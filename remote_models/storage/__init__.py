"""Bytes at URLs: a narrow port over fsspec that knows no models."""

from remote_models.storage._location import Location
from remote_models.storage._plan import ByteRange, PlanSettings, plan_requests
from remote_models.storage._progress import ProgressCallback, ProgressMeter, TransferProgress
from remote_models.storage._publication import Publication
from remote_models.storage._ranges import PinnedFile, RangeSettings, read_ranges
from remote_models.storage._reader import open_reader
from remote_models.storage._registry import open_store
from remote_models.storage._staging import StagedFile
from remote_models.storage._store import ObjectInfo, Store
from remote_models.storage._transfer import TransferSettings, read_all, read_chunks

__all__ = [
    "ByteRange",
    "Location",
    "ObjectInfo",
    "PinnedFile",
    "PlanSettings",
    "ProgressCallback",
    "ProgressMeter",
    "Publication",
    "RangeSettings",
    "StagedFile",
    "Store",
    "TransferProgress",
    "TransferSettings",
    "open_reader",
    "open_store",
    "plan_requests",
    "read_all",
    "read_chunks",
    "read_ranges",
]
