"""What two models differ in, tensor by tensor."""

from __future__ import annotations

import warnings

from remote_models._api._arguments import URL, StorageOptions
from remote_models._api._artifacts import open_model
from remote_models._api._fetch import UnverifiedModelWarning
from remote_models.remote_model import ModelDiff, RemoteModel
from remote_models.storage import TransferSettings

__all__ = ["diff_models"]


def diff_models(
    first: URL | RemoteModel,
    second: URL | RemoteModel,
    *,
    storage_options: StorageOptions | None = None,
    transfer: TransferSettings | None = None,
) -> ModelDiff:
    """Compare two models tensor by tensor, by name; no framework is imported.

    Blocks of a tensor of which both manifests have the same digest are not read; all that
    is read is checked. Models of any two formats can be compared. Tensors that cannot be
    read by themselves (compressed or chunked datasets) are left out, as in
    :attr:`RemoteModel.weights`.

    Args:
        first: A URL, or what :func:`open_model` has returned: pinned, signed, or in a
            store with options of its own.
        second: The same.
        storage_options: Arguments for the fsspec filesystem, as in pandas, where URLs
            are given.
        transfer: As in :func:`open_model`, where URLs are given.

    Returns:
        Of each tensor whether it is the same, changed and by how much, added or removed.

    Raises:
        ModelNotFoundError: nothing is at one of the URLs.
        IntegrityError: bytes are not those that a manifest vouches for.
        FormatError: one has no manifest, and is damaged or no model.
        MissingDependencyError: a dtype needs ml_dtypes, which is not installed.
        StorageError: a store refused or failed.
    """
    from remote_models.remote_model._diff import diff_weights  # it needs NumPy: 0.1 s

    opened = [
        each
        if isinstance(each, RemoteModel)
        else open_model(each, verify=False, storage_options=storage_options, transfer=transfer)
        for each in (first, second)
    ]
    for remote in opened:
        if not remote.is_verifiable:
            warnings.warn(
                f"{remote.location}: no manifest vouches for these bytes, and all are read; "
                "adopt the model to get one",
                UnverifiedModelWarning,
                stacklevel=2,
            )
    return diff_weights(*opened)
