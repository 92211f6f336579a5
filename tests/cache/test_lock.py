"""Locks that only save work."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

import pytest

from remote_models._file_lock import Lock, hold, remove_abandoned, try_lock


def test_one_at_a_time(tmp_path: Path) -> None:
    with hold(tmp_path / "lock", 0) as first, hold(tmp_path / "lock", 0) as second:
        assert (first, second) == (True, False)
    with hold(tmp_path / "lock", 0) as third:
        assert third
    assert list(tmp_path.iterdir()) == []


def test_who_waits_gets_it_when_the_other_is_done(tmp_path: Path) -> None:
    """Several rounds, since the name goes with each holder and comes with the next."""
    order: list[str] = []

    def work(name: str) -> None:
        for _ in range(3):
            with hold(tmp_path / "lock", 60) as is_held:
                assert is_held
                order.extend([name, name])

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    with hold(tmp_path / "lock", 0):
        for thread in threads:
            thread.start()
        assert order == []
    for thread in threads:
        thread.join()
    assert sorted(order) == ["a"] * 6 + ["b"] * 6
    assert all(order[at] == order[at + 1] for at in range(0, 12, 2))
    assert list(tmp_path.iterdir()) == []


def test_a_lock_without_a_name_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its holder has deleted it after we opened it: others would lock another file."""
    path = tmp_path / "lock"
    tries: list[int] = []

    def delete_first(descriptor: int) -> Lock:
        tries.append(descriptor)
        if len(tries) == 1:
            path.unlink()
        return try_lock(descriptor)

    monkeypatch.setattr("remote_models._file_lock.try_lock", delete_first)
    with hold(path, 60) as is_held:
        assert is_held
        assert path.exists()
    assert len(tries) == 2


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_where_nothing_can_be_locked_all_go_on_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with hold(tmp_path / "lock", 60) as first, hold(tmp_path / "lock", 60) as second:
        assert (first, second) == (False, False)
    # Nobody can tell whose such a file is, but after a day it is nobody's.
    assert not remove_abandoned(tmp_path / "lock")
    os.utime(tmp_path / "lock", (0, 0))
    assert remove_abandoned(tmp_path / "lock")


def test_where_no_file_can_be_made(tmp_path: Path) -> None:
    with hold(tmp_path / "missing/lock", 60) as is_held:
        assert not is_held


def test_a_lock_that_is_held_is_not_abandoned(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold(path, 0):
        assert not remove_abandoned(path)
        assert path.exists()
    path.touch()
    assert remove_abandoned(path)
    assert not path.exists()


def test_an_error_in_the_block_gives_it_back(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold(tmp_path / "lock", 0):
        raise ZeroDivisionError
    with hold(tmp_path / "lock", 0) as is_held:
        assert is_held
