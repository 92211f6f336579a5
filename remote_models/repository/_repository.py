"""A repository: the versions of one model, numbered, below one URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from remote_models._api import load_model, open_model
from remote_models._api._arguments import URL, Progress, StorageOptions, model_format
from remote_models._api._keys import Key
from remote_models._api._listing import refuse_missing_bucket
from remote_models._api._model_files import ModelFiles
from remote_models.errors import ArgumentError
from remote_models.frameworks import SaveOptions
from remote_models.manifest import Manifest
from remote_models.publishing import FindBase
from remote_models.remote_model import RemoteModel
from remote_models.repository._aliases import LATEST, Aliases, check_alias
from remote_models.repository._layout import Contents
from remote_models.repository._prune import PruneReport, lead, prune_versions
from remote_models.repository._retention import Best, Retention
from remote_models.repository._saving import save_version
from remote_models.repository._target import Target, find_target, follow, missing_version
from remote_models.repository._version import Version, read_newest, read_version, read_versions
from remote_models.storage import Location, TransferSettings, open_store

__all__ = ["Repository"]

_T = TypeVar("_T")


class Repository:
    """The versions of one model: ``1/``, ``2/``, … below one URL, and names for them.

    Each version is what ``save_model`` makes, whole or not there, and never changes. The
    layout is TensorFlow Serving's. Any number of programs may save, load, name and prune
    at once.

    Attributes:
        location: Where it lies.
    """

    def __init__(
        self,
        url: URL,
        *,
        public_key: Key | None = None,
        storage_options: StorageOptions | None = None,
        transfer: TransferSettings | None = None,
    ) -> None:
        """Name a repository; nothing is read or made yet.

        Args:
            url: A folder; it is made with the first version.
            public_key: Load and open only versions that are signed by this key, as in
                ``open_model``. Aliases are not signed: they may lead to an older one.
            storage_options: Arguments for the fsspec filesystem, as in pandas.
            transfer: As in ``open_model``.

        Raises:
            ArgumentError: ``url`` or an option makes no sense.
        """
        self.location = Location.parse(url, storage_options)
        self._public_key = public_key
        self._transfer = transfer
        self._store = open_store(self.location, transfer)

    def save(
        self,
        model: Any,
        *,
        save_format: str = "tf",
        include_optimizer: bool = True,
        signatures: Any = None,
        save_traces: bool = True,
        exports: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        progress: Progress = None,
    ) -> Version:
        """Save a model as the next version, and let ``latest`` lead to it.

        The version appears whole or not at all, and nothing that was there changes. Of
        several savers at once each gets a number of its own before it sends a byte. A
        number is never used again; one whose save failed may stay unused. On S3, tensors
        that the version before has too do not travel again.

        Args:
            model: A model of Keras 3 or of tf_keras.
            save_format: ``"tf"`` for a SavedModel, the folder ``N``; ``"keras"`` for
                ``N/model.keras``, ``"h5"`` for ``N/model.h5``.
            include_optimizer: As in ``save_model``.
            signatures: As in ``save_model``.
            save_traces: As in ``save_model``.
            exports: As in ``save_model``.
            metadata: A JSON object of your own. ``prune`` finds metrics in it, or in its
                member ``metrics``.
            progress: As in ``save_model``.

        Raises:
            FormatError: the model cannot be saved in this format.
            ModelExistsError: the repository would lie inside a model.
            ArgumentError: an argument makes no sense.
            StorageError: the store refused or failed; the message says what to do.
        """
        format = model_format(self.location.join("1"), save_format)
        options = SaveOptions(
            include_optimizer=include_optimizer, signatures=signatures, save_traces=save_traces
        )

        def publish(location: Location, find_base: FindBase) -> Manifest:
            with ModelFiles.of_model(model, format, options, exports=exports) as files:
                return self._publish(files, location, metadata, progress, find_base)

        return save_version(self._store, self.location, format, publish)

    def save_files(
        self,
        files: ModelFiles,
        *,
        metadata: Mapping[str, Any] | None = None,
        progress: Progress = None,
    ) -> Version:
        """Save the files of a model as the next version, as :meth:`save` does; they stay.

        Raises:
            ArgumentError: an argument makes no sense.
            StorageError: the store refused or failed; the message says what to do.
        """

        def publish(location: Location, find_base: FindBase) -> Manifest:
            return self._publish(files, location, metadata, progress, find_base)

        return save_version(self._store, self.location, files.format, publish)

    def _publish(
        self,
        files: ModelFiles,
        location: Location,
        metadata: Mapping[str, Any] | None,
        progress: Progress,
        find_base: FindBase,
    ) -> Manifest:
        return files.publish(
            location,
            overwrite=False,
            metadata=metadata,
            transfer=self._transfer,
            progress=progress,
            find_base=find_base,
        )

    def load(
        self,
        version: int | str = LATEST,
        *,
        custom_objects: Mapping[str, Any] | None = None,
        compile: bool = True,
        safe_mode: bool = True,
        manifest_digest: str | None = None,
        framework: str | None = None,
        progress: Progress = None,
        lazy: bool = False,
        prefetch: int | bool = False,
    ) -> Any:
        """Load a version, as ``load_model`` does.

        By an alias, ``latest`` included, it takes two small reads to know what to load,
        and no listing; what is loaded has the digest that the alias names.

        Args:
            version: A number, ``"latest"`` or another alias.
            custom_objects: As in ``load_model``, like all that follow.
            compile: Whether to compile it as it was when saved.
            safe_mode: Whether code in the model is refused.
            manifest_digest: ``sha256:<hex>``: load exactly this artifact or nothing.
            framework: ``"keras"`` or ``"tf_keras"``.
            progress: As in ``save_model``.
            lazy: Read weights when they are needed.
            prefetch: With ``lazy``, how many layers are read ahead.

        Raises:
            ModelNotFoundError: there is no such version or alias, or it was pruned.
            IntegrityError: bytes are not those that the manifest or the alias vouches for.
            RemoteModelsError: as ``load_model`` raises them.
        """

        def use(location: Location, digest: str | None) -> Any:
            return load_model(
                location.url,
                custom_objects=custom_objects,
                compile=compile,
                safe_mode=safe_mode,
                manifest_digest=manifest_digest or digest,
                public_key=self._public_key,
                framework=framework,
                storage_options=location.storage_options,
                transfer=self._transfer,
                progress=progress,
                lazy=lazy,
                prefetch=prefetch,
            )

        return self._follow(version, use)

    def open(
        self,
        version: int | str = LATEST,
        *,
        manifest_digest: str | None = None,
        verify: bool = True,
    ) -> RemoteModel:
        """Open a version by reading its manifest only, as ``open_model`` does.

        Raises:
            ModelNotFoundError: there is no such version or alias, or it was pruned.
            ManifestError: the manifest is malformed, or not the pinned one.
            StorageError: the store refused or failed.
        """

        def use(location: Location, digest: str | None) -> RemoteModel:
            return open_model(
                location.url,
                manifest_digest=manifest_digest or digest,
                public_key=self._public_key,
                verify=verify,
                storage_options=location.storage_options,
                transfer=self._transfer,
            )

        return self._follow(version, use)

    def url(self, version: int | str = LATEST) -> str:
        """Return the URL of a version's model.

        Raises:
            ModelNotFoundError: there is no such version or alias.
            StorageError: the store refused or failed.
        """
        target = find_target(self._store, self.location, version)
        return str(self.location.join(target.path))

    def versions(self) -> list[Version]:
        """Return the finished versions, in the order of their numbers.

        One listing and one small read for each. A folder without a manifest, which others
        have filled, is none until it is adopted; neither is what a save left that was
        cut short.

        Raises:
            ManifestError: a manifest is damaged.
            StorageError: the store refused or failed.
        """
        return list(read_versions(self._store, self.location, self._contents()))

    @property
    def latest(self) -> Version | None:
        """The finished version with the highest number, by a listing; ``None`` without any.

        The alias ``latest`` stays one save behind where a save was killed before its
        last step, until the next save or prune.
        """
        return read_newest(self._store, self.location, self._contents())

    def set_alias(self, name: str, version: int | str) -> Version:
        """Let a name lead to a version, wherever it led before.

        No prune deletes the version while an alias leads to it.

        Args:
            name: A letter, then letters, digits, ``.``, ``_`` and ``-``.
            version: A number, ``"latest"`` or another alias.

        Returns:
            The version.

        Raises:
            ModelNotFoundError: there is no such finished version.
            ConflictError: it is being deleted.
            ArgumentError: no alias can have this name.
            StorageError: the store refused or failed.
        """
        if check_alias(name) == LATEST:
            raise ArgumentError(
                "every save moves this alias", where="alias", found=repr(name),
                hint="Choose another name",
            )  # fmt: skip
        target = find_target(self._store, self.location, version)
        found = read_version(self._store, self.location, target.number, target.path)
        if found is None:
            raise missing_version(self.location, target.number)
        lead(self._store, self.location, name, found, target.path)
        return found

    def delete_alias(self, name: str) -> None:
        """Delete an alias; the version stays.

        Raises:
            ModelNotFoundError: there is no such alias.
            ArgumentError: it is ``latest``, or no alias can have this name.
            StorageError: the store refused or failed.
        """
        if check_alias(name) == LATEST:
            raise ArgumentError("every save makes this alias", where="alias", found=repr(name))
        self._aliases().delete(name)

    def aliases(self) -> dict[str, int]:
        """Return the aliases with the numbers that they lead to, ``latest`` included.

        Raises:
            ManifestError: an alias is damaged.
            StorageError: the store refused or failed.
        """
        found = self._aliases().read_all()
        return {name: alias.version for name, alias in found.items()}

    def prune(
        self,
        *,
        keep_last: int | None = None,
        keep_best: int | tuple[str, str] | tuple[str, str, int] | None = None,
        metric: str | None = None,
        mode: str | None = None,
        keep_every: int | None = None,
        dry_run: bool = False,
    ) -> PruneReport:
        """Delete the versions that none of the rules keeps.

        The newest version is kept, and each that an alias leads to. A version stops
        being one with the first of its files that goes: who is loading it meanwhile gets
        the whole model or an error. After a kill another prune finishes what is left.
        What saves have left that were cut short is not touched. Two prunes at once do no
        harm unless an alias is set in the same moment.

        Args:
            keep_last: Keep so many of the newest.
            keep_best: Keep those with the best metric: a number of versions with
                ``metric`` and ``mode``, or ``("val_loss", "min")``, or
                ``("val_loss", "min", 2)``. Versions without the metric do not count.
            metric: A member of the versions' metadata, or of ``metrics`` in it.
            mode: ``"min"`` (the default) or ``"max"``.
            keep_every: Keep the versions whose number this divides.
            dry_run: Delete nothing, and report what would be.

        Raises:
            ArgumentError: no rule is given, or one makes no sense.
            ManifestError: a manifest or an alias is damaged; nothing is deleted then.
            StorageError: the store refused or failed.
        """
        if keep_best is None and (metric is not None or mode is not None):
            raise ArgumentError("how many?", where="keep_best", hint="Pass keep_best=1")
        best = None if keep_best is None else Best.parse(keep_best, metric, mode)
        retention = Retention(last=keep_last, best=best, every=keep_every)
        return prune_versions(self._store, self.location, retention, dry_run=dry_run)

    def __repr__(self) -> str:
        return f"<Repository {self.location}>"

    def __reduce__(self) -> tuple[Any, ...]:
        options = dict(self.location.storage_options)
        return _reopen, (self.location.url, self._public_key, options, self._transfer)

    def _contents(self) -> Contents:
        contents = Contents.read(self._store, self.location)
        if not contents.models:
            refuse_missing_bucket(self._store, self.location)
        return contents

    def _aliases(self) -> Aliases:
        return Aliases(self._store, self.location)

    def _follow(self, version: int | str, use: Callable[[Location, str | None], _T]) -> _T:
        def use_target(target: Target) -> _T:
            return use(self.location.join(target.path), target.manifest_digest)

        return follow(self._store, self.location, version, use_target)


def _reopen(
    url: str,
    public_key: Key | None,
    storage_options: StorageOptions,
    transfer: TransferSettings | None,
) -> Repository:
    return Repository(
        url, public_key=public_key, storage_options=storage_options, transfer=transfer
    )
