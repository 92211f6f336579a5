"""Versions: what a finished save has left under a number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from remote_models.errors import ModelNotFoundError
from remote_models.manifest import Manifest
from remote_models.remote_model import manifest_location, read_stored_manifest
from remote_models.repository._layout import Contents, layout_of
from remote_models.storage import Location, Store

__all__ = ["Version", "read_newest", "read_version", "read_versions"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """A version of a model: what a finished save has left under its number.

    Attributes:
        number: Its number; a later save has a higher one.
        url: Where the model lies, as ``load_model`` takes it.
        manifest: What vouches for its bytes.
    """

    number: int
    url: str
    manifest: Manifest

    @property
    def created(self) -> str:
        """When it was made, UTC, ``YYYY-MM-DDThh:mm:ssZ``."""
        return self.manifest.created

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The user's own JSON object (step, metrics, commit)."""
        return self.manifest.metadata

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return self.manifest.total_size

    @property
    def digest(self) -> str:
        """The manifest's digest, which pins the version."""
        return self.manifest.digest

    def __repr__(self) -> str:
        return f"<Version {self.number}: {self.url}, {self.created}, {self.size} bytes>"


def read_versions(store: Store, root: Location, contents: Contents) -> Sequence[Version]:
    """Read the manifests that a listing shows, and return the finished versions in order.

    Raises:
        ManifestError: one of the manifests is damaged.
    """
    if not contents.models:
        return []
    workers = min(store.transfer.max_concurrency, len(contents.models))
    with ThreadPoolExecutor(workers, thread_name_prefix="remote_models") as pool:
        found = pool.map(
            lambda item: read_version(store, root, item[0], item[1]), contents.models.items()
        )
        return [version for version in found if version is not None]


def read_newest(store: Store, root: Location, contents: Contents) -> Version | None:
    """Return the finished version with the highest number; ``None`` without any."""
    return _first(
        read_version(store, root, number, path)
        for number, path in reversed(contents.models.items())
    )


def _first(versions: Iterable[Version | None]) -> Version | None:
    return next((version for version in versions if version is not None), None)


def read_version(store: Store, root: Location, number: int, path: str) -> Version | None:
    """Return a version, or ``None`` if its save is not finished, or it is gone by now."""
    location = root.join(path)
    layout = layout_of(path)
    try:
        stored = read_stored_manifest(store, manifest_location(location, layout), layout)
    except ModelNotFoundError:  # pruned since
        return None
    if stored.current is None:
        return None
    return Version(number=number, url=str(location), manifest=stored.current)
