"""Where an artifact's manifest comes from, and what it has to be."""

from __future__ import annotations

from dataclasses import dataclass

from remote_models.errors import ManifestError, ModelNotFoundError, SignatureError
from remote_models.manifest import Layout, StoredManifest
from remote_models.remote_model._discovery import (
    find_manifest,
    manifest_location,
    pin_manifest,
    read_any_manifest,
    read_stored_manifest,
)
from remote_models.remote_model._signed import SignedModel
from remote_models.signing import PublicKey
from remote_models.storage import Location, Store, open_store

__all__ = ["FoundManifest", "ManifestSource"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundManifest:
    """A manifest that is what its source says that it has to be.

    Attributes:
        layout: How the artifact's files lie around its URL.
        stored: The manifest.
        is_stored: Whether it lies in a store. It does not where a signature vouches
            for whole files, and for no manifest.
    """

    layout: Layout
    stored: StoredManifest
    is_stored: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class ManifestSource:
    """Where an artifact's manifest comes from, and what it has to be.

    Attributes:
        digest: ``sha256:<hex>`` that it must have.
        at: Where it lies, if not with the artifact.
        public_key: The key by which it, or each file, must be signed.
    """

    digest: str | None = None
    at: Location | None = None
    public_key: PublicKey | None = None

    def find(self, store: Store, location: Location) -> FoundManifest | None:
        """Find the manifest of what lies at ``location``; ``None`` without one.

        Raises:
            ManifestError: it is malformed, unsafe or not the pinned one.
            SignatureError: no good signature by the key vouches for it.
            ModelNotFoundError: nothing is where it should lie, or nothing is signed.
        """
        if self.public_key is not None:
            return self._find_signed(store, location, self.public_key)
        if self.at is not None:
            found: tuple[Layout, StoredManifest] | None = read_any_manifest(
                open_store(self.at), self.at
            )
        else:
            found = find_manifest(store, location)
        if found is not None:
            return FoundManifest(layout=found[0], stored=self._pinned(found[1], location))
        if self.digest is not None:
            raise ManifestError(
                "no manifest is here to compare with the pinned digest",
                where=str(location),
                expected=self.digest,
            )
        return None

    def reread(self, store: Store, location: Location, layout: Layout) -> StoredManifest:
        """Return the manifest as it is now.

        Raises:
            IntegrityError: it is no longer what it has to be.
        """
        if self.public_key is not None:
            return self._find_signed(store, location, self.public_key).stored
        return self._pinned(self._read(store, location, layout), location)

    def _find_signed(self, store: Store, location: Location, key: PublicKey) -> FoundManifest:
        signed = SignedModel.find(store, location, key)
        layout = signed.folder.layout
        # A manifest that is neither signed nor pinned could have other digests for the
        # blocks of a tensor than the file that was signed has.
        if signed.manifest_digest is None and self.digest is None:
            return FoundManifest(layout=layout, stored=signed.whole_files(), is_stored=False)
        try:
            stored = self._read(store, location, layout)
        except ModelNotFoundError as error:
            raise SignatureError(
                "the manifest that was signed is missing", where=error.where
            ) from error
        stored = signed.check(stored)
        return FoundManifest(layout=layout, stored=self._pinned(stored, location))

    def _read(self, store: Store, location: Location, layout: Layout) -> StoredManifest:
        if self.at is not None:
            return read_any_manifest(open_store(self.at), self.at)[1]
        return read_stored_manifest(store, manifest_location(location, layout), layout)

    def _pinned(self, stored: StoredManifest, location: Location) -> StoredManifest:
        return stored if self.digest is None else pin_manifest(stored, self.digest, str(location))
