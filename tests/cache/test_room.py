"""Which entries go when others come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from remote_models.cache import CacheEntry
from remote_models.cache._room import Disk, make_room

ENTRIES = st.lists(
    st.builds(
        CacheEntry,
        sha256=st.sampled_from("abcdefgh"),
        size=st.integers(0, 50),
        last_used=st.integers(0, 9).map(float),
    ),
    unique_by=lambda entry: entry.sha256,
)


@given(
    entries=ENTRIES,
    coming=st.integers(0, 100),
    copied=st.integers(0, 150),
    wanted=st.frozensets(st.sampled_from("abcdefgh")),
    max_size=st.integers(0, 200),
    free=st.integers(0, 300),
)
def test_room(
    *,
    entries: list[CacheEntry],
    coming: int,
    copied: int,
    wanted: frozenset[str],
    max_size: int,
    free: int,
) -> None:
    disk = Disk(free=free, total=500)
    room = make_room(
        entries, coming=coming, copied=copied, wanted=wanted, max_size=max_size, disk=disk
    )
    others = [entry for entry in entries if entry.sha256 not in wanted]
    freed = sum(entry.size for entry in room.removed)
    held = sum(entry.size for entry in entries)

    # What is about to be read stays, and of the rest what was used last.
    assert all(entry in others for entry in room.removed)
    stay = [entry for entry in others if entry not in room.removed]
    assert all(gone.last_used <= kept.last_used for gone in room.removed for kept in stay)

    def fits(freed: int) -> bool:
        if held - freed + coming > max_size:
            return False
        return coming + copied + (disk.reserve if coming else 0) <= free + freed

    assert room.is_enough == fits(sum(entry.size for entry in others))
    if room.is_enough:
        assert fits(freed)
    elif copied <= free + sum(entry.size for entry in others):
        assert copied <= free + freed  # the load itself finds its place
    else:
        assert not room.removed  # in vain
    if room.removed:  # none too many
        last = room.removed[-1].size
        if room.is_enough:
            assert last == 0 or not fits(freed - last)
        else:
            assert last == 0 or copied > free + freed - last


def test_a_tenth_of_the_disk_is_left_to_others_but_no_more_than_a_gigabyte() -> None:
    assert Disk(free=0, total=512 * 1000**2).reserve == 51_200_000
    assert Disk(free=0, total=10**13).reserve == 10**9
