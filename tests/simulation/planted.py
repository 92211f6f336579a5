"""Mistakes that such a protocol could have, planted to see that the histories show them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from unittest.mock import patch

from remote_models.errors import StorageError
from remote_models.manifest import StoredManifest
from remote_models.publishing import UnfinishedSaves, _publish
from remote_models.publishing._switch import Switch
from remote_models.remote_model import _copy
from remote_models.storage import _publication
from simulation.world import World

__all__ = ["MISTAKES"]


@contextmanager
def pointer_before_data() -> Iterator[None]:
    """The manifest names the new files before they are there."""

    def announce(switch: Switch) -> None:
        switch._before, switch._was_there = switch._file.stored, switch._file.is_there
        switch._file.write(StoredManifest(current=switch._announced))
        switch._announced_at = 0.0

    with patch.object(Switch, "_announce", announce), patch.object(Switch, "renew"):
        yield


@contextmanager
def in_place() -> Iterator[None]:
    """Nothing is announced: files are replaced, then the manifest."""
    with patch.object(Switch, "_is_one_step", lambda _: True):
        yield


@contextmanager
def refused_means_failed() -> Iterator[None]:
    """What a client says after a lost answer is believed."""

    def believe(*arguments: object, **_: object) -> None:
        error = arguments[3]
        assert isinstance(error, StorageError)
        raise error

    with patch.object(_publication, "settle", believe):
        yield


@contextmanager
def nothing_is_verified() -> Iterator[None]:
    """What comes is taken for what the manifest names."""

    class Trusting(str):
        """A digest that every other one equals."""

        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            return True

        def __ne__(self, other: object) -> bool:
            return False

    write = _copy._write_file
    with patch.object(_copy, "_write_file", lambda *arguments: Trusting(write(*arguments))):
        yield


@contextmanager
def conditions_are_ignored() -> Iterator[None]:
    """The store takes every write: no exclusive create, no compare and swap."""
    put = World.put

    def put_anyway(world: World, key: str, data: bytes, writer: str | None, *_: object) -> object:
        return put(world, key, data, writer, False, None)

    with patch.object(World, "put", put_anyway):
        yield


@contextmanager
def eager_gc() -> Iterator[None]:
    """Whoever sweeps up tells nobody, and does not look whether others have come."""

    def remove(found: UnfinishedSaves) -> Iterator[str]:
        for path in sorted(found.files, reverse=True):
            found.store.delete(found.folder.join(path))
            yield path
        found.manifest.delete()

    with patch.object(UnfinishedSaves, "remove", remove):
        yield


@contextmanager
def the_overtaken_do_not_look() -> Iterator[None]:
    """Who was taken for dead finishes as if nothing had happened."""
    with patch.object(Switch, "_is_there", lambda *_: True):
        yield


@contextmanager
def old_files_go_first() -> Iterator[None]:
    """Files of the old artifact are deleted before the new ones are there."""
    enter = Switch.__enter__

    def enter_and_delete(switch: Switch) -> Switch:
        entered = enter(switch)
        for manifest in switch.replaced:
            for entry in manifest.files:
                switch._store.delete(switch._folder.join(entry.path))
        return entered

    with patch.object(Switch, "__enter__", enter_and_delete):
        yield


@contextmanager
def the_failed_tidy_up_blindly() -> Iterator[None]:
    """Who fails deletes what lies at the URL, whoever has put it there."""

    def delete_everything(switch: Switch) -> None:
        for entry in switch.manifest.files:
            switch._store.delete(switch._folder.join(entry.path))
        switch._file.delete()

    with patch.object(Switch, "_take_back", delete_everything):
        yield


@contextmanager
def stale_files_stay() -> Iterator[None]:
    """Files that the new artifact does not have are left in its folder."""
    with patch.object(_publish, "_delete_stale"):
        yield


MISTAKES: Mapping[str, Callable[[], AbstractContextManager[None]]] = {
    each.__name__: each
    for each in (
        pointer_before_data, in_place, refused_means_failed, nothing_is_verified,
        conditions_are_ignored, eager_gc, the_overtaken_do_not_look,
        old_files_go_first, the_failed_tidy_up_blindly, stale_files_stay,
    )
}  # fmt: skip
