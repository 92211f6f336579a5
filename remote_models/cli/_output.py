"""What is printed: lines for people, one JSON document for programs."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from remote_models._progress_bar import CLEAR_LINE, is_terminal
from remote_models.manifest import Manifest

__all__ = [
    "counted",
    "document_of_manifest",
    "print_errors",
    "print_json",
    "print_line",
    "warnings_as_notes",
]


def print_json(document: Any) -> None:
    """Print a document in ASCII, so that no terminal's encoding and no odd name makes it fail."""
    print(json.dumps(document, indent=2))


def print_line(line: str) -> None:
    """Print a line of the result."""
    print(_harmless(line, sys.stdout))


def print_errors(lines: Iterable[str]) -> None:
    """Print lines that are no result, on standard error."""
    clear = CLEAR_LINE if is_terminal(sys.stderr) else ""  # a progress bar may stand there
    for line in lines:
        print(f"{clear}{_harmless(line, sys.stderr)}", file=sys.stderr)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as in ``1 file`` and ``2 files``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@contextmanager
def warnings_as_notes(*, quiet: bool) -> Iterator[None]:
    """Print what is warned of in a block as notes, when it ends well."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    if not quiet:
        print_errors(f"note: {each.message}" for each in caught)


def document_of_manifest(manifest: Manifest) -> dict[str, Any]:
    """Return a manifest with its digest, for programs."""
    return manifest.to_json() | {"manifest_digest": manifest.digest}


def _harmless(text: str, stream: TextIO | None) -> str:
    """Return one line that steers no terminal (CWE-150) and that ``stream`` can encode.

    Names of objects, metadata and messages of servers are other people's text.
    """
    line = "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return line.encode(encoding, "backslashreplace").decode(encoding)
