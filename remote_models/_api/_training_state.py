"""The state of a training at a URL: one file of weights, with more in it than Keras reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from remote_models._api._fetch import fetched
from remote_models._api._guarding import guard_weights
from remote_models.errors import FormatError, ModelNotFoundError
from remote_models.frameworks import is_beside_weights
from remote_models.manifest import Layout
from remote_models.remote_model import RemoteModel, manifest_location
from remote_models.storage import Location, Store

if TYPE_CHECKING:
    import numpy as np

    from remote_models.frameworks import Training

__all__ = ["TrainingState", "delete_training_state"]


class TrainingState:
    """A training's state as it was saved: every byte is checked before it is used.

    Attributes:
        metadata: What was saved with it.
    """

    def __init__(self, remote: RemoteModel, metadata: Mapping[str, Any]) -> None:
        self._remote = remote
        self.metadata = metadata
        self._beside: dict[str, np.ndarray[Any, Any]] | None = None

    @classmethod
    def find(cls, store: Store, location: Location) -> Self | None:
        """Return the state at ``location``, or ``None`` without one.

        Raises:
            ManifestError: the manifest is damaged.
            StorageError: the store refused or failed.
        """
        try:
            remote = RemoteModel.open(store, location)
        except ModelNotFoundError:
            return None
        if remote.manifest is None:  # what is left of one that was deleted
            return None
        return cls(remote, remote.manifest.metadata)

    def load(self, training: Training) -> None:
        """Give a model the weights, and its optimizer the state, that were saved.

        Raises:
            IntegrityError: bytes are not those that the manifest vouches for.
            FormatError: they belong to another model.
        """
        with fetched(self._remote, None) as artifact:
            guard_weights(artifact)
            try:
                training.load(artifact.path)
            except ValueError as error:
                raise FormatError(
                    f"this state belongs to another model: {error}",
                    where=str(self._remote.location),
                    hint="Train the model that saved it, or choose another URL",
                ) from error

    def load_seeds(self, training: Training) -> None:
        """Give seed generators the state that was saved.

        Raises:
            IntegrityError: bytes are not those that the manifest vouches for.
            FormatError: they belong to another model.
        """
        training.load_seeds(self._arrays())

    def load_metrics(self, training: Training) -> None:
        """Give metrics the state that was saved; raises as :meth:`load_seeds` does."""
        training.load_metrics(self._arrays())

    def _arrays(self) -> Mapping[str, np.ndarray[Any, Any]]:
        if self._beside is None:
            weights = self._remote.weights
            keys = {name: each.key for name, each in weights.items()}
            names = [name for name, key in keys.items() if is_beside_weights(key)]
            self._beside = {keys[name]: array for name, array in weights.stream(names)}
        return self._beside


def delete_training_state(store: Store, location: Location) -> None:
    """Delete a state, and the folder around it if that is empty then.

    Once its manifest is gone, which goes first, it is none.

    Raises:
        StorageError: the store refused or failed.
    """
    store.transfer.retry.retried(lambda: store.delete(manifest_location(location, Layout.FILE)))
    store.transfer.retry.retried(lambda: store.delete(location))
    store.remove_directory(location.parent)
