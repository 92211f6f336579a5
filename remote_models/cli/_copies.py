"""``verify``, ``pull``, ``push`` and ``copy``: every byte of a model, compared or copied."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from remote_models._api import (
    copy_model,
    copy_models,
    pull_model,
    push_model,
    verify_model,
    verify_models,
)
from remote_models._progress_bar import format_size
from remote_models.cli._exit_codes import INTEGRITY, OK
from remote_models.cli._options import progress_of, second_options_of, storage_options_of
from remote_models.cli._output import (
    counted,
    document_of_manifest,
    print_errors,
    print_json,
    print_line,
    warnings_as_notes,
)
from remote_models.cli._walks import Report, executor_of, refuse_for_many, refuse_for_one
from remote_models.manifest import Manifest
from remote_models.remote_model import VerifyReport

__all__ = ["copy", "pull", "push", "verify"]


def verify(options: argparse.Namespace) -> int:
    """Compare every byte of a model, or of all below a URL, with its manifest."""
    if options.recursive:
        return _verify_all(options)
    refuse_for_one(options)
    report = verify_model(
        options.url,
        manifest_digest=options.manifest_digest,
        manifest_url=options.manifest_url,
        public_key=options.public_key,
        storage_options=storage_options_of(options),
        progress=progress_of(options),
    )
    if options.json:
        print_json(_document(report))
        return OK if report.ok else INTEGRITY
    print_errors(_findings(report))
    if report.unexpected is None and not options.quiet:
        print_errors(["note: the folder may not be listed, so unexpected files go unseen"])
    if not report.ok:
        return INTEGRITY
    if not options.quiet:
        print_line(_told(report))
    return OK


def _verify_all(options: argparse.Namespace) -> int:
    refuse_for_many(options, "manifest_url", "manifest_digest")
    report = Report(options=options, told=_told, document=_document, is_good=lambda each: each.ok)
    with executor_of(options) as executor:
        results = verify_models(
            options.url,
            executor=executor,
            public_key=options.public_key,
            storage_options=storage_options_of(options),
            on_result=report.tell,
        )
    return report.finish(results)


def _told(report: VerifyReport) -> str:
    """Say in a line that all is well, or what is not."""
    findings = "; ".join(_findings(report))
    return findings or (
        f"ok: {counted(len(report.verified), 'file')}, {format_size(report.bytes_read)}, "
        f"{report.manifest_digest or 'signed file by file'}"
    )


def _document(report: VerifyReport) -> dict[str, Any]:
    return asdict(report) | {"ok": report.ok}


def _findings(report: VerifyReport) -> Iterator[str]:
    for path in report.missing:
        yield f"missing: {path}"
    for each in report.mismatched:
        yield f"mismatched: {each.path} (expected {each.expected}, found {each.found})"
    for path in report.unexpected or ():
        yield f"unexpected: {path}"


def pull(options: argparse.Namespace) -> int:
    """Copy a model to a local directory."""
    with warnings_as_notes(quiet=options.quiet):
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
        print_json(document_of_manifest(manifest))
    elif not options.quiet:
        print_line(f"pushed {counted(len(manifest.files), 'file')}, {manifest.digest}")
    return OK


def copy(options: argparse.Namespace) -> int:
    """Copy a model, or all below a URL, from store to store."""
    if options.recursive:
        return _copy_all(options)
    refuse_for_one(options)
    manifest = copy_model(
        options.url,
        options.target,
        manifest_digest=options.manifest_digest,
        manifest_url=options.manifest_url,
        public_key=options.public_key,
        overwrite=not options.no_overwrite,
        storage_options=storage_options_of(options),
        target_options=second_options_of(options),
        progress=progress_of(options),
    )
    if options.json:
        print_json(document_of_manifest(manifest))
    elif not options.quiet:
        print_line(_copied(manifest))
    return OK


def _copy_all(options: argparse.Namespace) -> int:
    refuse_for_many(options, "manifest_url", "manifest_digest")
    report = Report(options=options, told=_copied, document=document_of_manifest)
    with executor_of(options) as executor:
        results = copy_models(
            options.url,
            options.target,
            overwrite=not options.no_overwrite,
            executor=executor,
            public_key=options.public_key,
            storage_options=storage_options_of(options),
            target_options=second_options_of(options),
            on_result=report.tell,
        )
    return report.finish(results)


def _copied(manifest: Manifest) -> str:
    files, size = counted(len(manifest.files), "file"), format_size(manifest.total_size)
    return f"copied {files}, {size}, {manifest.digest}"
