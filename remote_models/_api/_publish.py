"""From files that a framework has written on this machine to a published artifact."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from remote_models._api._arguments import Progress
from remote_models._progress_bar import progress_callback
from remote_models._version import __version__
from remote_models.formats import Format
from remote_models.manifest import Layout, Manifest
from remote_models.publishing import Artifact, publish
from remote_models.storage import Location, open_store

__all__ = ["publish_files"]

_DIRECTORIES = {Format.SAVED_MODEL, Format.KERAS_DIRECTORY}


def publish_files(
    location: Location,
    format: Format,
    files: Mapping[str, Path],
    *,
    producer: Mapping[str, str],
    overwrite: bool,
    metadata: Mapping[str, Any] | None,
    progress: Progress,
    created: str | None = None,
    empty_directories: Sequence[str] = (),
) -> Manifest:
    """Publish local files as one artifact, with a manifest, and return the manifest."""
    artifact = Artifact(
        format=format,
        layout=Layout.DIRECTORY if format in _DIRECTORIES else Layout.FILE,
        created=created or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        producer={
            **producer,
            "remote_models": __version__,
            "python": platform.python_version(),
        },
        metadata=metadata or {},
        files=files,
        empty_directories=empty_directories,
    )
    return publish(
        open_store(location),
        location,
        artifact,
        overwrite=overwrite,
        progress=progress_callback(progress),
    )
