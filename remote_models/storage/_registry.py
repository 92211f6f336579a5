"""From a location to the store that serves it."""

from __future__ import annotations

import importlib
from typing import Any

import fsspec
from fsspec.registry import known_implementations

from remote_models.errors import (
    ArgumentError,
    CredentialsError,
    MissingDependencyError,
    StoreUnavailableError,
)
from remote_models.storage._location import Location
from remote_models.storage._store import Store

__all__ = ["open_store"]

_OWN_STORES = {
    "file": ("remote_models.storage._local", "LocalStore"),
    "memory": ("remote_models.storage._memory", "MemoryStore"),
    "s3": ("remote_models.storage._s3", "S3Store"),
    "gs": ("remote_models.storage._gcs", "GCSStore"),
}

_EXTRAS = {"s3": "s3", "gs": "gcs"}

# A listing that is remembered hides what another process has just published.
_NO_CACHE: dict[str, dict[str, Any]] = {
    "s3": {"use_listings_cache": False},
    "gs": {"use_listings_cache": False},
}


def open_store(location: Location) -> Store:
    """Return the store that serves ``location``.

    Raises:
        MissingDependencyError: the package for the scheme is not installed.
        ArgumentError: nobody knows the scheme, or its options do not fit.
        CredentialsError: the credentials that the options name are no good.
        StoreUnavailableError: credentials cannot be checked, or a server that must
            be asked at once does not answer.
    """
    try:
        store_class = _store_class(location.protocol)
        return store_class(_filesystem(location, store_class))
    except ImportError as error:
        raise _missing(location.protocol) from error


def _store_class(protocol: str) -> type[Store]:
    module_name, class_name = _OWN_STORES.get(protocol, ("remote_models.storage._store", "Store"))
    store_class: type[Store] = getattr(importlib.import_module(module_name), class_name)
    return store_class


def _filesystem(location: Location, store_class: type[Store]) -> fsspec.AbstractFileSystem:
    options = {**_NO_CACHE.get(location.protocol, {}), **location.storage_options}
    try:
        return fsspec.filesystem(location.protocol, **options)
    except store_class.credential_errors as error:
        raise CredentialsError(
            "no usable credentials found", where=str(location),
            hint="Check storage_options and the environment",
        ) from error  # fmt: skip
    except (TypeError, ValueError, KeyError) as error:
        if location.protocol in known_implementations:
            raise _bad_options(location, error) from error
        raise _unknown_scheme(location.protocol) from error
    except OSError as error:
        raise StoreUnavailableError(
            "the store cannot be opened", where=str(location),
            hint="Check the network, storage_options and the environment",
        ) from error  # fmt: skip


def _missing(protocol: str) -> MissingDependencyError:
    extra = _EXTRAS.get(protocol)
    if extra is not None:
        hint = f"pip install 'remote_models[{extra}]'"
    else:
        hint = known_implementations.get(protocol, {}).get("err", "")
    return MissingDependencyError(f"{protocol}:// needs a package that is not installed", hint=hint)


def _bad_options(location: Location, error: Exception) -> ArgumentError:
    return ArgumentError(
        "options that the store does not take",
        where="storage_options",
        found=f"{sorted(location.storage_options)}: {error}",
        hint=f"They go to the fsspec filesystem of {location.protocol}://",
    )


def _unknown_scheme(protocol: str) -> ArgumentError:
    return ArgumentError(
        "unknown scheme",
        where=f"{protocol}://",
        expected="file, memory, s3, gs or another scheme of an installed fsspec filesystem",
        hint="Install the package that brings the filesystem, for example adlfs for abfs://",
    )
