"""``versions``, ``promote`` and ``prune``: the numbered versions of a model."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from remote_models._progress_bar import format_size
from remote_models.cli._exit_codes import OK
from remote_models.cli._options import storage_options_of
from remote_models.cli._output import print_json, print_line
from remote_models.cli._walks import Report, executor_of, refuse_for_one
from remote_models.errors import ArgumentError, ModelNotFoundError
from remote_models.repository import PruneReport, Repository, Version, prune_repositories

__all__ = ["promote", "prune", "versions"]


def versions(options: argparse.Namespace) -> int:
    """List the versions of a model."""
    repository = _repository(options)
    names: defaultdict[int, list[str]] = defaultdict(list)
    for name, number in sorted(repository.aliases().items()):
        names[number].append(name)
    found = repository.versions()
    if not found:
        raise _nothing(repository)
    if options.json:
        print_json([_facts(version) | {"aliases": names[version.number]} for version in found])
    elif not options.quiet:
        for version in found:
            print_line(_line(version, names[version.number]))
    return OK


def promote(options: argparse.Namespace) -> int:
    """Let an alias lead to a version."""
    version = _repository(options).set_alias(options.alias, _number_or_alias(options.version))
    if options.json:
        print_json(_facts(version) | {"alias": options.alias})
    elif not options.quiet:
        print_line(f"{options.alias} is version {version.number}, {version.digest}")
    return OK


def prune(options: argparse.Namespace) -> int:
    """Delete versions that no rule and no alias keeps, of one repository or of all below a URL."""
    if options.recursive:
        return _prune_all(options)
    refuse_for_one(options)
    repository = _repository(options)
    report = repository.prune(
        keep_last=options.keep_last,
        keep_best=None if options.keep_best is None else _best(options.keep_best),
        keep_every=options.keep_every,
        dry_run=options.dry_run,
    )
    if not (report.kept or report.resumed):
        raise _nothing(repository)
    if options.json:
        print_json(_document(report))
    elif not options.quiet:
        for line in _lines(report):
            print_line(line)
    return OK


def _prune_all(options: argparse.Namespace) -> int:
    printed = Report(
        options=options, told=lambda report: "; ".join(_lines(report)), document=_document
    )
    with executor_of(options) as executor:
        results = prune_repositories(
            options.url,
            keep_last=options.keep_last,
            keep_best=None if options.keep_best is None else _best(options.keep_best),
            keep_every=options.keep_every,
            dry_run=options.dry_run,
            executor=executor,
            storage_options=storage_options_of(options),
            on_result=printed.tell,
        )
    return printed.finish(results)


def _lines(report: PruneReport) -> Iterator[str]:
    verb = "would delete" if report.dry_run else "deleted"
    yield f"{verb}: {_numbers([version.number for version in report.deleted])}"
    if report.resumed:
        finish = "would finish deleting" if report.dry_run else "finished deleting"
        yield f"{finish}: {_numbers(report.resumed)}"
    yield f"kept: {_numbers([version.number for version in report.kept])}"


def _document(report: PruneReport) -> dict[str, Any]:
    return {
        "kept": [version.number for version in report.kept],
        "deleted": [version.number for version in report.deleted],
        "resumed": list(report.resumed),
        "dry_run": report.dry_run,
    }


def _repository(options: argparse.Namespace) -> Repository:
    return Repository(options.url, storage_options=storage_options_of(options))


def _nothing(repository: Repository) -> ModelNotFoundError:
    return ModelNotFoundError(
        "no version is here", where=str(repository.location), hint="Check the URL"
    )


def _facts(version: Version) -> dict[str, Any]:
    return {
        "version": version.number,
        "url": version.url,
        "format": version.manifest.format,
        "created": version.created,
        "size": version.size,
        "manifest_digest": version.digest,
        "metadata": dict(version.metadata),
    }


def _line(version: Version, aliases: Sequence[str]) -> str:
    metadata = json.dumps(dict(version.metadata), ensure_ascii=False) if version.metadata else ""
    size = format_size(version.size)
    line = (
        f"{version.number:>6}  {version.created}  {size:>10}  {','.join(aliases):<12}  {metadata}"
    )
    return line.rstrip()


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"


def _number_or_alias(word: str) -> int | str:
    return int(word) if word.isascii() and word.isdigit() else word


def _best(word: str) -> tuple[str, str, int]:
    """Take ``METRIC:MODE`` or ``METRIC:MODE:COUNT`` apart; a metric's name may have colons."""
    metric, _, mode = word.rpartition(":")
    count = "1"
    if mode.isascii() and mode.isdigit():
        count = mode
        metric, _, mode = metric.rpartition(":")
    if not metric:
        raise ArgumentError(
            "not a rule", where="--keep-best", found=repr(word),
            expected="METRIC:MODE or METRIC:MODE:COUNT, as in val_loss:min:2",
        )  # fmt: skip
    return metric, mode, int(count)
