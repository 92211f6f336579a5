"""``gc``: what killed saves have left."""

from __future__ import annotations

import argparse
import re
from datetime import timedelta

from remote_models._api import GarbageReport, Leftover, collect_garbage
from remote_models._progress_bar import format_size
from remote_models.cli._exit_codes import OK
from remote_models.cli._options import storage_options_of
from remote_models.cli._output import counted, print_errors, print_json, print_line
from remote_models.errors import ArgumentError

__all__ = ["gc"]

_AGE = re.compile(r"([0-9]{1,6})\s*([smhd])")

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def gc(options: argparse.Namespace) -> int:
    """Find, or remove, what killed saves have left at or below a URL."""
    report = collect_garbage(
        options.url,
        older_than=_parse_age(options.older_than),
        dry_run=not options.delete,
        storage_options=storage_options_of(options),
    )
    if options.json:
        print_json(_document(report))
        return OK
    print_errors(f"note: {each}" for each in report.skipped)
    if not options.quiet:
        for each in report.leftovers:
            print_line(_line(each))
        done = "removed" if options.delete else "found"
        count = counted(len(report.leftovers), "leftover")
        print_line(f"{done} {count}, {format_size(report.size)}")
        if report.leftovers and not options.delete:
            print_errors(["nothing was removed: add --delete"])
    return OK


def _parse_age(text: str) -> timedelta:
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise ArgumentError(
            "not a length of time", where="--older-than", expected="as in 24h, 90m or 7d",
            found=repr(text),
        )  # fmt: skip
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _line(leftover: Leftover) -> str:
    hours = leftover.age.total_seconds() / 3600
    age = f"{hours / 24:.0f} d" if hours >= 48 else f"{hours:.1f} h"
    return f"{leftover.kind:<14}{format_size(leftover.size):>10}{age:>9}  {leftover.url}"


def _document(report: GarbageReport) -> dict[str, object]:
    return {
        "leftovers": [
            {
                "kind": each.kind,
                "url": each.url,
                "size": each.size,
                "age_seconds": round(each.age.total_seconds()),
                "removed": each.removed,
            }
            for each in report.leftovers
        ],
        "skipped": list(report.skipped),
    }
