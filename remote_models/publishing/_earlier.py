"""What lies at a location before a save."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from remote_models.errors import (
    AccessDeniedError,
    ConflictError,
    ModelExistsError,
    ModelNotFoundError,
)
from remote_models.manifest import Layout, Manifest
from remote_models.publishing._manifest_file import ManifestFile
from remote_models.remote_model import manifest_location
from remote_models.storage import Location, Store

__all__ = ["EarlierArtifact"]

_SAVED_MODEL = "saved_model.pb"


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlierArtifact:
    """What is at the location before the save.

    ``manifest`` is its manifest, there or not; ``present`` says whether anything is,
    ``None`` where one may not look; ``is_bare`` says that an artifact is there without
    any manifest.
    """

    location: Location
    manifest: ManifestFile
    present: bool | None
    is_bare: bool = False

    @classmethod
    def look(cls, store: Store, location: Location, layout: Layout) -> EarlierArtifact:
        """Read the earlier manifest, and refuse an artifact of the other layout."""
        other = Layout.FILE if layout is Layout.DIRECTORY else Layout.DIRECTORY
        if not location.is_bucket and _is_present(store, manifest_location(location, other)):
            raise ModelExistsError(
                f"a model that is a {other.value} is stored here",
                where=str(location),
                hint="Choose another name, or delete it first",
            )
        manifest = ManifestFile(store, manifest_location(location, layout), layout)
        manifest.read()
        target = location.join(_SAVED_MODEL) if layout is Layout.DIRECTORY else location
        is_bare = not (manifest.is_there or manifest.is_hidden) and _is_present(store, target)
        if is_bare:
            # Another saver may just have begun, and has announced its file before.
            manifest.read()
            is_bare = not (manifest.is_there or manifest.is_hidden)
        if is_bare or manifest.is_there:
            present: bool | None = True
        else:
            present = None if manifest.is_hidden else False
        return cls(location=location, manifest=manifest, present=present, is_bare=is_bare)

    def check(self, *, overwrite: bool) -> None:
        """Refuse early what the store's exclusive create would refuse at the commit."""
        if overwrite or not self.present:
            return
        stored = self.manifest.stored
        if stored is not None and stored.current is None:
            raise ConflictError(
                "another save has begun here, and is not finished",
                where=str(self.location),
                hint="Wait for it; if its saver is dead, pass overwrite=True",
            )
        raise ModelExistsError(
            "a model is stored here already",
            where=str(self.location),
            hint="Pass overwrite=True to replace it",
        )

    @property
    def candidates(self) -> Sequence[Manifest]:
        """The manifests of what may be there."""
        return self.manifest.candidates


def _is_present(store: Store, location: Location) -> bool:
    try:
        store.head(location)
    except (ModelNotFoundError, AccessDeniedError):
        return False
    except ModelExistsError:
        return False  # a file stands where its folder would be
    return True
