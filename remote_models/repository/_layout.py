"""How a repository lies in a store: folders named by numbers, and three of its own.

The numbered folders are TensorFlow Serving's ("base path" of
``FileSystemStoragePathSource``: every child whose name is a number is a version, all
others are passed over).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from remote_models._api._neighbours import ALIASES, CLAIMS, MAX_NUMBER, number_of
from remote_models.errors import ArgumentError
from remote_models.formats import Format
from remote_models.manifest import DIRECTORY_MANIFEST, FILE_MANIFEST_SUFFIX, Layout
from remote_models.repository._small_objects import SUFFIX
from remote_models.storage import Location, Store

__all__ = [
    "ALIASES",
    "CLAIMS",
    "DELETING",
    "SAVED_MODEL",
    "Contents",
    "check_number",
    "layout_of",
    "number_of",
    "path_of_format",
    "paths_of",
]

DELETING = "deleting"

SAVED_MODEL = "saved_model.pb"

_FILE_NAMES = {
    Format.KERAS: "model.keras",
    Format.H5: "model.h5",
    Format.KERAS_WEIGHTS: "model.weights.h5",
}
"""What a model is called that is one file; a SavedModel is the numbered folder itself."""


def check_number(number: object) -> int:
    """Return ``number`` if a version may have it.

    Raises:
        ArgumentError: it is no whole number from 1 to 2^63 - 1.
    """
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MAX_NUMBER:
        raise ArgumentError(
            "not a version", where="version", expected="a whole number from 1 on",
            found=repr(number),
        )  # fmt: skip
    return number


def path_of_format(number: int, format: Format) -> str:
    """Return the path of a version's model below the repository."""
    name = _FILE_NAMES.get(format)
    return f"{number}/{name}" if name else str(number)


def paths_of(number: int) -> Sequence[str]:
    """Return every path that a version's model may have, the likeliest first."""
    return (str(number), *(f"{number}/{name}" for name in _FILE_NAMES.values()))


def layout_of(path: str) -> Layout:
    """Return the layout of the model at a path of :func:`paths_of`."""
    return Layout.FILE if "/" in path else Layout.DIRECTORY


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """What one listing tells of a repository.

    Attributes:
        paths: Every object's path below the repository.
    """

    paths: Sequence[str]

    @classmethod
    def read(cls, store: Store, root: Location) -> Self:
        """List a repository; one that is not there is empty."""
        return cls(paths=sorted(store.list(root)))

    @property
    def holds_model(self) -> bool:
        """Whether the folder is a model itself, of which the versions would be a part."""
        return not {DIRECTORY_MANIFEST, SAVED_MODEL}.isdisjoint(self.paths)

    @property
    def highest(self) -> int:
        """The highest number that anything is named by, finished or not; 0 without any."""
        numbered = (number_of(folder) for folder, _ in self._split())
        return max([0, *filter(None, numbered), *self.claimed])

    @property
    def models(self) -> dict[int, str]:
        """The path of each version's model with which a manifest lies, by ascending number."""
        manifests = set(self.paths)
        return {
            number: path
            for number in sorted(filter(None, {number_of(folder) for folder, _ in self._split()}))
            for path in reversed(paths_of(number))
            if _manifest_path(path) in manifests
        }

    @property
    def claimed(self) -> Sequence[int]:
        """The numbers that somebody claimed and has not given back."""
        return self._documents(CLAIMS)

    @property
    def deleting(self) -> Sequence[int]:
        """The numbers that somebody has begun to delete."""
        return self._documents(DELETING)

    def inside(self, number: int) -> Sequence[str]:
        """Return the path below a version's folder of everything in it."""
        return [rest for folder, rest in self._split() if folder == str(number)]

    def _documents(self, folder: str) -> Sequence[int]:
        names = (rest.removesuffix(SUFFIX) for each, rest in self._split() if each == folder)
        return sorted(filter(None, map(number_of, names)))

    def _split(self) -> Iterator[tuple[str, str]]:
        for path in self.paths:
            folder, slash, rest = path.partition("/")
            if slash:
                yield folder, rest


def _manifest_path(path: str) -> str:
    if layout_of(path) is Layout.FILE:
        return f"{path}{FILE_MANIFEST_SUFFIX}"
    return f"{path}/{DIRECTORY_MANIFEST}"
