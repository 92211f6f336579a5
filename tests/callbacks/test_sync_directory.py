"""Files that grow on this machine, kept in a store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from publishing.test_unchanged import put
from weights.counting_proxy import CountingProxy, counting_proxy

from remote_models.callbacks import SyncDirectory
from remote_models.storage import Location, open_store
from remote_models.testing import Emulator

MIB = 1024 * 1024


def sync_of(folder: Path, place: Location) -> SyncDirectory:
    return SyncDirectory(folder, place.url, storage_options=place.storage_options)


def stored(place: Location) -> dict[str, bytes]:
    """What is there, without the index."""
    store = open_store(place)
    return {
        path: bytes(store.read(place.join(path), 0, info.size))
        for path, info in store.list(place).items()
        if path != "remote_models_sync.json"
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    (folder / "train").mkdir(parents=True)
    (folder / "train/events.out").write_bytes(b"one")
    (folder / "log.csv").write_bytes(b"epoch,loss\n")
    return folder


def test_only_what_has_changed_is_sent(base: Location, folder: Path) -> None:
    place = base.join("logs")
    sync = sync_of(folder, place)
    assert sync.sync() == ["log.csv", "train/events.out"]
    assert sync.sync() == []
    with (folder / "log.csv").open("ab") as file:
        file.write(b"0,1.5\n")
    assert sync.sync() == ["log.csv"]
    assert stored(place) == {"log.csv": b"epoch,loss\n0,1.5\n", "train/events.out": b"one"}


def test_another_process_goes_on(s3_base: Location, folder: Path) -> None:
    place = s3_base.join("logs")
    sync_of(folder, place).sync()
    os.utime(folder / "log.csv")
    (folder / "train/events.out").write_bytes(b"one, two")
    assert sync_of(folder, place).sync() == ["train/events.out"]
    put(place.join("log.csv"), b"somebody's")
    assert sync_of(folder, place).sync() == ["log.csv"]
    put(place.join("remote_models_sync.json"), b"{damaged")
    assert sync_of(folder, place).sync() == ["log.csv", "train/events.out"]
    assert stored(place) == {"log.csv": b"epoch,loss\n", "train/events.out": b"one, two"}


def test_links_are_not_followed(memory_base: Location, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_bytes(b"key")
    (folder / "link").symlink_to(tmp_path / "secret/key")
    (folder / "train/more").symlink_to(tmp_path / "secret")
    assert sync_of(folder, memory_base.join("logs")).sync() == ["log.csv", "train/events.out"]


def test_a_folder_that_is_not_there_yet(memory_base: Location, tmp_path: Path) -> None:
    assert sync_of(tmp_path / "later", memory_base.join("logs")).sync() == []


@pytest.fixture
def proxy(seaweed: Emulator) -> Iterator[CountingProxy]:
    with counting_proxy(seaweed.endpoint_url) as proxy:
        yield proxy


def test_the_beginning_of_a_file_that_grows_does_not_travel_again(
    proxy: CountingProxy, seaweed: Emulator, s3_base: Location, folder: Path
) -> None:
    place = replace(s3_base.join("logs"), storage_options=proxy.storage_options(seaweed))
    sync = sync_of(folder, place)
    events = folder / "train/events.out"
    events.write_bytes(os.urandom(11 * MIB))
    sync.sync()
    for _ in range(2):
        with events.open("ab") as file:
            file.write(os.urandom(10_000))
        proxy.clear()
        assert sync.sync() == ["train/events.out"]
        assert proxy.sent < 100_000
        assert stored(place)["train/events.out"] == events.read_bytes()
    events.write_bytes(b"x" + events.read_bytes()[1:] + b"more")
    sync.sync()
    assert stored(place)["train/events.out"] == events.read_bytes()
