"""The manifest that a signature vouches for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from remote_models.digest import format_digest
from remote_models.errors import (
    AccessDeniedError,
    ManifestError,
    ModelNotFoundError,
    SignatureError,
)
from remote_models.manifest import (
    FileEntry,
    Layout,
    Manifest,
    RelativePath,
    StoredManifest,
)
from remote_models.remote_model._discovery import (
    find_beside,
    find_files,
    find_manifest,
    manifest_location,
    pin_manifest,
)
from remote_models.remote_model._folder import ArtifactFolder
from remote_models.signing import (
    DIRECTORY_SIGNATURE,
    FILE_SIGNATURE_SUFFIX,
    MAX_SIGNATURE_BYTES,
    WHOLE_FILE,
    PublicKey,
    Statement,
    verify_statement,
)
from remote_models.storage import Location, Store, read_all

__all__ = ["SignedModel", "has_signature", "refuse_links", "signature_location"]

_UNKNOWN, _NO_TIME = "unknown", "1970-01-01T00:00:00Z"
"""The format and the time in a manifest that is made of a signature, which tells of none."""

_SHOWN = 3
"""Files that an error names."""


def signature_location(location: Location, layout: Layout) -> Location:
    """Return where the signature of the artifact at ``location`` lies."""
    if layout is Layout.DIRECTORY:
        return location.join(DIRECTORY_SIGNATURE)
    return location.with_suffix(FILE_SIGNATURE_SUFFIX)


def has_signature(store: Store, location: Location, layout: Layout) -> bool:
    """Whether a signature lies with an artifact, good or not, as far as one may look."""
    try:
        store.head(signature_location(location, layout))
    except (ModelNotFoundError, AccessDeniedError):
        return False
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedModel:
    """What a signature that is good says of a model.

    Attributes:
        folder: Where the model lies.
        statement: The names and digests of its files.
    """

    folder: ArtifactFolder
    statement: Statement

    @classmethod
    def find(cls, store: Store, location: Location, key: PublicKey) -> SignedModel:
        """Read the signature of what lies at ``location``, before anything else of it.

        Raises:
            SignatureError: there is none, it is malformed or by another key, or a file
                of the model is a link.
            ModelNotFoundError: nothing is there.
        """

        def read(layout: Layout) -> bytes:
            return read_all(store, signature_location(location, layout), limit=MAX_SIGNATURE_BYTES)

        found = find_beside(location, read)
        if found is None:
            if find_manifest(store, location) is None:
                find_files(store, location)
            raise SignatureError(
                "the model is not signed",
                where=str(location),
                hint="Sign it: sign_model(url, private_key), or remote-models sign URL --key FILE",
            )
        layout, data = found
        where = signature_location(location, layout)
        signed = cls(
            folder=ArtifactFolder(store=store, location=location, layout=layout),
            statement=verify_statement(data, key, signature_name=where.name, where=str(where)),
        )
        refuse_links(location, layout, [where.name, *signed.statement.digests, *signed.files])
        return signed

    @property
    def manifest_digest(self) -> str | None:
        """The digest of the model's manifest, if it was signed."""
        name = manifest_location(self.folder.location, self.folder.layout).name
        sha256 = self.statement.digests.get(name)
        return format_digest(sha256) if sha256 else None

    @property
    def files(self) -> Mapping[str, str]:
        """The SHA-256 of each file by its path, without the manifest's."""
        if list(self.statement.digests) == [WHOLE_FILE]:
            return {self.folder.location.name: self.statement.digests[WHOLE_FILE]}
        manifest = manifest_location(self.folder.location, self.folder.layout).name
        return {path: sha for path, sha in self.statement.digests.items() if path != manifest}

    def check(self, stored: StoredManifest) -> StoredManifest:
        """Return of a stored manifest what was signed.

        Raises:
            SignatureError: another manifest was signed, or one of other files.
        """
        if self.manifest_digest is not None:
            stored = self._pinned(stored, self.manifest_digest)
        for manifest in stored.candidates:
            files = {entry.path: entry.sha256 for entry in manifest.files}
            if files != self.files:
                differing = sorted({path for path, _ in files.items() ^ self.files.items()})
                raise SignatureError(
                    "signature and manifest name different files",
                    where=str(self._where),
                    found=", ".join(differing[:_SHOWN]),
                    hint="Sign the model again if it is the one that was meant",
                )
        return stored

    def whole_files(self) -> StoredManifest:
        """Return a manifest of what was signed alone: whole files, and nothing inside them.

        Raises:
            SignatureError: a model cannot have such files.
            StorageError: the store refused or failed.
        """
        manifest = Manifest(
            format=_UNKNOWN,
            layout=self.folder.layout,
            created=_NO_TIME,
            producer={},
            files=tuple(
                FileEntry(path=RelativePath(path), size=self._size(path), sha256=self.files[path])
                for path in sorted(self.files)
            ),
        )
        try:
            return StoredManifest(current=Manifest.from_json(manifest.to_json()))
        except ManifestError as error:
            raise SignatureError(
                f"no model has such files: {error.message}",
                where=f"{self._where} ({error.where})",
                expected=error.expected,
                found=error.found,
            ) from error

    @property
    def _where(self) -> Location:
        return signature_location(self.folder.location, self.folder.layout)

    def _pinned(self, stored: StoredManifest, digest: str) -> StoredManifest:
        try:
            return pin_manifest(stored, digest, str(self.folder))
        except ManifestError as error:
            raise SignatureError(
                "the signature is one of another manifest than lies here",
                where=str(self._where),
                expected=digest,
                found=error.found,
                hint="The model was saved again, or replaced, after it was signed: "
                "sign it again if that was meant",
            ) from error

    def _size(self, path: str) -> int:
        """Return the size of a file; that it is missing is said when it is read."""
        try:
            return self.folder.store.head(self.folder.file(path)).size
        except ModelNotFoundError:
            return 0


def refuse_links(location: Location, layout: Layout, names: Iterable[str]) -> None:
    """Refuse links on this machine's disk: they lead to what was not signed (CWE-59).

    Args:
        location: The artifact's URL.
        layout: How its files lie around the URL.
        names: Their paths, and those of what lies with them.

    Raises:
        SignatureError: one of them, or a folder of the artifact around it, is a link.
    """
    if not location.is_local:
        return
    root = Path((location if layout is Layout.DIRECTORY else location.parent).path)
    for name in names:
        path = PurePosixPath(name)
        for part in (path, *path.parents):
            if part.name and (root / part).is_symlink():
                raise SignatureError(
                    "a symbolic link, which no signature vouches for", where=str(root / part)
                )
