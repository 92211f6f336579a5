"""Where the bytes of a file come from that is to be published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

__all__ = ["FileSource", "LocalFile", "local_files"]

_CHUNK = 8 * 1024 * 1024


class FileSource(Protocol):
    """A file that is to be published, on this machine or made while it is sent."""

    @property
    def size(self) -> int:
        """Its length in bytes."""

    def chunks(self) -> Iterator[bytes | memoryview]:
        """Yield its bytes from front to back, each chunk good until the next is asked for."""

    def open(self) -> IO[bytes]:
        """Open it for reading at any place, to look at its structure."""


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this machine."""

    path: Path

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.path.stat().st_size

    def chunks(self) -> Iterator[bytes]:
        """Yield its bytes from front to back."""
        with self.path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def open(self) -> IO[bytes]:
        """Open it for reading."""
        return self.path.open("rb")


def local_files(paths: Mapping[str, Path]) -> dict[str, LocalFile]:
    """Return local files by the same names as their paths."""
    return {name: LocalFile(path) for name, path in paths.items()}
