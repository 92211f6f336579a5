"""Artifacts as they are: open, verify, copy; no framework is imported."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from remote_models._api._arguments import URL, Progress, StorageOptions, local_path
from remote_models._api._caching import cache_for
from remote_models._api._fetch import warn_if_unverified
from remote_models._api._keys import Key, read_public_key
from remote_models._api._local_copy import (
    empty_directories_of,
    files_of,
    require_folder_around,
    temporary_directory,
)
from remote_models._api._publish import publish_files
from remote_models._exports import export_path
from remote_models._progress_bar import progress_callback
from remote_models.adoption import producer_of
from remote_models.errors import (
    AccessDeniedError,
    ArgumentError,
    FormatError,
    ModelNotFoundError,
)
from remote_models.manifest import DIRECTORY_MANIFEST, FILE_MANIFEST_SUFFIX, Layout, Manifest
from remote_models.publishing import local_files
from remote_models.remote_model import (
    RemoteModel,
    VerifyReport,
    manifest_location,
    signature_location,
)
from remote_models.signing import FILE_SIGNATURE_SUFFIX, MAX_SIGNATURE_BYTES, PublicKey
from remote_models.storage import Location, TransferSettings, open_store, read_all

__all__ = ["open_model", "pull_model", "push_model", "renamed", "renamed_exports", "verify_model"]

_T = TypeVar("_T")


def open_model(
    url: URL,
    *,
    manifest_digest: str | None = None,
    manifest_url: URL | None = None,
    public_key: Key | None = None,
    verify: bool = True,
    storage_options: StorageOptions | None = None,
    transfer: TransferSettings | None = None,
) -> RemoteModel:
    """Open an artifact by reading its manifest only; no framework is imported.

    Without a manifest, names and shapes come from an index that is built when they are
    asked for, by ranges of the files' structure, and nothing vouches for the bytes.

    Args:
        url: Where it was saved.
        manifest_digest: ``sha256:<hex>`` that the manifest must have.
        manifest_url: Where the manifest lies, if not with the artifact.
        public_key: The key by which the artifact must be signed (:func:`sign_model`): the
            path of a PEM file, or its content. The signature is checked before anything
            else is read.
        verify: Whether reading tensors is refused where nothing vouches for them.
        storage_options: Arguments for the fsspec filesystem, as in pandas.
        transfer: How much of the machine and the link reading may take; by default as
            :class:`TransferSettings` and the environment say.

    Raises:
        ModelNotFoundError: nothing is there.
        ManifestError: the manifest is malformed or not the pinned one.
        SignatureError: no good signature by ``public_key`` vouches for the artifact.
        StorageError: the store refused or failed.
    """
    location = Location.parse(url, storage_options)
    return RemoteModel.open(
        open_store(location, transfer),
        location,
        manifest_digest=manifest_digest,
        manifest_at=Location.parse(manifest_url, storage_options) if manifest_url else None,
        public_key=read_public_key(public_key),
        verify=verify,
    )


def verify_model(
    url: URL,
    *,
    manifest_digest: str | None = None,
    manifest_url: URL | None = None,
    public_key: Key | None = None,
    storage_options: StorageOptions | None = None,
    transfer: TransferSettings | None = None,
    progress: Progress = None,
) -> VerifyReport:
    """Compare every byte of an artifact with its manifest; no framework is imported.

    Args:
        url: Where it was saved.
        manifest_digest: ``sha256:<hex>`` that the manifest must have.
        manifest_url: As in :func:`open_model`.
        public_key: As in :func:`open_model`.
        storage_options: Arguments for the fsspec filesystem, as in pandas.
        transfer: As in :func:`open_model`.
        progress: As in :func:`save_model`.

    Returns:
        The missing, unexpected and mismatched files; ``report.ok`` if there is none.

    Raises:
        ModelNotFoundError: nothing is there.
        ManifestError: there is no manifest, or it is malformed or not the pinned one.
        UnrecognizedFormatError: it is a folder that is no model, but may hold some.
        SignatureError: no good signature by ``public_key`` vouches for the artifact.
        StorageError: the store refused or failed.
    """
    remote = open_model(
        url,
        manifest_digest=manifest_digest,
        manifest_url=manifest_url,
        public_key=public_key,
        storage_options=storage_options,
        transfer=transfer,
    )
    return remote.verify(progress_callback(progress))


def pull_model(
    url: URL,
    directory: str | os.PathLike[str],
    *,
    manifest_digest: str | None = None,
    manifest_url: URL | None = None,
    public_key: Key | None = None,
    storage_options: StorageOptions | None = None,
    transfer: TransferSettings | None = None,
    progress: Progress = None,
) -> list[Path]:
    """Copy an artifact to a local directory, verified; no framework is imported.

    Files that a load has left in the cache of this machine are taken from there. None is
    left there: what is pulled is on this machine already. A signature that lies with the
    artifact is copied, too; it is checked if ``public_key`` is given. What has no manifest
    is copied with an :class:`UnverifiedModelWarning`.

    Args:
        url: Where it was saved.
        directory: A directory that is new or empty, in one that exists. A directory
            artifact's files come straight into it, as does the file of a
            single-file artifact, and the manifest, wherever it lay.
        manifest_digest: ``sha256:<hex>``: copy exactly this artifact or nothing.
        manifest_url: As in :func:`open_model`.
        public_key: As in :func:`open_model`.
        storage_options: Arguments for the fsspec filesystem, as in pandas.
        transfer: As in :func:`open_model`.
        progress: As in :func:`save_model`.

    Returns:
        The local files, without the manifest, which is copied too.

    Raises:
        ArgumentError: ``directory`` holds something already.
        BucketNotFoundError: the folder that ``directory`` is to lie in does not exist.
        ModelNotFoundError: nothing is there.
        UnrecognizedFormatError: it is no model, and has no manifest.
        IntegrityError: bytes are not those that the manifest vouches for, or no good
            signature by ``public_key`` vouches for the manifest.
        StorageError: the store refused or failed.
    """
    target = local_path(
        directory, where="directory", hint="Pull it here first, then push it where it is to go"
    )
    require_folder_around(target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ArgumentError(
            "must be a new or empty directory", where=str(target), hint="Choose another directory"
        )
    remote = open_model(
        url,
        manifest_digest=manifest_digest,
        manifest_url=manifest_url,
        public_key=public_key,
        storage_options=storage_options,
        transfer=transfer,
    )
    if not remote.is_verifiable:
        remote.recognise()  # refuses what is no model, before all of it is copied
        warn_if_unverified(remote)
    with temporary_directory(target.absolute().parent) as folder:
        copy = folder / "model"
        copy.mkdir()
        cache = cache_for(remote.location)
        paths = remote.download(
            copy, progress_callback(progress), cache=cache and cache.reading_only()
        )
        if remote.manifest is not None:
            name = manifest_location(remote.location, remote.layout).name
            (copy / name).write_bytes(remote.manifest.to_bytes())
        _pull_signature(remote, copy, transfer, read_public_key(public_key))
        if target.is_dir():
            target.rmdir()
        copy.rename(target)
    return [target / path for path in paths]


def _pull_signature(
    remote: RemoteModel, copy: Path, transfer: TransferSettings | None, key: PublicKey | None
) -> None:
    """Copy the signature that lies with an artifact, if one does.

    Raises:
        SignatureError: with ``key``, it is not, or no longer, one of what was copied.
    """
    where = signature_location(remote.location, remote.layout)
    try:
        store = open_store(remote.location, transfer)
        data = read_all(store, where, limit=MAX_SIGNATURE_BYTES)
    except (ModelNotFoundError, AccessDeniedError):  # S3 says 403 of what is not there
        pass
    else:
        (copy / where.name).write_bytes(data)
    if key is not None:
        copied = copy if remote.layout is Layout.DIRECTORY else copy / remote.location.name
        location = Location.parse(copied)
        RemoteModel.open(open_store(location), location, public_key=key)


def push_model(
    path: str | os.PathLike[str],
    url: URL,
    *,
    overwrite: bool = True,
    storage_options: StorageOptions | None = None,
    transfer: TransferSettings | None = None,
    progress: Progress = None,
) -> Manifest:
    """Copy a local artifact to a URL as it is, with a manifest; no framework is imported.

    What becomes visible, and when, is as in :func:`save_model`. If a manifest lies
    with the local artifact, its bytes are checked first, and its producer and
    metadata are kept. A signature is not: the manifest at ``url`` is another one.

    Args:
        path: A model's file or directory, or a directory that :func:`pull_model` made.
        url: Where to put it.
        overwrite: If false, the store itself refuses when something is there.
        storage_options: Arguments for the fsspec filesystem, as in pandas.
        transfer: As in :func:`open_model`.
        progress: As in :func:`save_model`.

    Returns:
        The manifest.

    Raises:
        ModelNotFoundError: nothing is at ``path``.
        UnrecognizedFormatError: it is no model.
        IntegrityError: its own manifest does not vouch for its bytes.
        ModelExistsError: something is at ``url`` and ``overwrite`` is false.
        StorageError: the store refused or failed.
    """
    location = Location.parse(url, storage_options)
    source = _open_local(
        local_path(path, where="path", hint="Pull it here first, then push it where it is to go")
    )
    with temporary_directory() as folder:
        source.download(folder)
        what = source.recognise(folder)
        manifest = source.manifest
        return publish_files(
            location,
            what.format,
            local_files(renamed(files_of(folder), source, location)),
            exports=renamed_exports(source, location),
            producer=manifest.producer if manifest else producer_of(what),
            created=manifest.created if manifest else None,
            overwrite=overwrite,
            metadata=source.metadata,
            transfer=transfer,
            progress=progress,
            empty_directories=empty_directories_of(_with_empty_directories(source, folder)),
        )


def _with_empty_directories(source: RemoteModel, copy: Path) -> Path:
    """Return the folder to look for empty ones in: a copy has those that a manifest names."""
    if source.is_verifiable or source.layout is Layout.FILE:
        return copy
    return Path(source.location.path)


def _open_local(path: Path) -> RemoteModel:
    """Open a local artifact, or the only one inside a directory."""
    location = Location.parse(path.absolute())
    if path.is_dir() and not (path / DIRECTORY_MANIFEST).exists():
        names = sorted(each.name for each in path.iterdir())
        beside = (FILE_MANIFEST_SUFFIX, FILE_SIGNATURE_SUFFIX)
        files = [name for name in names if not name.endswith(beside)]
        named = [name for name in names if name.endswith(FILE_MANIFEST_SUFFIX)]
        if len(files) == 1 and (path / files[0]).is_file():
            location = Location.parse((path / files[0]).absolute())
        elif len(named) == 1:  # a file and its exports, say
            name = named[0].removesuffix(FILE_MANIFEST_SUFFIX)
            location = Location.parse((path / name).absolute())
    return RemoteModel.open(open_store(location), location)


def renamed(files: Mapping[str, _T], source: RemoteModel, target: Location) -> dict[str, _T]:
    """Give the files of a file artifact the name that the URL asks for.

    Raises:
        FormatError: there are several, which name each other.
    """
    names = _new_names(files, source, target)
    return {names[path]: each for path, each in files.items()}


def renamed_exports(source: RemoteModel, target: Location) -> Mapping[str, str]:
    """Return the paths that the exports of an artifact have where it is copied to."""
    names = _new_names(source.files, source, target)
    return {kind: names[path] for kind, path in source.exports.items()}


def _new_names(files: Iterable[str], source: RemoteModel, target: Location) -> Mapping[str, str]:
    same = {path: path for path in files}
    if source.layout is Layout.DIRECTORY or target.name == source.location.name:
        return same
    exported = {
        path: export_path(kind, file=target.name)
        for kind, path in source.exports.items()
        if path in same
    }
    others = same.keys() - exported.keys()
    if len(others) > 1:
        raise FormatError(
            "files that refer to each other by name cannot be renamed",
            where=str(target),
            hint=f"End the URL in {source.location.name!r}",
        )
    return {**exported, **dict.fromkeys(others, target.name)}
