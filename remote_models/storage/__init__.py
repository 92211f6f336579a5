"""Bytes at URLs: a narrow port over fsspec that knows no models."""

from remote_models.storage._conditions import (
    UnconditionalStoreWarning,
    check_conditions,
    warn_of_missing_conditions,
)
from remote_models.storage._location import Location
from remote_models.storage._part_plan import WORTH_COPYING
from remote_models.storage._plan import ByteRange, Request, plan_requests
from remote_models.storage._progress import ProgressCallback, ProgressMeter, TransferProgress
from remote_models.storage._publication import Publication
from remote_models.storage._ranges import PinnedFile, read_ranges
from remote_models.storage._reader import open_reader
from remote_models.storage._registry import open_store
from remote_models.storage._retry import RetryPolicy
from remote_models.storage._settings import TransferSettings
from remote_models.storage._staging import CommittedFile, StagedFile
from remote_models.storage._store import Buffer, ObjectInfo, Store
from remote_models.storage._stored_range import StoredRange
from remote_models.storage._transfer import read_all, read_chunks, read_range
from remote_models.storage._uploads import UnfinishedUpload, is_at_or_below

__all__ = [
    "WORTH_COPYING",
    "Buffer",
    "ByteRange",
    "CommittedFile",
    "Location",
    "ObjectInfo",
    "PinnedFile",
    "ProgressCallback",
    "ProgressMeter",
    "Publication",
    "Request",
    "RetryPolicy",
    "StagedFile",
    "Store",
    "StoredRange",
    "TransferProgress",
    "TransferSettings",
    "UnconditionalStoreWarning",
    "UnfinishedUpload",
    "check_conditions",
    "is_at_or_below",
    "open_reader",
    "open_store",
    "plan_requests",
    "read_all",
    "read_chunks",
    "read_range",
    "read_ranges",
    "warn_of_missing_conditions",
]
