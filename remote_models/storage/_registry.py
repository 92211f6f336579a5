"""From a location to the store that serves it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import fsspec
from fsspec.config import conf
from fsspec.registry import known_implementations

from remote_models.errors import (
    ArgumentError,
    CredentialsError,
    MissingDependencyError,
    StoreUnavailableError,
)
from remote_models.storage._hedge import Hedge
from remote_models.storage._location import Location
from remote_models.storage._secrets import quotes_secret, without_secrets
from remote_models.storage._settings import TransferSettings
from remote_models.storage._store import Store
from remote_models.storage._upload_journal import UploadJournal

__all__ = ["open_store"]

_OWN_STORES = {
    "file": ("remote_models.storage._local", "LocalStore"),
    "memory": ("remote_models.storage._memory", "MemoryStore"),
    "s3": ("remote_models.storage._s3", "S3Store"),
    "gs": ("remote_models.storage._gcs", "GCSStore"),
}

_EXTRAS = {"s3": "s3", "gs": "gcs"}

_NEAR = ("file", "memory")
"""Stores whose answers are not waited for."""

_NOT_INSTALLED = "obstore is not installed"

_CLIENTS = ("auto", "fsspec", "obstore")
"""What the variable REMOTE_MODELS_CLIENT may say: who reaches s3://."""


def open_store(location: Location, transfer: TransferSettings | None = None) -> Store:
    """Return the store that serves ``location``.

    ``transfer`` says how much a transfer may take; without it the environment does
    (see :meth:`TransferSettings.from_environment`).

    ``s3://`` is reached through obstore where that is installed and can do what the
    options and the environment ask for, else through s3fs; the environment variable
    REMOTE_MODELS_CLIENT decides otherwise: ``fsspec`` or ``obstore``.

    Raises:
        MissingDependencyError: the package for the scheme is not installed.
        ArgumentError: nobody knows the scheme, its options do not fit, obstore is
            insisted on and cannot take them, or a variable makes no sense.
        CredentialsError: the credentials that the options name are no good.
        StoreUnavailableError: credentials cannot be checked, or a server that must
            be asked at once does not answer.
    """
    if transfer is not None and not isinstance(transfer, TransferSettings):
        raise ArgumentError(
            "not TransferSettings", where="transfer", found=repr(transfer),
            hint="Pass transfer=remote_models.TransferSettings(max_concurrency=…)",
        )  # fmt: skip
    store = _open_client(location)
    store.transfer = transfer or TransferSettings.from_environment(os.environ)
    store.journal = UploadJournal.from_environment(os.environ)
    if location.protocol not in _NEAR:
        store.hedge = Hedge()
    return store


def _open_client(location: Location) -> Store:
    client = os.environ.get("REMOTE_MODELS_CLIENT") or "auto"
    if client not in _CLIENTS:
        raise ArgumentError(
            "no such client", where="REMOTE_MODELS_CLIENT",
            expected=" or ".join(_CLIENTS), found=repr(client),
        )  # fmt: skip
    if location.protocol != "s3" or client == "fsspec":
        return _open_fsspec(location)
    found = _open_obstore(location, insist=client == "obstore" or find_spec("s3fs") is None)
    if isinstance(found, Store):
        return found
    if client == "obstore":
        raise _not_with_obstore(location, found)
    return _open_fsspec(location, why=found)


def _open_obstore(location: Location, *, insist: bool) -> Store | str:
    """Return the store of the fast client, or why it does not serve ``location``."""
    if find_spec("obstore") is None:
        return _NOT_INSTALLED
    from remote_models.storage._obstore_settings import read_settings

    settings = read_settings(location, os.environ, insist=insist)
    if isinstance(settings, str):
        return settings
    from remote_models.storage._obstore import ObstoreStore, is_forked

    if is_forked():
        return "obstore does not work in a process forked from one that has used it"
    return ObstoreStore(settings, partial(_open_other, location))


def _open_other(location: Location, config: Mapping[str, Any]) -> Store | None:
    """Open the store through s3fs, with ``config`` for botocore besides what is configured."""
    merged = dict(location.storage_options)
    if config:
        configured = {**conf.get("s3", {}), **merged}.get("config_kwargs") or {}
        merged["config_kwargs"] = {**configured, **config}
    try:
        return _open_fsspec(replace(location, storage_options=merged))
    except MissingDependencyError:
        return None


def _open_fsspec(location: Location, *, why: str | None = None) -> Store:
    try:
        store_class = _store_class(location.protocol)
        return store_class(_filesystem(location, store_class))
    except ImportError as error:
        raise _missing(location.protocol, why) from error


def _store_class(protocol: str) -> type[Store]:
    module_name, class_name = _OWN_STORES.get(protocol, ("remote_models.storage._store", "Store"))
    store_class: type[Store] = getattr(importlib.import_module(module_name), class_name)
    return store_class


def _filesystem(location: Location, store_class: type[Store]) -> fsspec.AbstractFileSystem:
    options = store_class.complete_options(location.storage_options)
    try:
        return fsspec.filesystem(location.protocol, **options)
    except store_class.credential_errors as error:
        raise CredentialsError(
            "no usable credentials found", where=str(location),
            hint="Check storage_options and the environment",
        ) from error  # fmt: skip
    except (TypeError, ValueError, KeyError) as error:
        if location.protocol in known_implementations:
            quotes = quotes_secret(error, location)
            raise _bad_options(location, error) from (None if quotes else error)
        raise _unknown_scheme(location.protocol) from error
    except OSError as error:
        raise StoreUnavailableError(
            "the store cannot be opened", where=str(location),
            hint="Check the network, storage_options and the environment",
        ) from error  # fmt: skip


def _not_with_obstore(location: Location, reason: str) -> MissingDependencyError | ArgumentError:
    if reason == _NOT_INSTALLED:
        return MissingDependencyError(
            "REMOTE_MODELS_CLIENT asks for a package that is not installed",
            hint="pip install 'remote_models[fast]'",
        )
    return ArgumentError(
        "obstore, for which REMOTE_MODELS_CLIENT asks, cannot do this",
        where=str(location), found=reason, hint="Set REMOTE_MODELS_CLIENT=auto",
    )  # fmt: skip


def _missing(protocol: str, why: str | None) -> MissingDependencyError:
    """Return the error for a client that is not installed, and ``why`` obstore is no way out."""
    extra = _EXTRAS.get(protocol)
    if extra is not None:
        hint = f"pip install 'remote_models[{extra}]'"
    else:
        hint = known_implementations.get(protocol, {}).get("err", "")
    return MissingDependencyError(
        f"{protocol}:// needs a package that is not installed", found=why, hint=hint
    )


def _bad_options(location: Location, error: Exception) -> ArgumentError:
    return ArgumentError(
        "options that the store does not take",
        where="storage_options",
        found=f"{sorted(location.storage_options)}: {without_secrets(str(error), location)}",
        hint=f"They go to the fsspec filesystem of {location.protocol}://",
    )


def _unknown_scheme(protocol: str) -> ArgumentError:
    return ArgumentError(
        "unknown scheme",
        where=f"{protocol}://",
        expected="file, memory, s3, gs or another scheme of an installed fsspec filesystem",
        hint="Install the package that brings the filesystem, for example adlfs for abfs://",
    )
