"""How an artifact's files lie around its URL, and which paths they may have there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

from remote_models._fields import RelativePath, malformed, unsafe_path
from remote_models._file_entry import FileEntry
from remote_models.errors import ManifestError

__all__ = ["DIRECTORY_MANIFEST", "Layout", "check_paths", "parse_layout"]

DIRECTORY_MANIFEST = "manifest.json"
"""The manifest's name inside a directory artifact."""


class Layout(StrEnum):
    """How an artifact's files lie around its URL."""

    FILE = "file"
    """One file, or several that share the URL's folder: paths start at that folder."""

    DIRECTORY = "directory"
    """A folder: the URL is the folder, and paths start inside it."""


def parse_layout(value: object) -> Layout:
    """Return the member ``layout``.

    Raises:
        ManifestError: it is none of the words for one.
    """
    if value not in [each.value for each in Layout]:
        raise malformed("layout", "'file' or 'directory'", value)
    return Layout(value)


def check_paths(
    layout: Layout, entries: Sequence[FileEntry], empty_directories: Sequence[RelativePath]
) -> None:
    """Hold that all that an artifact consists of can lie in one place, and does so once.

    Raises:
        ManifestError: a path is there twice, below a file, or where it may not be.
    """
    if not entries:
        raise ManifestError("no file", where="files", expected="at least one")
    paths = {f"files[{i}].path": entry.path for i, entry in enumerate(entries)}
    files = set(paths.values())
    paths |= {f"empty_directories[{i}]": p for i, p in enumerate(empty_directories)}
    seen: set[str] = set()
    for where, path in paths.items():
        if path in seen:
            raise unsafe_path(where, "no path twice", path)
        seen.add(path)
        if any(parent in files for parent in _parents(path)):
            raise unsafe_path(where, "no path below a file", path)
        if layout is Layout.FILE and "/" in path:
            raise unsafe_path(where, "a name without '/', beside the URL", path)
        if layout is Layout.DIRECTORY and path == DIRECTORY_MANIFEST:
            raise unsafe_path(where, "another name than the manifest's own", path)
    if layout is Layout.FILE and empty_directories:
        raise malformed("empty_directories", "none beside a file", empty_directories)


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
