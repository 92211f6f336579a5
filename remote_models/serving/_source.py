"""Where a server's model comes from: an artifact, or an alias of a repository."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from remote_models import load_runtime, open_model
from remote_models.errors import AccessDeniedError, ManifestError, ModelNotFoundError
from remote_models.manifest import Layout
from remote_models.remote_model import manifest_location
from remote_models.repository._aliases import LATEST, Aliases
from remote_models.repository._target import Target, find_target, follow
from remote_models.serving._settings import ServerSettings
from remote_models.storage import Location, TransferSettings, open_store

if TYPE_CHECKING:
    from remote_models.runtimes import Runtime

__all__ = ["Found", "Loaded", "Source", "load_first"]

_FILE_SUFFIXES = (".keras", ".h5", ".hdf5")


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a source leads to.

    Attributes:
        location: Where the artifact lies.
        manifest_digest: The digest of its manifest; ``None`` without a manifest.
        version: Its number, if it is a repository's.
    """

    location: Location
    manifest_digest: str | None
    version: int | None = None


class Loaded(NamedTuple):
    """A model in memory, and which one it is."""

    found: Found
    runtime: Runtime


@dataclass(frozen=True, kw_only=True, slots=True)
class Source(ABC):
    """Leads to a model, perhaps to another one each time.

    Attributes:
        location: The URL that was given.
        settings: What to serve and how.
        transfer: As in ``open_model``.
        num_threads: As in ``load_runtime``.
    """

    location: Location
    settings: ServerSettings
    transfer: TransferSettings | None
    num_threads: int | None

    @abstractmethod
    def find(self) -> Found:
        """Look what is to be served now, by one small read.

        Raises:
            RemoteModelsError: nothing is there, or it is not what was asked for.
        """

    @abstractmethod
    def load(self) -> Loaded:
        """Load what is to be served now.

        Raises:
            RemoteModelsError: it cannot be loaded.
        """

    @property
    @abstractmethod
    def watched(self) -> Sequence[str]:
        """The URLs of the objects that are written last when the model changes."""

    @property
    def followed(self) -> str | None:
        """The alias that leads to the model, if one does."""
        return None

    def _load(self, found: Found) -> Loaded:
        runtime = load_runtime(
            found.location.url,
            self.settings.runtime,
            manifest_digest=self.settings.manifest_digest or found.manifest_digest,
            public_key=self.settings.public_key,
            storage_options=found.location.storage_options,
            transfer=self.transfer,
            num_threads=self.num_threads,
        )
        return Loaded(found, runtime)


class ArtifactSource(Source):
    """One artifact, which may be replaced where it lies."""

    __slots__ = ()

    def find(self) -> Found:
        remote = open_model(
            self.location.url,
            manifest_digest=self.settings.manifest_digest,
            public_key=self.settings.public_key,
            storage_options=self.location.storage_options,
            transfer=self.transfer,
        )
        digest = remote.manifest.digest if remote.manifest else None
        return Found(location=self.location, manifest_digest=digest)

    def load(self) -> Loaded:
        loaded = self._load(Found(location=self.location, manifest_digest=None))
        digest = loaded.runtime.manifest_digest
        return Loaded(replace(loaded.found, manifest_digest=digest), loaded.runtime)

    @property
    def watched(self) -> Sequence[str]:
        return [str(manifest_location(self.location, layout)) for layout in Layout]


@dataclass(frozen=True, kw_only=True, slots=True)
class AliasSource(Source):
    """The version of a repository that an alias leads to.

    Attributes:
        alias: The alias.
    """

    alias: str

    def find(self) -> Found:
        store = open_store(self.location, self.transfer)
        return self._found(find_target(store, self.location, self.alias))

    def load(self) -> Loaded:
        store = open_store(self.location, self.transfer)

        def use(target: Target) -> Loaded:
            return self._load(self._found(target))

        return follow(store, self.location, self.alias, use)

    @property
    def watched(self) -> Sequence[str]:
        return [str(self._aliases().location(self.alias))]

    @property
    def followed(self) -> str | None:
        return self.alias

    def is_there(self) -> bool:
        """Whether the alias is there, by one look."""
        try:
            return self._aliases().read(self.alias) is not None
        except AccessDeniedError:
            # S3 says 403 of a missing object to those who may not list the bucket.
            return False

    def _aliases(self) -> Aliases:
        return Aliases(open_store(self.location, self.transfer), self.location)

    def _found(self, target: Target) -> Found:
        return Found(
            location=self.location.join(target.path),
            manifest_digest=target.manifest_digest,
            version=target.number,
        )


def load_first(
    location: Location,
    settings: ServerSettings,
    transfer: TransferSettings | None,
    num_threads: int | None,
) -> tuple[Source, Loaded]:
    """Tell a repository from an artifact, and load what it leads to.

    With an alias it is a repository. Without one, ``latest`` is served where there is that
    alias, by one look; the URL of what looks like an artifact, or is pinned, is tried first.

    Raises:
        RemoteModelsError: nothing is there, or it cannot be loaded.
    """
    artifact = ArtifactSource(
        location=location, settings=settings, transfer=transfer, num_threads=num_threads
    )
    repository = AliasSource(
        location=location, settings=settings, transfer=transfer, num_threads=num_threads,
        alias=LATEST if settings.alias is None else settings.alias,
    )  # fmt: skip
    if settings.alias is not None:
        return repository, repository.load()
    is_likely = settings.manifest_digest is not None or _looks_like_artifact(location)
    if not is_likely and repository.is_there():
        return repository, repository.load()
    try:
        return artifact, artifact.load()
    except (AccessDeniedError, ManifestError, ModelNotFoundError):
        if not is_likely or not repository.is_there():
            raise
    return repository, repository.load()


def _looks_like_artifact(location: Location) -> bool:
    name = location.name.lower()
    return name.endswith(_FILE_SUFFIXES) or name.isdigit()
