"""Delete versions so that no reader gets half of one and no alias leads nowhere.

The protocol. A version is first marked by ``deleting/N.json``, then the aliases are read,
and only if none leads to N it is deleted: its manifest first, with which it stops being a
version, then ``saved_model.pb``, without which TensorFlow loads nothing, then the rest,
then the mark. Who sets an alias looks for the mark after that (:func:`lead`). So of a
prune and an alias at the same moment at least one sees the other and gives way.

A prune that is killed leaves a mark, and the next one goes on from there: the mark also
holds the folders to remove, of which the manifest told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from remote_models._fields import array_field, parse_relative_path
from remote_models.errors import AccessDeniedError, ConflictError, CredentialsError
from remote_models.manifest import DIRECTORY_MANIFEST, FILE_MANIFEST_SUFFIX
from remote_models.repository._aliases import LATEST, Alias, Aliases
from remote_models.repository._layout import CLAIMS, DELETING, SAVED_MODEL, Contents
from remote_models.repository._retention import Retention
from remote_models.repository._small_objects import SmallObjects, parse_document
from remote_models.repository._version import Version, read_version, read_versions
from remote_models.storage import Location, Store

__all__ = ["PruneReport", "lead", "prune_versions"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PruneReport:
    """What became of the versions of a repository.

    Attributes:
        kept: Those that are there still.
        deleted: Those that are gone, or would be.
        resumed: Numbers whose deletion an earlier prune had begun and this one finished.
        dry_run: Whether nothing was deleted.
    """

    kept: Sequence[Version]
    deleted: Sequence[Version]
    resumed: Sequence[int] = ()
    dry_run: bool = False


def prune_versions(
    store: Store, root: Location, retention: Retention, *, dry_run: bool
) -> PruneReport:
    """Delete the finished versions that no rule and no alias keeps; the newest is kept.

    Raises:
        ManifestError: a manifest or an alias is damaged; nothing is deleted then.
        StorageError: the store refused or failed; another prune goes on from there.
    """
    contents = Contents.read(store, root)
    versions = read_versions(store, root, contents)
    aliases = Aliases(store, root)
    kept = retention.choose(versions) if versions else set()
    kept |= {alias.version for name, alias in aliases.read_all().items() if name != LATEST}
    halves = [number for number in contents.deleting if number not in contents.models]
    going = [version for version in versions if version.number not in kept]
    if not dry_run:
        deletion = _Deletion(store, root, contents)
        if versions:
            newest = versions[-1]
            # Before anything goes: what a save that was killed has left undone.
            aliases.advance(Alias.of(newest, contents.models[newest.number]))
        for number in halves:
            deletion.finish(number)
        going = [version for version in going if deletion.delete(version)]
        deletion.tidy(kept, highest=aliases.highest())
    gone = {version.number for version in going}
    return PruneReport(
        kept=[version for version in versions if version.number not in gone],
        deleted=going,
        resumed=halves,
        dry_run=dry_run,
    )


class _Deletion:
    """Deletes versions of one repository, one after the other."""

    def __init__(self, store: Store, root: Location, contents: Contents) -> None:
        self._store = store
        self._root = root
        self._contents = contents
        self._marks = SmallObjects(store=store, root=root, folder=DELETING)
        self._aliases = Aliases(store, root)

    def delete(self, version: Version) -> bool:
        """Delete a whole version, unless an alias leads to it by now; say whether it is gone."""
        number = version.number
        inside = self._contents.inside(number)
        folders = _folders_of(
            [*inside, *(f"{path}/" for path in version.manifest.empty_directories)]
        )
        self._marks.put(str(number), {"folders": folders})
        if any(alias.version == number for alias in self._aliases.read_all().values()):
            self._marks.delete(str(number))
            return False
        self._delete_all(number, inside, folders)
        return True

    def finish(self, number: int) -> None:
        """Delete what is left of a version whose manifest is gone already."""
        inside = self._contents.inside(number)
        data = self._marks.read(str(number))
        folders = [*(_folders_in(data, self._marks.location(str(number))) if data else ())]
        self._delete_all(number, inside, sorted({*folders, *_folders_of(inside)}))

    def tidy(self, kept: Iterable[int], *, highest: int) -> None:
        """Remove marks of whole versions that stay, and claims that are of no use any more."""
        for number in set(kept).intersection(self._contents.deleting):
            self._marks.delete(str(number))
        claims = SmallObjects(store=self._store, root=self._root, folder=CLAIMS)
        for number in self._contents.claimed:
            # Nobody takes a number that `latest` has come to, claimed or not.
            if number <= highest:
                claims.delete(str(number))

    def _delete_all(self, number: int, inside: Sequence[str], folders: Sequence[str]) -> None:
        root = self._root.join(str(number))
        for path in sorted(inside, key=_order):
            self._store.delete(root.join(path))
        for path in sorted(folders, key=lambda path: path.count("/"), reverse=True):
            self._store.remove_directory(root.join(path))
        self._store.remove_directory(root)
        self._marks.delete(str(number))


def _order(path: str) -> tuple[int, str]:
    """What makes it a version, then what makes it a SavedModel, then the rest."""
    if path == DIRECTORY_MANIFEST or ("/" not in path and path.endswith(FILE_MANIFEST_SUFFIX)):
        return 0, path
    return (1 if path == SAVED_MODEL else 2), path


def _folders_of(paths: Iterable[str]) -> Sequence[str]:
    """Return the folders around some paths; one that ends in a slash is a folder itself."""
    found: set[str] = set()
    for path in paths:
        parts = path.split("/")[:-1]
        found.update("/".join(parts[: count + 1]) for count in range(len(parts)))
    return sorted(found)


def _folders_in(data: bytes, location: Location) -> Sequence[str]:
    where = f"{location} (folders)"
    folders = array_field(parse_document(data, str(location)).get("folders"), where)
    return [parse_relative_path(folder, where=where) for folder in folders]


def lead(store: Store, root: Location, name: str, version: Version, path: str) -> None:
    """Let an alias lead to a version, which no prune deletes from then on.

    Raises:
        ConflictError: the version is being deleted; the alias is as it was.
    """
    aliases = Aliases(store, root)
    ours = Alias.of(version, path)
    refusal = ConflictError(
        f"version {version.number} is being deleted", where=str(root.join(path)),
        hint="Choose another one; if a prune was cut short here, run it again",
    )  # fmt: skip
    if _is_marked(store, root, version.number):
        raise refusal
    before = aliases.set(name, ours)
    # In this order: a mark goes after the manifest.
    if (
        _is_marked(store, root, version.number)
        or read_version(store, root, version.number, path) is None
    ):
        aliases.take_back(name, ours, before)
        raise refusal


def _is_marked(store: Store, root: Location, number: int) -> bool:
    marks = SmallObjects(store=store, root=root, folder=DELETING)
    try:
        return marks.read(str(number)) is not None
    except CredentialsError:
        raise
    except AccessDeniedError:
        return False  # absent, as S3 says it to those who may not list
