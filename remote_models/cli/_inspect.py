"""``info`` and ``ls``: what lies at a URL."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from remote_models._api import ModelListing, list_models, open_model
from remote_models._progress_bar import format_size
from remote_models.cli._exit_codes import OK
from remote_models.cli._options import storage_options_of
from remote_models.cli._output import print_errors, print_json, print_line
from remote_models.errors import ArgumentError, FormatError, ManifestError, ModelNotFoundError
from remote_models.manifest import Layout
from remote_models.remote_model import RemoteModel, has_signature
from remote_models.tensors import Role, StoredTensor

__all__ = ["info", "ls"]


_SIGNED = {
    "verified": "yes, by the key that was given",
    "unchecked": "yes, not checked: --public-key FILE does",
}


def info(options: argparse.Namespace) -> int:
    """Say what a model is."""
    remote = open_model(
        options.url,
        manifest_digest=options.manifest_digest,
        manifest_url=options.manifest_url,
        public_key=options.public_key,
        storage_options=storage_options_of(options),
    )
    facts = _facts(remote) | {"signed": _signed(remote, is_checked=options.public_key is not None)}
    summary = remote.summary() if options.summary else None
    if options.json:
        print_json(facts if summary is None else facts | {"summary": summary})
    elif not options.quiet:
        width = max(map(len, facts))
        for name, value in facts.items():
            if text := _readable(name, value):
                print_line(f"{name.replace('_', ' '):<{width}}  {text}")
        for name in facts["signatures"] or ():
            print_line(f"{'signature':<{width}}  {name}{remote.signatures[name]}")
        for line in ["", *summary.split("\n")] if summary else ():
            print_line(line)
    return OK


def _facts(remote: RemoteModel) -> dict[str, Any]:
    manifest = remote.manifest
    if manifest is None:
        what = remote.recognise()
        format, title = what.format.value, what.title
    else:
        format = manifest.format
        title = remote.format.description if remote.format else "a format of a later version"
    return {
        "url": str(remote.location),
        "format": format,
        "what": title,
        "files": len(remote.files),
        "size": remote.total_size,
        **_counts(manifest.tensors if manifest else ()),
        "signatures": _signatures(remote),
        "exports": dict(remote.exports),
        "created": manifest.created if manifest else None,
        "producer": dict(manifest.producer) if manifest else {},
        "metadata": dict(manifest.metadata) if manifest else {},
        "manifest_digest": manifest.digest if manifest else None,
    }


def _signed(remote: RemoteModel, *, is_checked: bool) -> str | None:
    """Say whether a signature lies with a model; ``None`` if not, or where one may not look."""
    if is_checked:
        return "verified"
    is_there = has_signature(remote.folder.store, remote.location, remote.layout)
    return "unchecked" if is_there else None


def _signatures(remote: RemoteModel) -> dict[str, Any] | None:
    """Return the signatures, ``None`` where there are none to be read."""
    try:
        found = {name: asdict(each) for name, each in remote.signatures.items()}
    except FormatError:
        return None  # damaged before it was saved: everything else can still be told
    return found or None


def _counts(tensors: Sequence[StoredTensor]) -> dict[str, int | None]:
    """Return how many tensors a manifest names, if it names any, and the weights' elements."""
    if not tensors:
        return {"tensors": None, "parameters": None}
    parameters = sum(tensor.size for tensor in tensors if tensor.role is Role.WEIGHT)
    return {"tensors": len(tensors), "parameters": parameters}


def _readable(name: str, value: Any) -> str:
    if name == "size":
        return f"{format_size(value)} ({value} bytes)"
    if name == "manifest_digest" and value is None:
        return "none: no manifest vouches for these bytes"
    if value is None or value == {} or name == "signatures":  # each has a line of its own
        return ""
    if name == "signed":
        value = _SIGNED[value]
    if name == "parameters":
        return f"{value:,}"
    if name in ("exports", "producer"):
        return ", ".join(f"{key} {each}" for key, each in sorted(value.items()))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def ls(options: argparse.Namespace) -> int:
    """List a model's files, or the models below a URL."""
    storage_options = storage_options_of(options)
    try:
        remote = open_model(options.url, storage_options=storage_options)
    except (ModelNotFoundError, ArgumentError):
        return _ls_models(options, list_models(options.url, storage_options=storage_options))
    except ManifestError as error:
        return _ls_models(options, _listings_despite(error, options.url, storage_options))
    if remote.manifest is None and not _is_artifact(remote):
        return _ls_models(options, list_models(options.url, storage_options=storage_options))
    return _ls_files(options, remote)


def _ls_files(options: argparse.Namespace, remote: RemoteModel) -> int:
    entries = remote.manifest.files if remote.manifest else ()
    digests = {str(entry.path): entry.sha256 for entry in entries}
    files = sorted(remote.files.items())
    if options.json:
        print_json([{"path": path, "size": n, "sha256": digests.get(path)} for path, n in files])
    elif not options.quiet:
        for path, size in files:
            print_line(f"{format_size(size):>10}  {digests.get(path, '-')[:12]:<12}  {path}")
    return OK


def _listings_despite(
    error: ManifestError, url: str, storage_options: dict[str, Any]
) -> Sequence[ModelListing]:
    """List a folder without a manifest: what is wrong is a name that none could hold."""
    try:
        listings = list_models(url, storage_options=storage_options)
    except ModelNotFoundError:
        raise error from None
    if any(listing.path == "." and listing.has_manifest for listing in listings):
        raise error
    return listings


def _is_artifact(remote: RemoteModel) -> bool:
    if remote.layout is Layout.FILE:
        return True  # a model or not, nothing lies below a file
    try:
        remote.recognise()
    except FormatError:
        return False
    return True


def _ls_models(options: argparse.Namespace, listings: Sequence[ModelListing]) -> int:
    if options.json:
        print_json([asdict(listing) for listing in listings])
    elif not options.quiet:
        for listing in listings:
            state = "manifest" if listing.has_manifest else "-"
            state = f"{state}, signed" if listing.is_signed else state
            print_line(f"{format_size(listing.size):>10}  {state:<16}  {listing.path}")
        if not listings:
            print_errors(["note: files are stored below this URL, but no model"])
    return OK
