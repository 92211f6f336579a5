"""An opened artifact: its manifest, its files, and the bytes that they vouch for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from remote_models.digest import parse_digest
from remote_models.errors import FormatError, ManifestError, SignatureError
from remote_models.formats import Format, Recognition
from remote_models.manifest import Layout, Manifest, StoredManifest
from remote_models.remote_model._candidates import choose_candidate
from remote_models.remote_model._copy import copy_unverified
from remote_models.remote_model._discovery import find_files
from remote_models.remote_model._download import copy_whole, read_export
from remote_models.remote_model._folder import ArtifactFolder
from remote_models.remote_model._source import ManifestSource
from remote_models.remote_model._unindexed import Opener, documents_now, index_now, recognise_now
from remote_models.remote_model._verify import VerifyReport, verify_candidates
from remote_models.storage import (
    Location,
    ObjectInfo,
    ProgressCallback,
    Store,
    TransferSettings,
    open_reader,
    open_store,
)

if TYPE_CHECKING:
    from remote_models.cache import Cache
    from remote_models.formats.indexing import Signature
    from remote_models.remote_model._weights import Weights
    from remote_models.signing import PublicKey

__all__ = ["RemoteModel"]


class RemoteModel:
    """An artifact in a store, opened by reading its manifest and nothing else.

    Used in a ``with`` block or without: there is nothing that must be closed. Pickling
    carries the address and the manifest's digest, not the bytes.

    Attributes:
        location: Where it lies.
        layout: Whether it is a file (or several side by side) or a directory.
        files: The relative path and size of every file.
    """

    def __init__(
        self,
        folder: ArtifactFolder,
        *,
        stored: StoredManifest | None,
        likeliest: Manifest | None = None,
        infos: Mapping[str, ObjectInfo],
        source: ManifestSource = ManifestSource(),  # noqa: B008 - it is frozen
        is_stored: bool = True,
        verify: bool = True,
    ) -> None:
        self._folder = folder
        self._stored = stored
        self._likeliest = likeliest or (stored.candidates[0] if stored else None)
        self._source = source
        self._is_stored = is_stored
        self._verify = verify
        self.files = {path: info.size for path, info in infos.items()}
        # Only of files for which no manifest vouches.
        self._etags = {path: info.etag for path, info in infos.items() if info.etag}

    @classmethod
    def open(
        cls,
        store: Store,
        location: Location,
        *,
        manifest_digest: str | None = None,
        manifest_at: Location | None = None,
        public_key: PublicKey | None = None,
        verify: bool = True,
    ) -> RemoteModel:
        """Open what lies at ``location``: one small read where there is a manifest.

        While a save is under way, a look at the files tells which of several is there.

        Args:
            store: The store that serves ``location``.
            location: The artifact's URL.
            manifest_digest: ``sha256:<hex>`` that the manifest must have.
            manifest_at: Where the manifest lies, if not with the artifact.
            public_key: The key by which the artifact must be signed.
            verify: Whether tensors are refused that nothing vouches for.

        Raises:
            ModelNotFoundError: nothing is there.
            ManifestError: the manifest is malformed or not the pinned one.
            SignatureError: no good signature by the key vouches for the artifact.
        """
        if manifest_digest is not None:
            parse_digest(manifest_digest)
        source = ManifestSource(digest=manifest_digest, at=manifest_at, public_key=public_key)
        return cls._open(store, location, source, verify=verify)

    @classmethod
    def _open(
        cls, store: Store, location: Location, source: ManifestSource, *, verify: bool
    ) -> RemoteModel:
        found = source.find(store, location)
        if found is None:
            layout, infos = find_files(store, location)
            # A first save may have begun meanwhile; it announces itself before any file.
            found = source.find(store, location)
        if found is None:
            folder = ArtifactFolder(store=store, location=location, layout=layout)
            return cls(folder, stored=None, infos=infos, verify=verify)
        folder = ArtifactFolder(store=store, location=location, layout=found.layout)
        likeliest = choose_candidate(folder, found.stored.candidates)
        return cls(
            folder,
            stored=found.stored,
            likeliest=likeliest,
            infos={entry.path: ObjectInfo(size=entry.size) for entry in likeliest.files},
            source=source,
            is_stored=found.is_stored,
            verify=verify,
        )

    @property
    def location(self) -> Location:
        """Where the artifact lies."""
        return self._folder.location

    @property
    def folder(self) -> ArtifactFolder:
        """The artifact's URL with the store that serves it."""
        return self._folder

    @property
    def layout(self) -> Layout:
        """Whether it is a file (or several side by side) or a directory."""
        return self._folder.layout

    @property
    def manifest(self) -> Manifest | None:
        """The likeliest manifest of what is there; ``None`` if there is none to go by."""
        return self._likeliest if self._is_stored else None

    @property
    def is_verifiable(self) -> bool:
        """Whether a manifest, or a signature of whole files, vouches for the bytes."""
        return self._stored is not None

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The user's own metadata; empty without a manifest."""
        return self.manifest.metadata if self.manifest else {}

    @property
    def exports(self) -> Mapping[str, str]:
        """The model for other runtimes: words like ``tflite`` to relative paths."""
        return self.manifest.exports if self.manifest else {}

    @property
    def total_size(self) -> int:
        """The bytes of all files together."""
        return sum(self.files.values())

    @property
    def format(self) -> Format | None:
        """The format that the manifest states; ``None`` without one, or from a later version."""
        known = {each.value: each for each in Format}
        return known.get(self.manifest.format) if self.manifest else None

    @cached_property
    def weights(self) -> Weights:
        """The tensors by name; nothing of them is read yet.

        Without a manifest the index is built now, by ranges of the files' structure,
        and nothing vouches for it.

        Raises:
            FormatError: there is no manifest, and the files are damaged or no model's.
            StorageError: the store refused or failed.
        """
        from remote_models.remote_model._weights import open_weights

        self._refuse_parts_of_files()
        return open_weights(
            self, self._folder, self.files, self.manifest, lambda: index_now(*self._as_it_is),
            etags=self._etags, verify=self._verify,
        )  # fmt: skip

    @cached_property
    def architecture(self) -> dict[str, Any] | None:
        """The model's configuration as Keras wrote it: ``class_name``, ``config`` and more.

        What it was compiled with is in the member ``compile_config`` (Keras 3) or
        ``training_config`` (Keras 2, HDF5). ``None`` where the artifact holds none.

        Raises:
            IntegrityError: the bytes are not those that the manifest vouches for.
            FormatError: the configuration is damaged.
            StorageError: the store refused or failed.
        """
        from remote_models.remote_model._architecture import read_architecture

        self._refuse_parts_of_files()
        return read_architecture(
            self._folder,
            self.manifest,
            lambda: documents_now(self._folder, self.files, self._open_file),
        )

    @cached_property
    def signatures(self) -> Mapping[str, Signature]:
        """How a SavedModel can be run, by name: what goes in and what comes out.

        Read without TensorFlow. Empty for other formats.

        Raises:
            IntegrityError: the graph is not the one that the manifest vouches for.
            FormatError: it is damaged.
            StorageError: the store refused or failed.
        """
        from remote_models.remote_model._signatures import read_signatures

        self._refuse_parts_of_files()
        return read_signatures(self._folder, self.manifest, self.files, self._open_file)

    def summary(self) -> str:
        """Return a table of the layers with their shapes, parameters and bytes, as text.

        Raises:
            RemoteModelsError: as for :attr:`weights`.
        """
        from remote_models.remote_model._summary import summarise

        return summarise(self.weights)

    def file_location(self, path: str) -> Location:
        """Return where the file at the relative ``path`` lies."""
        return self._folder.file(path)

    def recognise(self, copy: Path | None = None) -> Recognition:
        """Say what the artifact is, by its bytes.

        Args:
            copy: The directory with a verified copy; without one the structure is
                read from the store by ranges, and nothing checks those bytes.

        Raises:
            UnrecognizedFormatError: it is no model; the message says what it is.
            UnsafeFormatError: it is a pickle.
        """
        if copy is not None:
            return recognise_now(self._folder, self.files, lambda path: (copy / path).open("rb"))
        return recognise_now(*self._as_it_is)

    def download(
        self,
        directory: Path,
        progress: ProgressCallback | None = None,
        *,
        cache: Cache | None = None,
        exports: bool = True,
    ) -> list[str]:
        """Copy every file into ``directory``, which must be empty, and return their paths.

        Each file is checked against the manifest while it is copied. When the
        artifact is replaced meanwhile, the copy starts again with the new one: it
        is the old model, the new model or an error, never a mixture.

        Args:
            directory: An empty directory.
            progress: Whom to tell how far it is.
            cache: Where files may come from instead, and are kept. It is left out where
                no manifest vouches for the bytes, and while a save is under way: then
                only the store can tell which of the candidates is there.
            exports: Whether files are copied, too, that only other runtimes read.

        Raises:
            IntegrityError: a byte differs from what the manifest vouches for.
            IncompleteModelError: only an unfinished save is here.
        """
        if self._stored is None:
            return copy_unverified(self._folder, self.files, self._etags, directory, progress)
        manifest = copy_whole(
            self._folder, self._stored, directory, progress,
            reread=self._reread, cache=cache, exports=exports,
        )  # fmt: skip
        self._settle(manifest)
        return [entry.path for entry in (manifest.files if exports else manifest.own_files)]

    def read_export(self, kind: str) -> bytes:
        """Return the bytes of an export, as the manifest vouches for them.

        When the artifact is replaced meanwhile, it is the old one, the new one or an error.

        Args:
            kind: ``"tflite"`` or ``"onnx"``.

        Raises:
            FormatError: the artifact has no such export.
            IntegrityError: a byte differs from what the manifest vouches for.
            IncompleteModelError: only an unfinished save is here.
        """
        data = None
        if self._stored is not None:
            manifest, data = read_export(self._folder, self._stored, kind, reread=self._reread)
            self._settle(manifest)
        if data is None:
            raise FormatError(
                f"the model has no {kind} export", where=str(self.location),
                found=", ".join(self.exports) or "no export",
                hint=f"Save it again with exports=({kind!r},)",
            )  # fmt: skip
        return data

    def verify(self, progress: ProgressCallback | None = None) -> VerifyReport:
        """Read every byte and compare it with the manifest; report all that differs.

        Raises:
            ManifestError: there is no manifest to compare with.
            UnrecognizedFormatError: it is a folder that is no model, but may hold some.
        """
        if self._stored is None:
            if self.layout is Layout.DIRECTORY:
                self.recognise()
            raise ManifestError(
                "no manifest vouches for these files",
                where=str(self.location),
                hint="Adopt the model to get one: adopt_model(url), or remote-models adopt URL",
            )
        report = verify_candidates(self._folder, self._stored.candidates, progress)
        return report if self._is_stored else replace(report, manifest_digest=None)

    def close(self) -> None:
        """Forget the weights; files that were mapped into memory are let go."""
        self.__dict__.pop("weights", None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<RemoteModel {self.location}: {len(self.files)} files, {self.total_size} bytes>"

    def __reduce__(self) -> tuple[Any, ...]:
        digest = self.manifest.digest if self.manifest else None
        used = self._folder.store.transfer
        transfer = None if used == TransferSettings() else used  # which is many bytes
        source = replace(self._source, digest=digest)
        return _reopen, (self.location, source, self._verify, transfer)

    def _open_file(self, path: str) -> IO[bytes]:
        return open_reader(
            self._folder.store, self.file_location(path), self.files[path],
            etag=self._etags.get(path),
        )  # fmt: skip

    @property
    def _as_it_is(self) -> tuple[ArtifactFolder, Mapping[str, int], Opener]:
        return self._folder, self.files, self._open_file

    def _settle(self, manifest: Manifest) -> None:
        """Describe from now on what was read, which may be newer than what was opened."""
        self._stored, self._likeliest = StoredManifest(current=manifest), manifest
        self.files = {entry.path: entry.size for entry in manifest.files}
        self.close()

    def _reread(self) -> StoredManifest:
        return self._source.reread(self._folder.store, self.location, self.layout)

    def _refuse_parts_of_files(self) -> None:
        """Refuse to look into files of which only the whole is vouched for."""
        if not self._is_stored:
            raise SignatureError(
                "the signature vouches for whole files, and for no manifest",
                where=str(self.location),
                hint="Load or pull the model, which reads whole files; or adopt it, check "
                "the manifest, and sign it with sign_model()",
            )


def _reopen(
    location: Location, source: ManifestSource, verify: bool, transfer: TransferSettings | None
) -> RemoteModel:
    return RemoteModel._open(  # noqa: SLF001 - of this module
        open_store(location, transfer), location, source, verify=verify
    )
