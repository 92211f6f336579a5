"""Verify, adopt and copy all models below a URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from remote_models._api._adopt import adopt_model
from remote_models._api._arguments import URL, StorageOptions
from remote_models._api._artifacts import open_model, verify_model
from remote_models._api._copy import copy_model
from remote_models._api._keys import Key, read_public_pem
from remote_models._api._listing import ModelListing, list_models
from remote_models._api._walk import ModelResult, ResultCallback, place_of, walk
from remote_models.errors import ArgumentError, ModelExistsError, ModelNotFoundError
from remote_models.manifest import Manifest
from remote_models.remote_model import VerifyReport
from remote_models.storage import Location, TransferSettings, is_at_or_below, open_store

__all__ = ["adopt_models", "copy_models", "verify_models"]


def verify_models(
    url: URL,
    *,
    executor: Executor | None = None,
    public_key: Key | None = None,
    storage_options: StorageOptions | None = None,
    transfer: TransferSettings | None = None,
    on_result: ResultCallback[VerifyReport] | None = None,
) -> list[ModelResult[VerifyReport]]:
    """Compare every byte of all models below ``url`` with their manifests.

    One model that fails stops no other. A model without a manifest fails.

    Args:
        url: A folder, prefix or bucket.
        executor: Any of ``concurrent.futures``, or one with its interface, as that of a
            Dask client; by default threads of this process. Where it has other processes
            or machines, these need the environment, credentials included, and the paths
            of this one; ``storage_options`` and ``transfer`` travel with the work.
        public_key: As in :func:`open_model`.
        storage_options: Arguments for the fsspec filesystem, as in pandas.
        transfer: As in :func:`open_model`, for each model.
        on_result: Called for each model when it is done, in any order.

    Returns:
        What came of each, sorted by path. See :func:`verify_model` for the reports.

    Raises:
        ModelNotFoundError: no model is there.
        StorageError: the store refused or failed to list.
    """
    return walk(
        _places(url, storage_options),
        _Verify(key=read_public_pem(public_key), transfer=transfer),
        executor,
        on_result,
    )


def adopt_models(
    url: URL,
    *,
    metadata: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    executor: Executor | None = None,
    storage_options: StorageOptions | None = None,
    transfer: TransferSettings | None = None,
    on_result: ResultCallback[Manifest] | None = None,
) -> list[ModelResult[Manifest]]:
    """Write a manifest for each model below ``url`` that has none.

    One model that fails stops no other. Called again, it goes on where it was stopped.

    Args:
        url: A folder, prefix or bucket.
        metadata: As in :func:`adopt_model`, for all of them.
        overwrite: Whether models that have a manifest get another one.
        executor: As in :func:`verify_models`.
        storage_options: Arguments for the fsspec filesystem, as in pandas.
        transfer: As in :func:`open_model`, for each model.
        on_result: Called for each model when it is done, in any order.

    Returns:
        The manifests that were written, sorted by path; none if all models have one.

    Raises:
        ModelNotFoundError: no model is there.
        StorageError: the store refused or failed to list.
    """

    def is_meant(listing: ModelListing) -> bool:
        return overwrite or not listing.has_manifest

    return walk(
        _places(url, storage_options, is_meant),
        _Adopt(metadata=metadata, overwrite=overwrite, transfer=transfer),
        executor,
        on_result,
    )


def copy_models(
    source: URL,
    target: URL,
    *,
    overwrite: bool = True,
    executor: Executor | None = None,
    public_key: Key | None = None,
    storage_options: StorageOptions | None = None,
    target_options: StorageOptions | None = None,
    transfer: TransferSettings | None = None,
    on_result: ResultCallback[Manifest] | None = None,
) -> list[ModelResult[Manifest]]:
    """Copy all models below ``source`` to the same paths below ``target``, verified.

    One model that fails stops no other. Of a repository the versions are copied, and not
    the aliases: ``latest`` of the copy is the highest number.

    Args:
        source: A folder, prefix or bucket.
        target: Another one, not inside ``source``.
        overwrite: As in :func:`copy_model`.
        executor: As in :func:`verify_models`.
        public_key: As in :func:`open_model`.
        storage_options: Arguments for the fsspec filesystem, as in pandas.
        target_options: The same for ``target``, if they are others.
        transfer: As in :func:`open_model`, for each model.
        on_result: Called for each model when it is done, in any order.

    Returns:
        The manifests of the copies, sorted by path.

    Raises:
        ModelNotFoundError: no model is at ``source``.
        ArgumentError: ``target`` lies inside ``source``.
        StorageError: the store refused or failed to list.
    """
    root = Location.parse(source, storage_options)
    options = storage_options if target_options is None else target_options
    aim = Location.parse(target, options)
    if root.protocol == aim.protocol and is_at_or_below(aim.path, root.path):
        raise ArgumentError(
            "lies inside of what is to be copied", where="target", found=str(aim),
            hint="Choose another folder",
        )  # fmt: skip
    return walk(
        _places(source, storage_options),
        _Copy(aim=aim, overwrite=overwrite, key=read_public_pem(public_key), transfer=transfer),
        executor,
        on_result,
    )


def _places(
    url: URL,
    storage_options: StorageOptions | None,
    is_meant: Callable[[ModelListing], bool] = lambda _listing: True,
) -> dict[str, Location]:
    root = Location.parse(url, storage_options)
    found = list_models(url, storage_options=storage_options)
    if not found:
        raise ModelNotFoundError(
            "no model is stored below this URL", where=str(root), hint="Check the URL"
        )
    return {each.path: place_of(root, each.path) for each in found if is_meant(each)}


# What is done with each model: values, so that they can be pickled.


@dataclass(frozen=True, kw_only=True, slots=True)
class _Verify:
    """Verifies one model."""

    key: bytes | None
    transfer: TransferSettings | None

    def __call__(self, _path: str, location: Location) -> VerifyReport:
        return verify_model(
            location.url,
            public_key=self.key,
            storage_options=location.storage_options,
            transfer=self.transfer,
            progress=False,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Adopt:
    """Adopts one model."""

    metadata: Mapping[str, Any] | None
    overwrite: bool
    transfer: TransferSettings | None

    def __call__(self, _path: str, location: Location) -> Manifest:
        options = location.storage_options
        try:
            return adopt_model(
                location.url,
                metadata=self.metadata,
                overwrite=self.overwrite,
                storage_options=options,
                transfer=self.transfer,
                progress=False,
            )
        except ModelExistsError:
            # Dask does work again whose worker has died, perhaps after it was done.
            remote = open_model(location.url, storage_options=options, transfer=self.transfer)
            if remote.manifest is None:
                raise
            return remote.manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class _Copy:
    """Copies one model to its place below another URL."""

    aim: Location
    overwrite: bool
    key: bytes | None
    transfer: TransferSettings | None

    def __call__(self, path: str, location: Location) -> Manifest:
        _make_folders(self.aim, path)
        return copy_model(
            location.url,
            place_of(self.aim, path).url,
            public_key=self.key,
            overwrite=self.overwrite,
            storage_options=location.storage_options,
            target_options=self.aim.storage_options,
            transfer=self.transfer,
            progress=False,
        )


def _make_folders(root: Location, path: str) -> None:
    """Make the folders around a copy, where a store has folders."""
    store = open_store(root)
    store.make_directory(root)
    parts = path.split("/")[:-1]
    for count in range(len(parts)):
        store.make_directory(root.join("/".join(parts[: count + 1])))
