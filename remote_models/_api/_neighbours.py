"""Where no model may be saved: over a bucket, a repository, or a version of one."""

from __future__ import annotations

from remote_models._strict_json import parse_json
from remote_models.errors import (
    AccessDeniedError,
    ArgumentError,
    IntegrityError,
    ModelExistsError,
    ModelNotFoundError,
)
from remote_models.manifest import Layout
from remote_models.remote_model import manifest_location
from remote_models.storage import Location, Store, read_all

__all__ = [
    "ALIASES",
    "CLAIMS",
    "DOCUMENT_SUFFIX",
    "LATEST",
    "LATEST_ALIAS",
    "MAX_NUMBER",
    "is_in_version",
    "is_there",
    "number_of",
    "parse_claim",
    "read_latest",
    "refuse_bucket",
    "refuse_repository",
]

ALIASES = "aliases"
CLAIMS = "claims"
"""Folders of a repository; docs/repository.md."""

LATEST = "latest"
"""The alias that every save into a repository moves forward, and that nobody sets."""

DOCUMENT_SUFFIX = ".json"

_MAX_ALIAS_BYTES = 64 * 1024

LATEST_ALIAS = f"{ALIASES}/{LATEST}{DOCUMENT_SUFFIX}"

MAX_NUMBER = 2**63 - 1
"""TensorFlow Serving reads a version as int64."""


def number_of(name: str) -> int | None:
    """Return the number that a folder or document is named by, as TensorFlow Serving reads it."""
    if not (name.isascii() and name.isdigit()) or len(name) > len(str(MAX_NUMBER)):
        return None
    number = int(name)
    return number if 1 <= number <= MAX_NUMBER else None


def parse_claim(path: str) -> tuple[str, int] | None:
    """Return the repository and the number of a claim, ``None`` if a path is not that of one."""
    folder, _, name = path.rpartition("/")
    root, _, last = folder.rpartition("/")
    number = number_of(name.removesuffix(DOCUMENT_SUFFIX))
    if last != CLAIMS or not name.endswith(DOCUMENT_SUFFIX) or number is None:
        return None
    return root, number


def read_latest(store: Store, root: Location) -> int:
    """Return the version that ``latest`` leads to in a repository; 0 where nothing says so."""
    try:
        data = read_all(store, root.join(LATEST_ALIAS), limit=_MAX_ALIAS_BYTES)
        document = parse_json(bytes(data))
    except (ModelNotFoundError, IntegrityError):
        return 0
    version = document.get("version") if isinstance(document, dict) else None
    return version if isinstance(version, int) else 0


def refuse_bucket(location: Location) -> None:
    """Refuse a bucket itself, where a model would lie between all others.

    Raises:
        ArgumentError: it is one.
    """
    if location.is_bucket:
        raise ArgumentError(
            "names a bucket, but no model in it",
            where=str(location),
            hint=f"Give the model a name, as in {location}/model",
        )


def refuse_repository(store: Store, location: Location, layout: Layout, *, overwrite: bool) -> None:
    """Refuse to save over a repository, or in the place of one of its versions.

    Raises:
        ModelExistsError: one of the two is here.
    """
    if layout is Layout.DIRECTORY and is_there(store, location.join(LATEST_ALIAS)):
        raise ModelExistsError(
            "a repository of numbered versions is here",
            where=str(location),
            hint="Repository(url).save(model) saves the next version; or choose another name",
        )
    folder = location if layout is Layout.DIRECTORY else location.parent
    if (
        overwrite
        and is_in_version(store, folder)
        and is_there(store, manifest_location(location, layout))
    ):
        raise ModelExistsError(
            "a version of a repository is here, and versions never change",
            where=str(location),
            hint="Repository(url).save(model) saves the next version; prune deletes old ones",
        )


def is_in_version(store: Store, folder: Location) -> bool:
    """Whether a folder is that of a version of a repository, finished or not."""
    return number_of(folder.name) is not None and is_there(store, folder.parent.join(LATEST_ALIAS))


def is_there(store: Store, location: Location) -> bool:
    """Whether an object is there, as far as one may look."""
    try:
        store.head(location)
    except (ModelNotFoundError, AccessDeniedError, ModelExistsError):
        return False
    return True
