"""A cache and one process: what comes from it is whole, whatever lies in it."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache.models import (
    SCRATCH,
    StoredModel,
    cache_in,
    content_of,
    entry_path,
    load,
    manifest_of,
    names_in,
    put_bytes,
    put_model,
)
from remote_models.cache import Cache, CacheSettings, NoCache, open_cache
from remote_models.errors import IntegrityError, ModelNotFoundError
from remote_models.manifest import Layout, StoredManifest
from remote_models.remote_model import RemoteModel
from remote_models.storage import Location, open_store


def delete_files(model: StoredModel) -> None:
    """Leave the manifest alone in the store."""
    for path in model.files:
        open_store(model.location).delete(model.place_of(path))


@pytest.mark.parametrize(
    ("name", "files", "layout"),
    [
        ("m", {"saved_model.pb": b"graph", "variables/data": b"v" * 99, "empty": b""},
         Layout.DIRECTORY),
        ("m.h5", {"m.h5": b"weights" * 9}, Layout.FILE),
        ("ckpt", {"ckpt.index": b"index", "ckpt.data-0": b"d" * 99}, Layout.FILE),
    ],
)  # fmt: skip
def test_the_second_load_needs_the_manifest_alone(
    cache: Cache, memory_base: Location, name: str, files: dict[str, bytes], layout: Layout
) -> None:
    model = put_model(memory_base.join(name), files, layout)
    assert load(cache, model.location) == files
    delete_files(model)
    with pytest.raises(IntegrityError, match="missing"):
        load(None, model.location)
    assert load(cache, model.location) == files
    assert names_in(cache) == sorted(model.digests.values())


def test_files_of_the_same_bytes_are_one_entry(cache: Cache, memory_base: Location) -> None:
    files = {"a": b"same" * 500, "b": b"same" * 500, "c": b"other"}
    for name in ("first", "second"):
        assert load(cache, put_model(memory_base.join(name), files).location) == files
    assert len(names_in(cache)) == 2
    assert cache.size == 2_005


def test_nobody_else_may_look(tmp_path: Path, model: StoredModel) -> None:
    before = os.umask(0)
    try:
        cache = cache_in(tmp_path / "cache")
        load(cache, model.location)
    finally:
        os.umask(before)
    for path in (cache.directory, *cache.directory.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


# Damage


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def hole(path: Path) -> None:
    """What a power failure leaves: the length, and zeros."""
    size = path.stat().st_size
    path.write_bytes(bytes(size))


def link_to_another_file(path: Path) -> None:
    victim = path.parent / "victim"
    path.rename(victim)
    path.symlink_to(victim)


def link_to_nowhere(path: Path) -> None:
    path.unlink()
    path.symlink_to("/nonexistent/file")


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES: list[Callable[[Path], None]] = [
    flip, cut, lengthen, hole, link_to_another_file, link_to_nowhere, fifo,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda each: each.__name__)
def test_a_damaged_entry_is_replaced(
    cache: Cache, model: StoredModel, damage: Callable[[Path], None]
) -> None:
    load(cache, model.location)
    path = entry_path(cache, model.digests["variables/part-2"])
    damage(path)
    assert load(cache, model.location) == model.files
    assert path.is_file()
    assert not path.is_symlink()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name


def test_damage_is_logged(
    cache: Cache, model: StoredModel, caplog: pytest.LogCaptureFixture
) -> None:
    load(cache, model.location)
    flip(entry_path(cache, model.digests["variables/part-0"]))
    caplog.clear()
    load(cache, model.location)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert model.digests["variables/part-0"] in record.getMessage()


def test_a_damaged_entry_without_the_original_is_an_error(cache: Cache, model: StoredModel) -> None:
    load(cache, model.location)
    delete_files(model)
    flip(entry_path(cache, model.digests["variables/part-2"]))
    with pytest.raises(IntegrityError, match="missing"):
        load(cache, model.location)


def test_progress_counts_damaged_bytes_once(
    cache: Cache, model: StoredModel, tmp_path: Path
) -> None:
    load(cache, model.location)
    flip(entry_path(cache, model.digests["variables/part-2"]))
    seen: list[int] = []
    (tmp_path / "copy").mkdir()
    RemoteModel.open(open_store(model.location), model.location).download(
        tmp_path / "copy", lambda progress: seen.append(progress.transferred), cache=cache
    )
    assert (seen[0], seen[-1]) == (0, sum(map(len, model.files.values())))


def test_a_bad_sector_is_damage(
    cache: Cache, model: StoredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(cache, model.location)

    class Unreadable:
        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_error: object) -> None:
            pass

        def read(self, _size: int) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Cache, "open", lambda *_arguments: Unreadable())
    assert load(cache, model.location) == model.files


def test_who_writes_into_a_copy_does_not_reach_the_cache(
    cache: Cache, model: StoredModel, tmp_path: Path
) -> None:
    for name in ("first", "second", "third"):
        (tmp_path / name).mkdir()
        RemoteModel.open(open_store(model.location), model.location).download(
            tmp_path / name, cache=cache
        )
        copy = tmp_path / name / "variables/part-2"
        assert copy.read_bytes() == model.files["variables/part-2"]
        with copy.open("r+b") as file:  # in place: a link would carry it into the cache
            file.write(b"changed")
    assert cache.verify() == []


# Links in the folders


def test_a_folder_that_is_a_link_is_neither_read_nor_written_through(
    cache: Cache, model: StoredModel, tmp_path: Path
) -> None:
    sha256 = model.digests["variables/part-0"]
    victim = tmp_path / "victim"
    victim.mkdir()
    theirs = {sha256: model.files["variables/part-0"], f".{sha256}.lock": b"", "other": b"x"}
    for name, data in theirs.items():
        (victim / name).write_bytes(data)
    (cache.directory / "sha256" / sha256[:2]).symlink_to(victim)
    assert cache.open(sha256, 5_000) is None
    assert load(cache, model.location) == model.files
    assert sha256 not in {entry.sha256 for entry in cache.entries}
    cache.discard(sha256)
    cache.verify()
    cache.prune(0)
    assert {path.name: path.read_bytes() for path in victim.iterdir()} == theirs


def test_a_link_in_the_place_of_all_folders_means_no_cache(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/sha256").symlink_to(tmp_path / "victim")
    found = open_cache(CacheSettings(directory=tmp_path / "cache"))
    assert isinstance(found, NoCache)
    assert "is no folder" in found.reason


def test_the_cache_itself_may_lie_behind_a_link(tmp_path: Path, model: StoredModel) -> None:
    """Home directories are moved to larger disks so."""
    (tmp_path / "large disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "large disk")
    cache = cache_in(tmp_path / "link")
    load(cache, model.location)
    assert cache.size == sum(map(len, model.files.values()))


def test_a_link_in_the_place_of_a_lock_is_not_followed(
    cache: Cache, model: StoredModel, tmp_path: Path
) -> None:
    sha256 = model.digests["variables/part-0"]
    shelf = cache.directory / "sha256" / sha256[:2]
    shelf.mkdir()
    (shelf / f".{sha256}.lock").symlink_to(tmp_path / "victim")
    assert load(cache, model.location) == model.files
    assert not (tmp_path / "victim").exists()
    assert entry_path(cache, sha256).is_file()


def test_a_folder_in_the_place_of_an_entry_is_left_alone(cache: Cache, model: StoredModel) -> None:
    path = entry_path(cache, model.digests["variables/part-0"])
    path.mkdir(parents=True)
    for _ in range(2):
        assert load(cache, model.location) == model.files
    assert path.is_dir()
    assert not [name for name in names_in(cache) if name.startswith(".")]


# Places that are no good


def no_cache(directory: Path, *, is_default: bool = False) -> str:
    found = open_cache(CacheSettings(directory=directory, is_default=is_default))
    assert isinstance(found, NoCache)
    assert found.directory == directory
    return found.reason


def test_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "home").write_bytes(b"")
    assert no_cache(tmp_path / "home/cache").endswith("Not a directory")


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "sha256").write_bytes(b"")
    assert "is no folder" in no_cache(tmp_path)


def test_somebody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache_in(tmp_path)
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    assert no_cache(tmp_path) == f"{tmp_path}/sha256 belongs to another user"


def test_what_others_may_write_to(tmp_path: Path) -> None:
    cache_in(tmp_path)
    (tmp_path / "sha256").chmod(0o770)
    assert no_cache(tmp_path) == f"others may write to {tmp_path}/sha256"


def test_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To root nothing is read-only but a disk: what the system says of one is played here."""
    cache_in(tmp_path)
    monkeypatch.setattr(os, "access", lambda _path, mode: not mode & os.W_OK)
    assert no_cache(tmp_path) == f"{tmp_path}/sha256 cannot be written to"


def test_root_makes_no_cache_in_the_home_of_somebody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under sudo: afterwards the user could make none."""
    if os.geteuid() == 0:
        os.chown(tmp_path, 12345, -1)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    reason = no_cache(tmp_path / ".cache/remote_models", is_default=True)
    assert reason == f"{tmp_path} belongs to another user"
    assert list(tmp_path.iterdir()) == []


# Room


def test_a_model_larger_than_the_cache_is_not_kept_and_pushes_nothing_out(
    tmp_path: Path, memory_base: Location
) -> None:
    cache = cache_in(tmp_path / "cache", max_size=10_000)
    small = put_model(memory_base.join("small"), content_of(4_000, 4_000, seed=1))
    large = put_model(memory_base.join("large"), content_of(4_000, 4_000, 4_000, seed=2))
    load(cache, small.location)
    for _ in range(2):
        assert load(cache, large.location) == large.files
    assert names_in(cache) == sorted(small.digests.values())


def test_what_was_used_longest_ago_goes_first(tmp_path: Path, memory_base: Location) -> None:
    cache = cache_in(tmp_path / "cache", max_size=10_000)
    models = [
        put_model(memory_base.join(str(seed)), content_of(3_000, seed=seed)) for seed in range(4)
    ]
    digests = [digest for model in models for digest in model.digests.values()]
    for age, (model, digest) in enumerate(zip(models[:3], digests, strict=False)):
        load(cache, model.location)
        os.utime(entry_path(cache, digest), (age, age))
    load(cache, models[0].location)  # a use: now number 1 is the one used longest ago
    load(cache, models[3].location)
    assert names_in(cache) == sorted([digests[0], digests[2], digests[3]])


def test_files_of_the_model_that_is_loaded_stay(tmp_path: Path, memory_base: Location) -> None:
    """Though one was used longest ago, and another file of the same model needs room."""
    cache = cache_in(tmp_path / "cache", max_size=10_000)
    model = put_model(memory_base.join("1"), content_of(4_000, 5_000, seed=1))
    other = put_model(memory_base.join("2"), content_of(1_000, seed=2))
    load(cache, model.location)
    first, second = model.digests.values()
    os.utime(entry_path(cache, first), (1, 1))
    entry_path(cache, second).unlink()
    load(cache, other.location)
    cache = cache_in(tmp_path / "cache", max_size=9_500)
    load(cache, model.location)
    assert names_in(cache) == sorted([first, second])


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    max_size=st.integers(0, 6_000),
    loads=st.lists(st.integers(0, 5), min_size=1, max_size=12),
    harm=st.lists(st.integers(0, 11), max_size=3),
)
def test_whatever_is_loaded_in_whatever_order(
    tmp_path_factory: pytest.TempPathFactory,
    published: list[StoredModel],
    max_size: int,
    loads: list[int],
    harm: list[int],
) -> None:
    """The files are right, and the cache is never too large."""
    cache = cache_in(tmp_path_factory.mktemp("cache"), max_size=max_size)
    for step, seed in enumerate(loads):
        for entry in list(cache.entries) if step in harm else ():
            if entry.size:
                flip(entry_path(cache, entry.sha256))
        model = published[seed]
        assert load(cache, model.location) == model.files
        assert cache.size <= max_size
        assert not [name for name in names_in(cache) if name.startswith(".")]
        if sum(map(len, model.files.values())) <= max_size:
            assert set(names_in(cache)) >= set(model.digests.values())


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> list[StoredModel]:
    """Models of which some are too large for most caches."""
    base = Location.parse(tmp_path_factory.mktemp("published"))
    sizes = [(100,), (2_000, 0), (1_000, 1_000, 1_000), (5_999,), (0,), (3_000, 10)]
    return [
        put_model(base.join(str(seed)), content_of(*each, seed=seed))
        for seed, each in enumerate(sizes)
    ]


def disk_with(free: int) -> Callable[[object], SimpleNamespace]:
    return lambda _path: SimpleNamespace(free=free, total=100_000, used=100_000 - free)


def test_a_disk_that_is_nearly_full_gets_no_cache(
    cache: Cache, model: StoredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", disk_with(free=sum(map(len, model.files.values()))))
    assert load(cache, model.location) == model.files
    assert names_in(cache) == []


def test_the_cache_makes_way_for_the_copy_of_a_load(
    cache: Cache, memory_base: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in (1, 2):
        put_model(memory_base.join(str(seed)), content_of(3_000, seed=seed))
    load(cache, memory_base.join("1"))
    monkeypatch.setattr(shutil, "disk_usage", disk_with(free=2_000))
    (tmp_path / "copy").mkdir()  # on the disk of the cache
    location = memory_base.join("2")
    RemoteModel.open(open_store(location), location).download(tmp_path / "copy", cache=cache)
    assert names_in(cache) == []


def test_a_copy_on_another_disk_takes_no_room_from_the_cache(
    cache: Cache, memory_base: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    if SCRATCH is None or os.stat(SCRATCH).st_dev == os.stat(cache.directory).st_dev:
        pytest.skip("copies lie on the disk of the cache")
    models = [
        put_model(memory_base.join(str(seed)), content_of(3_000, seed=seed)) for seed in (1, 2)
    ]
    load(cache, models[0].location)
    # Enough for one of them and what is left to others, but not for two.
    monkeypatch.setattr(shutil, "disk_usage", disk_with(free=13_500))
    load(cache, models[1].location)
    assert len(names_in(cache)) == 2


def test_who_keeps_nothing_pushes_nothing_out(tmp_path: Path, memory_base: Location) -> None:
    cache = cache_in(tmp_path / "cache", max_size=4_000)
    models = [
        put_model(memory_base.join(str(seed)), content_of(3_000, seed=seed)) for seed in (1, 2)
    ]
    load(cache, models[0].location)
    assert load(cache.reading_only(), models[1].location) == models[1].files
    assert names_in(cache) == list(models[0].digests.values())


def test_what_a_killed_process_left_goes_with_the_next_download(
    cache: Cache, model: StoredModel
) -> None:
    other = "ab" + "0" * 62
    shelf = cache.directory / "sha256" / "ab"
    shelf.mkdir()
    for ending in ("lock", "0123456789ab.part"):
        (shelf / f".{other}.{ending}").write_bytes(b"half")
    (shelf / "notes").write_bytes(b"of the user")
    load(cache, model.location)
    assert names_in(cache) == sorted([*model.digests.values(), "notes"])


def test_a_disk_that_fills_up_costs_only_the_entry(
    cache: Cache, model: StoredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(_source: object, target: object, _length: int) -> None:
        target.write(b"half")  # type: ignore[attr-defined] # a file
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", fill)
    assert load(cache, model.location) == model.files
    assert names_in(cache) == []


# Replaced models


def test_a_model_that_was_replaced_is_loaded_anew(cache: Cache, memory_base: Location) -> None:
    for seed in (1, 2, 1):
        model = put_model(memory_base.join("model"), content_of(50, 60, seed=seed))
        assert load(cache, model.location) == model.files


def test_while_a_save_is_under_way_the_store_tells_what_is_there(
    cache: Cache, memory_base: Location
) -> None:
    """A save that was killed before its last step leaves the new model, and both manifests."""
    old = put_model(memory_base.join("model"), content_of(50, 60, seed=1))
    load(cache, old.location)
    new = put_model(memory_base.join("model"), content_of(50, 60, seed=2))
    both = StoredManifest(current=old.manifest, pending=(new.manifest,))
    put_bytes(manifest_of(new), both.to_bytes())
    assert load(cache, new.location) == new.files


def test_without_a_manifest_nothing_is_kept(cache: Cache, model: StoredModel) -> None:
    open_store(model.location).delete(manifest_of(model))
    assert load(cache, model.location) == model.files
    assert names_in(cache) == []


def test_a_missing_model_leaves_nothing(cache: Cache, memory_base: Location) -> None:
    with pytest.raises(ModelNotFoundError):
        load(cache, memory_base.join("nothing"))
    assert names_in(cache) == []
