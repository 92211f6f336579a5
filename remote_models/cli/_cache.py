"""``cache``: the files that loads have left on this machine."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from datetime import UTC, datetime

from remote_models._progress_bar import format_size
from remote_models._size import parse_size
from remote_models.cache import Cache, CacheEntry, CacheSettings, NoCache, open_cache
from remote_models.cli._exit_codes import INTEGRITY, NOT_FOUND, OK
from remote_models.cli._output import counted, print_errors, print_json, print_line

__all__ = ["cache_dir", "cache_ls", "cache_prune", "cache_verify"]


def cache_dir(options: argparse.Namespace) -> int:
    """Say where the cache is, or why there is none."""
    settings = CacheSettings.from_environment(os.environ)
    found = open_cache(settings)
    if options.json:
        print_json(
            {
                "directory": str(found.directory) if found.directory else None,
                "usable": isinstance(found, Cache),
                "reason": found.reason if isinstance(found, NoCache) else None,
                "size": found.size if isinstance(found, Cache) else None,
                "max_size": settings.max_size,
            }
        )
    elif isinstance(found, NoCache):
        print_errors([f"no cache: {found.reason}"])
    elif not options.quiet:
        print_line(str(found.directory))
    return OK if isinstance(found, Cache) else NOT_FOUND


def cache_ls(options: argparse.Namespace) -> int:
    """List the files in the cache, those used last first."""
    cache = _cache(options)
    entries = sorted(
        cache.entries if cache else (), key=lambda entry: (-entry.last_used, entry.sha256)
    )
    if options.json:
        print_json(
            [
                {"sha256": each.sha256, "size": each.size, "last_used": _time(each)}
                for each in entries
            ]
        )
    elif not options.quiet:
        for each in entries:
            print_line(f"{format_size(each.size):>10}  {_time(each)}  {each.sha256}")
    return OK


def cache_verify(options: argparse.Namespace) -> int:
    """Read every file in the cache and delete those that are damaged."""
    cache = _cache(options)
    entries = list(cache.entries) if cache else []
    size = sum(entry.size for entry in entries)
    damaged = cache.verify() if cache else ()
    if options.json:
        print_json(
            {
                "ok": not damaged,
                "damaged": _digests(damaged),
                "files": len(entries),
                "bytes_read": size,
            }
        )
    else:
        print_errors(f"damaged, removed: {each.sha256}" for each in damaged)
        if cache and not damaged and not options.quiet:
            print_line(f"ok: {counted(len(entries), 'file')}, {format_size(size)}")
    return INTEGRITY if damaged else OK


def cache_prune(options: argparse.Namespace) -> int:
    """Delete files from the cache, those used longest ago first."""
    to = 0 if options.all else parse_size(options.to, "--to") if options.to else None
    cache = _cache(options)
    removed = (
        cache.prune(cache.max_size if to is None else to, dry_run=options.dry_run) if cache else ()
    )
    freed = sum(each.size for each in removed)
    if options.json:
        print_json({"removed": _digests(removed), "freed": freed, "dry_run": options.dry_run})
    elif not options.quiet:
        verb = "would remove" if options.dry_run else "removed"
        print_line(f"{verb} {counted(len(removed), 'file')}, {format_size(freed)}")
    return OK


def _cache(options: argparse.Namespace) -> Cache | None:
    found = open_cache(CacheSettings.from_environment(os.environ))
    if isinstance(found, Cache):
        return found
    if not options.quiet:
        print_errors([f"note: no cache: {found.reason}"])
    return None


def _digests(entries: Iterable[CacheEntry]) -> list[str]:
    return [entry.sha256 for entry in entries]


def _time(entry: CacheEntry) -> str:
    return datetime.fromtimestamp(entry.last_used, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
