"""Prune all repositories below a URL."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass

from remote_models._api._arguments import URL, StorageOptions
from remote_models._api._listing import refuse_missing_bucket
from remote_models._api._walk import ModelResult, ResultCallback, place_of, walk
from remote_models.errors import ModelNotFoundError
from remote_models.repository._layout import ALIASES, number_of
from remote_models.repository._prune import PruneReport
from remote_models.repository._repository import Repository
from remote_models.repository._retention import Best, Retention
from remote_models.repository._small_objects import SUFFIX
from remote_models.storage import Location, TransferSettings, open_store

__all__ = ["prune_repositories"]


def prune_repositories(
    url: URL,
    *,
    keep_last: int | None = None,
    keep_best: tuple[str, str] | tuple[str, str, int] | None = None,
    keep_every: int | None = None,
    dry_run: bool = False,
    executor: Executor | None = None,
    storage_options: StorageOptions | None = None,
    transfer: TransferSettings | None = None,
    on_result: ResultCallback[PruneReport] | None = None,
) -> list[ModelResult[PruneReport]]:
    """Prune all repositories below ``url`` by the same rules, as :meth:`Repository.prune` does.

    A repository is a folder with numbered ones in it and an alias, which every
    :meth:`Repository.save` leaves: folders that others have numbered are left alone. One
    repository that fails stops no other.

    Args:
        url: A folder, prefix or bucket.
        keep_last: As in :meth:`Repository.prune`, like the three that follow.
        keep_best: As in ``("val_loss", "min")`` or ``("val_loss", "min", 2)``.
        keep_every: Keep the versions whose number this divides.
        dry_run: Delete nothing, and report what would be.
        executor: As in :func:`verify_models`.
        storage_options: Arguments for the fsspec filesystem, as in pandas.
        transfer: As in :func:`open_model`, for each repository.
        on_result: Called for each repository when it is done, in any order.

    Returns:
        What became of each, sorted by path.

    Raises:
        ArgumentError: no rule is given, or one makes no sense.
        ModelNotFoundError: no repository is there.
        StorageError: the store refused or failed to list.
    """
    best = None if keep_best is None else Best.parse(keep_best, None, None)
    Retention(last=keep_last, best=best, every=keep_every)  # refuses before anything is done
    root = Location.parse(url, storage_options)
    store = open_store(root, transfer)
    found = _repositories(store.list(root))
    if not found:
        refuse_missing_bucket(store, root)
        raise ModelNotFoundError(
            "no repository is stored below this URL", where=str(root), hint="Check the URL"
        )
    task = _Prune(
        keep_last=keep_last,
        keep_best=keep_best,
        keep_every=keep_every,
        dry_run=dry_run,
        transfer=transfer,
    )
    return walk({path: place_of(root, path) for path in found}, task, executor, on_result)


def _repositories(paths: Iterable[str]) -> list[str]:
    """Return the folders that have an alias and a numbered folder, by the paths of objects."""
    with_alias: set[str] = set()
    with_number: set[str] = set()
    for path in paths:
        parts = path.split("/")
        if parts[-2:-1] == [ALIASES] and parts[-1].endswith(SUFFIX):
            with_alias.add("/".join(parts[:-2]))
        for at, part in enumerate(parts[:-1]):
            if number_of(part):
                with_number.add("/".join(parts[:at]))
    return sorted(folder or "." for folder in with_alias & with_number)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Prune:
    """Prunes one repository; a value, so that it can be pickled."""

    keep_last: int | None
    keep_best: tuple[str, str] | tuple[str, str, int] | None
    keep_every: int | None
    dry_run: bool
    transfer: TransferSettings | None

    def __call__(self, _path: str, location: Location) -> PruneReport:
        repository = Repository(
            location.url, storage_options=location.storage_options, transfer=self.transfer
        )
        return repository.prune(
            keep_last=self.keep_last,
            keep_best=self.keep_best,
            keep_every=self.keep_every,
            dry_run=self.dry_run,
        )
