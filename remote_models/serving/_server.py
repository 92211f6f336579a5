"""A model that is loaded once, answers many at once, and follows its repository."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from remote_models.errors import ArgumentError, RemoteModelsError, UnsupportedRequestError
from remote_models.serving._lending import Lending
from remote_models.serving._polling import Poller
from remote_models.serving._settings import ServerSettings
from remote_models.serving._source import Loaded, load_first
from remote_models.serving._status import PredictionTimes, ServedModel, ServerStatus
from remote_models.storage import Location, TransferSettings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from remote_models._api._arguments import URL, StorageOptions
    from remote_models._api._keys import Key

__all__ = ["ModelServer"]

_LOG = logging.getLogger(__name__)


class ModelServer:
    """Loads a model once and answers with it, from any number of threads.

    Once another version is to be served, it is loaded beside the one that answers, and
    takes over in one step: requests that have begun end on the old one. A refresh that
    fails changes nothing but the status. Both models are in memory meanwhile.

    Of a repository it serves ``latest``, or another alias. An artifact may be replaced
    where it lies. Used in a ``with`` block it is closed at the end.
    """

    def __init__(
        self,
        url: URL | None = None,
        *,
        alias: str | None = None,
        runtime: str | None = None,
        manifest_digest: str | None = None,
        public_key: Key | None = None,
        refresh: float | None = None,
        num_threads: int | None = None,
        storage_options: StorageOptions | None = None,
        transfer: TransferSettings | None = None,
    ) -> None:
        """Load the model.

        Args:
            url: An artifact, or a repository. By default, all that is not given here comes
                from ``REMOTE_MODELS_URL``, ``_ALIAS``, ``_RUNTIME``, ``_MANIFEST_DIGEST``,
                ``_PUBLIC_KEY`` and ``_REFRESH``.
            alias: The alias of the repository to follow. By default ``latest``, if that is
                what is at ``url``.
            runtime: As in ``load_runtime``; ``"auto"`` by default.
            manifest_digest: ``sha256:<hex>``: serve exactly this artifact or nothing.
            public_key: Serve only what is signed by this key, as in ``open_model``.
            refresh: Look for another version each so many seconds, in a thread of its own.
                By default only :meth:`refresh` does.
            num_threads: As in ``load_runtime``.
            storage_options: Arguments for the fsspec filesystem, as in pandas.
            transfer: As in ``open_model``.

        Raises:
            ArgumentError: an argument or a variable makes no sense.
            RemoteModelsError: as ``load_runtime`` raises them.
        """
        given = {
            "alias": alias,
            "runtime": runtime,
            "manifest_digest": manifest_digest,
            "public_key": public_key,
            "refresh": refresh,
        }
        self._settings = _settings(
            url, {name: each for name, each in given.items() if each is not None}
        )
        self._process = os.getpid()
        self._lock = threading.Lock()  # around the fields below
        self._refreshing = threading.Lock()  # held while looking for another version
        started = time.perf_counter()
        location = Location.parse(self._settings.url, storage_options)
        self.location = location
        self._source, loaded = load_first(location, self._settings, transfer, num_threads)
        self._current = Lending(_served(loaded, started))
        self._is_closed = False
        self._checks_on_request = False
        self._status = ServerStatus(
            model=self._current.model, swaps=0, checked_at=datetime.now(UTC), failure=None,
            predictions=PredictionTimes(),
        )  # fmt: skip
        _LOG.info("%s", _report(self._current.model))
        seconds = self._settings.refresh
        self._poller = None if seconds is None else Poller(self.try_refresh, seconds)

    @property
    def status(self) -> ServerStatus:
        """Which model answers, and the times that loading and predicting took."""
        with self._lock:
            return self._status

    @property
    def alias(self) -> str | None:
        """The alias that is followed; ``None`` for an artifact by itself."""
        return self._source.followed

    @property
    def is_closed(self) -> bool:
        """Whether it answers no more."""
        with self._lock:
            return self._is_closed

    @property
    def watched(self) -> Sequence[str]:
        """The URLs of the objects that are written when another model is to be served."""
        return self._source.watched

    def predict(
        self, inputs: NDArray[Any] | Sequence[NDArray[Any]] | Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """Return the outputs by name, as ``Runtime.predict`` does.

        Raises:
            ArgumentError: the inputs are not what the signature says, or this is closed.
            UnsupportedRequestError: this process is a fork of the one that made it.
        """
        with self.use() as model:
            return self.run(model, inputs)

    @contextmanager
    def use(self) -> Iterator[ServedModel]:
        """Keep the model that answers at the moment for as long as the block lasts.

        Raises:
            ArgumentError: this is closed.
            UnsupportedRequestError: this process is a fork of the one that made it.
        """
        self._check_process()
        self._check_when_due()
        lending = self._borrow()
        try:
            yield lending.model
        finally:
            lending.give_back()

    def run(
        self,
        model: ServedModel,
        inputs: NDArray[Any] | Sequence[NDArray[Any]] | Mapping[str, NDArray[Any]],
    ) -> dict[str, NDArray[Any]]:
        """Predict with a model that :meth:`use` keeps, and measure how long that takes."""
        started = time.perf_counter()
        outputs = model.runtime.predict(inputs)
        seconds = time.perf_counter() - started
        with self._lock:
            times = self._status.predictions.plus(seconds)
            self._status = replace(self._status, predictions=times)
        return outputs

    def refresh(self) -> bool:
        """Look what is to be served, and load it if it is another version.

        Returns:
            Whether another version answers from now on.

        Raises:
            RemoteModelsError: it cannot be loaded; the old one goes on.
        """
        self._check_process()
        with self._refreshing:
            return self._refresh()

    def try_refresh(self) -> bool:
        """Do as :meth:`refresh` does, but log what goes wrong instead of raising it."""
        with self._refreshing:
            return self._try_refresh()

    def check_on_request(self) -> None:
        """Look for another version when a request comes, and no more in a thread.

        For machines that stand still between requests, such as those of AWS Lambda: a
        request that comes ``refresh`` seconds after the last look, or later, looks first.
        Others do not wait for it.
        """
        self._checks_on_request = True
        if self._poller is not None:
            self._poller.stop()

    def close(self) -> None:
        """Answer no more; the model is closed when the last request has ended."""
        if self._poller is not None:
            self._poller.stop()
        with self._lock:
            self._is_closed = True
        self._current.retire()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ModelServer {self.location}>"

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            # Threads do not survive a fork: clients and runtimes would wait for theirs for ever.
            raise UnsupportedRequestError(
                f"this server was made in process {self._process}, and process {os.getpid()} "
                "is a fork of it",
                where=str(self.location),
                hint="Make the ModelServer in each worker, after it was forked: gunicorn does "
                "so without --preload.",
            )

    def _borrow(self) -> Lending:
        while True:
            with self._lock:
                if self._is_closed:
                    raise ArgumentError("this server is closed", where=str(self.location))
                lending = self._current
            if lending.borrow():
                return lending

    def _check_when_due(self) -> None:
        if not self._is_due() or not self._refreshing.acquire(blocking=False):
            return
        try:
            if self._is_due():  # another request may have looked meanwhile
                self._try_refresh()
        finally:
            self._refreshing.release()

    def _is_due(self) -> bool:
        seconds = self._settings.refresh
        if not self._checks_on_request or seconds is None:
            return False
        # The time of day: a machine that was stopped has a monotonic clock that was, too.
        age = (datetime.now(UTC) - self.status.checked_at).total_seconds()
        return abs(age) >= seconds

    def _try_refresh(self) -> bool:
        try:
            return self._refresh()
        except Exception as error:  # noqa: BLE001 - logged; a thread of its own must outlive it
            # Frameworks raise what they like, and whatever it is, the old version goes on.
            if not isinstance(error, RemoteModelsError):
                self._note(f"{type(error).__name__}: {error}")
            _LOG.exception("%s: no other version could be loaded", self.location)
            return False

    def _refresh(self) -> bool:
        try:
            has_swapped = self._look()
        except RemoteModelsError as error:
            self._note(error.summary)
            raise
        self._note(None)
        return has_swapped

    def _look(self) -> bool:
        if self._settings.manifest_digest is not None:
            return False  # what is pinned never changes
        answering = self.status.model
        found = self._source.find()
        if str(found.location) == answering.url and (
            found.manifest_digest == answering.manifest_digest
        ):
            return False
        started = time.perf_counter()
        return self._swap(_served(self._source.load(), started))

    def _swap(self, model: ServedModel) -> bool:
        coming = Lending(model)
        with self._lock:
            old, is_closed = self._current, self._is_closed
            if not is_closed:
                self._current = coming
                self._status = replace(self._status, model=model, swaps=self._status.swaps + 1)
        (coming if is_closed else old).retire()
        if not is_closed:
            _LOG.info("%s", _report(model))
        return not is_closed

    def _note(self, failure: str | None) -> None:
        with self._lock:
            self._status = replace(self._status, checked_at=datetime.now(UTC), failure=failure)


def _settings(url: URL | None, given: Mapping[str, Any]) -> ServerSettings:
    if url is None:
        return replace(ServerSettings.from_environment(os.environ), **given)
    return ServerSettings(url=os.fspath(url), **given)


def _served(loaded: Loaded, started: float) -> ServedModel:
    return ServedModel(
        url=str(loaded.found.location),
        version=loaded.found.version,
        manifest_digest=loaded.found.manifest_digest,
        runtime=loaded.runtime,
        loaded_at=datetime.now(UTC),
        load_seconds=time.perf_counter() - started,
    )


def _report(model: ServedModel) -> str:
    what = f"{model.url} ({model.manifest_digest or 'no manifest'})"
    return f"{what} is served by {model.runtime.name}, loaded in {model.load_seconds:.3f} s"
