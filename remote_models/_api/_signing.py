"""Sign models, so that a public key is all that one needs to trust what is loaded."""

from __future__ import annotations

from remote_models._api._arguments import URL, StorageOptions
from remote_models._api._artifacts import open_model
from remote_models._api._keys import Key, read_private_key
from remote_models.digest import format_digest, sha256_hex
from remote_models.errors import ArgumentError, ManifestError
from remote_models.manifest import MAX_MANIFEST_BYTES, Manifest
from remote_models.remote_model import (
    RemoteModel,
    manifest_location,
    refuse_links,
    signature_location,
)
from remote_models.signing import PrivateKey, Statement, sign_statement
from remote_models.storage import (
    Publication,
    Store,
    TransferSettings,
    open_store,
    read_all,
)

__all__ = ["sign_model"]


def sign_model(
    url: URL,
    private_key: Key,
    *,
    password: str | bytes | None = None,
    manifest_digest: str | None = None,
    storage_options: StorageOptions | None = None,
    transfer: TransferSettings | None = None,
) -> Manifest:
    """Sign a model as OpenSSF Model Signing has it; no framework is imported.

    The signature lies in a directory as ``model.sig``, beside a file as ``<name>.sig``.
    It is of the digests of all files and of the manifest: whoever passes ``public_key=``
    to :func:`load_model` and its kin then gets what was signed or an error, single
    tensors included. The files are not read. When the model is saved again, the
    signature stays, and is refused as one of another manifest until the new model is
    signed. It does not tell an older signed model from a newer one: ``manifest_digest=``
    does.

    Args:
        url: The model, with a manifest.
        private_key: On P-256, P-384 or P-521: the path of a PEM file, or its content.
        password: What the key is encrypted with, if it is.
        manifest_digest: ``sha256:<hex>``: sign exactly this artifact or nothing.
            :func:`save_model` returns the manifest that has it; without it, what the
            store says is signed.
        storage_options: Arguments for the fsspec filesystem, as in pandas.
        transfer: As in :func:`open_model`.

    Returns:
        The manifest that was signed.

    Raises:
        ModelNotFoundError: nothing is there.
        ArgumentError: the key cannot be used, or the model has a file where its
            signature belongs.
        ManifestError: there is no manifest, it is not the pinned one, or a save is under
            way.
        SignatureError: a file of the model is a link on this machine's disk.
        MissingDependencyError: the package cryptography is not installed.
        StorageError: the store refused or failed.
    """
    key = read_private_key(private_key, password)
    remote = open_model(
        url,
        manifest_digest=manifest_digest,
        storage_options=storage_options,
        transfer=transfer,
    )
    store = open_store(remote.location, transfer)
    manifest = _manifest_to_sign(remote, store)
    _publish_signature(remote, store, manifest, key)
    return manifest


def _manifest_to_sign(remote: RemoteModel, store: Store) -> Manifest:
    manifest = remote.manifest
    if manifest is None:
        raise ManifestError(
            "no manifest is here, and it is the manifest that is signed",
            where=str(remote.location),
            hint="Adopt the model to get one: adopt_model(url), or remote-models adopt URL",
        )
    where = manifest_location(remote.location, remote.layout)
    found = format_digest(sha256_hex(read_all(store, where, limit=MAX_MANIFEST_BYTES)))
    if found != manifest.digest:
        raise ManifestError(
            "the manifest is not that of one finished save, in its canonical form",
            where=str(where),
            expected=manifest.digest,
            found=found,
            hint="Wait for the save that is under way, or save or adopt the model again",
        )
    return manifest


def _publish_signature(
    remote: RemoteModel, store: Store, manifest: Manifest, key: PrivateKey
) -> None:
    where = signature_location(remote.location, remote.layout)
    if where in map(remote.file_location, remote.files):
        raise ArgumentError(
            "a file of the model stands where its signature belongs",
            where=str(where),
            hint="Rename the file",
        )
    name = manifest_location(remote.location, remote.layout).name
    digests = {
        **{str(entry.path): entry.sha256 for entry in manifest.files},
        name: sha256_hex(manifest.to_bytes()),
    }
    refuse_links(remote.location, remote.layout, digests)
    statement = Statement(subject=remote.location.name, digests=digests, signature_name=where.name)
    data = sign_statement(statement, key)
    with Publication(store) as publication:
        publication.stage(where, len(data), [data])
        publication.commit(lambda _location, _committed: None)
