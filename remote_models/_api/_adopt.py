"""Adopt models that others made, and hand out weights in other formats."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from remote_models._api._arguments import URL, Progress, StorageOptions
from remote_models._api._metadata import plain_metadata
from remote_models._progress_bar import progress_callback
from remote_models._version import __version__
from remote_models.adoption import adopt
from remote_models.manifest import Manifest
from remote_models.storage import Location, TransferSettings, open_store

__all__ = ["adopt_model"]

_SHOWN = 3
"""Tensors that a warning names."""


def adopt_model(
    url: URL,
    *,
    manifest_url: URL | None = None,
    metadata: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    storage_options: StorageOptions | None = None,
    transfer: TransferSettings | None = None,
    progress: Progress = None,
) -> Manifest:
    """Write a manifest for a model that was saved by something else.

    The files are read once and left alone. From then on every load is compared with
    what lay there at that moment: adopt only what you trust.

    Args:
        url: The model.
        manifest_url: Where to put the manifest if not with the model, whose bucket may
            be read-only. Give the same URL to :func:`open_model` and its kin.
        metadata: A JSON object of your own for the manifest.
        overwrite: Whether a manifest that is there already may be replaced.
        storage_options: Arguments for the fsspec filesystem, as in pandas.
        transfer: As in :func:`open_model`.
        progress: As in :func:`save_model`.

    Returns:
        The manifest.

    Raises:
        ModelNotFoundError: nothing is there.
        ModelExistsError: the model has a manifest, and ``overwrite`` is false.
        FormatError: it is no model; the message says what it is.
        StorageError: the store refused or failed.
    """
    location = Location.parse(url, storage_options)
    manifest, skipped = adopt(
        open_store(location, transfer),
        location,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        producer={"adopted_by": f"remote_models {__version__}"},
        metadata=plain_metadata(metadata),
        overwrite=overwrite,
        manifest_at=Location.parse(manifest_url, storage_options) if manifest_url else None,
        progress=progress_callback(progress),
    )
    if skipped:
        more = f" and {len(skipped) - _SHOWN} more" if len(skipped) > _SHOWN else ""
        warnings.warn(
            f"{location}: compressed or chunked, so that nothing of it can be read lazily: "
            f"{', '.join(skipped[:_SHOWN])}{more}",
            stacklevel=2,
        )
    return manifest
