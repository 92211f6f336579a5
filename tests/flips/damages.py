"""A small artifact in memory that is damaged in every way, one at a time, and restored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from weights.artifacts import delete, get, put
from weights.published import publish

import remote_models as rm
from remote_models.remote_model import manifest_location
from remote_models.storage import Location

MANIFEST = "the manifest"
"""What stands for its path, which is no part of the artifact."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """An artifact with its manifest.

    Attributes:
        url: The artifact.
        places: Each file by its path, and the manifest.
        contents: What is in them.
    """

    url: str
    places: Mapping[str, Location]
    contents: Mapping[str, bytes]

    @classmethod
    def publish(cls, name: str, base: Location, folder: Path) -> Artifact:
        """Publish one of the samples."""
        return cls.at(str(publish(name, base, folder)))

    @classmethod
    def at(cls, url: str) -> Artifact:
        """Return the artifact that lies at a URL."""
        remote = rm.open_model(url)
        places = {path: remote.file_location(path) for path in sorted(remote.files)}
        places[MANIFEST] = manifest_location(remote.location, remote.layout)
        contents = {path: get(place) for path, place in places.items()}
        return cls(url=url, places=places, contents=contents)

    @contextmanager
    def holding(self, changes: Mapping[str, bytes | None]) -> Iterator[None]:
        """Give files other contents for the length of a block; ``None`` removes one."""
        try:
            for path, data in changes.items():
                if data is None:
                    delete(self.places[path])
                else:
                    put(self.places[path], data)
            yield
        finally:
            for path in changes:
                put(self.places[path], self.contents[path])


def flipped(data: bytes, at: int, mask: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= mask
    return bytes(changed)


def masks(choose: Random) -> tuple[int, int]:
    """Return one bit, and all eight."""
    return 1 << choose.randrange(8), 0xFF


def broken_files(artifact: Artifact) -> Iterator[tuple[str, Mapping[str, bytes | None]]]:
    """Yield every file removed, emptied, cut short, and swapped with every other one."""
    contents = artifact.contents
    for path, data in contents.items():
        yield f"{path} removed", {path: None}
        for kind, cut in (("emptied", 0), ("halved", len(data) // 2), ("cut", len(data) - 1)):
            if data:
                yield f"{path} {kind}", {path: data[:cut]}
        for other, instead in contents.items():
            if path < other and data != instead:
                yield f"{path} and {other} swapped", {path: instead, other: data}
