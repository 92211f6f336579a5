"""``verify``, ``pull`` and ``push``: every byte of a model, compared or copied."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict

from remote_models._api import pull_model, push_model, verify_model
from remote_models._progress_bar import format_size
from remote_models.cli._exit_codes import INTEGRITY, OK
from remote_models.cli._options import progress_of, storage_options_of
from remote_models.cli._output import counted, print_errors, print_json, print_line
from remote_models.remote_model import VerifyReport

__all__ = ["pull", "push", "verify"]


def verify(options: argparse.Namespace) -> int:
    """Compare every byte of a model with its manifest."""
    report = verify_model(
        options.url,
        manifest_digest=options.manifest_digest,
        manifest_url=options.manifest_url,
        public_key=options.public_key,
        storage_options=storage_options_of(options),
        progress=progress_of(options),
    )
    if options.json:
        print_json(asdict(report) | {"ok": report.ok})
        return OK if report.ok else INTEGRITY
    print_errors(_findings(report))
    if report.unexpected is None and not options.quiet:
        print_errors(["note: the folder may not be listed, so unexpected files go unseen"])
    if not report.ok:
        return INTEGRITY
    if not options.quiet:
        print_line(
            f"ok: {counted(len(report.verified), 'file')}, {format_size(report.bytes_read)}, "
            f"{report.manifest_digest or 'signed file by file'}"
        )
    return OK


def _findings(report: VerifyReport) -> Iterator[str]:
    for path in report.missing:
        yield f"missing: {path}"
    for each in report.mismatched:
        yield f"mismatched: {each.path} (expected {each.expected}, found {each.found})"
    for path in report.unexpected or ():
        yield f"unexpected: {path}"


def pull(options: argparse.Namespace) -> int:
    """Copy a model to a local directory."""
    paths = pull_model(
        options.url,
        options.directory,
        manifest_digest=options.manifest_digest,
        manifest_url=options.manifest_url,
        public_key=options.public_key,
        storage_options=storage_options_of(options),
        progress=progress_of(options),
    )
    if options.json:
        print_json([str(path) for path in paths])
    elif not options.quiet:
        print_line(f"pulled {counted(len(paths), 'file')} into {options.directory}")
    return OK


def push(options: argparse.Namespace) -> int:
    """Copy a local model to a URL."""
    manifest = push_model(
        options.path,
        options.url,
        overwrite=not options.no_overwrite,
        storage_options=storage_options_of(options),
        progress=progress_of(options),
    )
    if options.json:
        print_json(manifest.to_json() | {"manifest_digest": manifest.digest})
    elif not options.quiet:
        print_line(f"pushed {counted(len(manifest.files), 'file')}, {manifest.digest}")
    return OK
