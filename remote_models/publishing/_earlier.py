"""What lies at a location before a save."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from remote_models.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    CredentialsError,
    ManifestError,
    ModelExistsError,
    ModelNotFoundError,
)
from remote_models.manifest import Layout, Manifest, StoredManifest
from remote_models.remote_model import manifest_location, read_stored_manifest
from remote_models.storage import Location, Store

__all__ = ["EarlierArtifact"]

_SAVED_MODEL = "saved_model.pb"


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlierArtifact:
    """What is at the location before the save.

    ``present`` says whether anything is, ``None`` where one may not look;
    ``stored`` is its manifest, if it has a readable one; ``is_bare`` says that an
    artifact is there without any manifest.
    """

    location: Location
    stored: StoredManifest | None
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
        try:
            stored = read_stored_manifest(store, manifest_location(location, layout), layout)
        except BucketNotFoundError:
            if not location.is_local:  # locally the folder may still have to be made
                raise
        except ModelNotFoundError:
            pass
        except CredentialsError:
            raise
        except AccessDeniedError:
            return cls(location=location, stored=None, present=None)
        except ManifestError:
            # Damaged: it can be replaced, but not kept beside the new one.
            return cls(location=location, stored=None, present=True)
        else:
            return cls(location=location, stored=stored, present=True)
        target = location.join(_SAVED_MODEL) if layout is Layout.DIRECTORY else location
        present = _is_present(store, target)
        return cls(location=location, stored=None, present=present, is_bare=present)

    def check(self, *, overwrite: bool) -> None:
        """Refuse early what the store's exclusive create would refuse at the commit."""
        if overwrite or not self.present:
            return
        unfinished = self.stored is not None and self.stored.current is None
        raise ModelExistsError(
            "an unfinished save is stored here" if unfinished else "a model is stored here already",
            where=str(self.location),
            hint="Pass overwrite=True to replace it",
        )

    @property
    def candidates(self) -> Sequence[Manifest]:
        """The manifests of what may be there."""
        return self.stored.candidates if self.stored else ()


def _is_present(store: Store, location: Location) -> bool:
    try:
        store.head(location)
    except (ModelNotFoundError, AccessDeniedError):
        return False
    except ModelExistsError:
        return False  # a file stands where its folder would be
    return True
