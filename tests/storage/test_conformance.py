"""One contract, kept by every store.

Objects are put into place and inspected behind the store's back, through ``os`` or a
plain fsspec filesystem.
"""

from __future__ import annotations

import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Barrier
from typing import Any, ClassVar
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import fsspec
import pytest
from blind_spots import skip_blind_spot
from fsspec.implementations.memory import MemoryFileSystem

from remote_models.errors import (
    BucketNotFoundError,
    ConflictError,
    IntegrityError,
    ModelExistsError,
    ModelNotFoundError,
    StorageError,
)
from remote_models.storage import (
    CommittedFile,
    Location,
    ObjectInfo,
    Publication,
    Store,
    open_reader,
    open_store,
    read_all,
    read_chunks,
)

MIB = 1024 * 1024
RANDOM = os.urandom(17 * MIB + 3)
"""Two whole parts of 8 MiB and a short one."""

LARGE = 8 * MIB + 16
"""The size of an object in two parts."""

COARSE_CLOCK = getattr(time, "CLOCK_REALTIME_COARSE", time.CLOCK_REALTIME)
"""By which Linux stamps files (clock_gettime(2)); elsewhere the clock is fine enough."""

NAMES = (
    "a:b", "a+b", "a b", " a ", "a%b", "a%20b", "a#b", "a#123", "a?b", "a[b]", "a*b", "a{0}b",
    "a&b=c", "a'b\"c", "a<b>|c", "a@b", "~a", ".a", "a.", "-a", "ünï-漢字", "😀", "a::b", "a$b",
)  # fmt: skip


def commit(
    store: Store, location: Location, data: bytes, *, if_absent: bool = False
) -> CommittedFile:
    """Write ``data`` as the library does, and return what the store calls it."""
    committed: list[CommittedFile] = []
    with Publication(store, if_absent=if_absent) as publication:
        publication.stage(location, len(data), cut(data))
        publication.commit(lambda _, each: committed.append(each))
    return committed[0]


def publish(store: Store, location: Location, data: bytes, *, if_absent: bool = False) -> Any:
    """Write ``data`` as the library does, and return the store's version of it."""
    return commit(store, location, data, if_absent=if_absent).version


def swap(store: Store, location: Location, data: bytes, etag: str | None) -> CommittedFile:
    """Replace the object of which the store has said this etag, and no other."""
    committed: list[CommittedFile] = []
    with Publication(store, if_match=etag) as publication:
        publication.stage(location, len(data), cut(data))
        publication.commit(lambda _, each: committed.append(each))
    return committed[0]


def sizes(found: Mapping[str, ObjectInfo]) -> Mapping[str, int]:
    return {path: info.size for path, info in found.items()}


def cut(data: bytes, size: int = 5 * MIB) -> Iterable[bytes]:
    """Cut ``data`` into pieces that fit no store's own parts."""
    return (data[start : start + size] for start in range(0, len(data), size))


def in_missing_bucket(base: Location) -> Location:
    if base.is_local:
        return Location.parse(f"{base.path}-that-nobody-made/object")
    bucket = base.path.partition("/")[0]
    return Location.parse(
        f"{base.protocol}://{bucket}-that-nobody-made/object", base.storage_options
    )


def race(store: Store, location: Location, size: int, *, writers: int) -> list[int]:
    """Let writers create an object exclusively at once, and return those who did."""
    barrier = Barrier(writers)

    def write(number: int) -> int | None:
        data = RANDOM[: size - 16] + f"{number:16}".encode()
        with Publication(store, if_absent=True) as publication:
            publication.stage(location, size, cut(data))
            barrier.wait(60)
            try:
                publication.commit(lambda _location, _version: None)
            except ModelExistsError:
                return None
        return number

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # or a gap between two lines of Python is never seen
    try:
        with ThreadPoolExecutor(writers) as pool:
            return [number for number in pool.map(write, range(writers)) if number is not None]
    finally:
        sys.setswitchinterval(interval)


def swap_at_once(
    store: Store, location: Location, etag: str | None, barrier: Barrier, data: bytes
) -> CommittedFile | None:
    """Replace the object when all others are about to, or return ``None`` if one was faster."""
    barrier.wait(60)
    try:
        return swap(store, location, data, etag)
    except ConflictError:
        return None


class StoreConformance(ABC):
    """What holds of every store. A store's subclass gives its place and its blind spots."""

    blind_to_large_if_absent: ClassVar[str] = ""
    """Why the emulator accepts a large object that it should refuse; empty if it does not."""

    blind_to_races: ClassVar[str] = ""
    """Why the emulator lets several exclusive writers through at once."""

    blind_to_large_races: ClassVar[str] = ""
    """Why the emulator lets several exclusive writers of large objects through at once."""

    merges_slashes: ClassVar[str] = ""
    """Why ``a//b`` is ``a/b`` here; empty where they differ."""

    tells_etags: ClassVar[bool] = True
    """Whether a commit says under which etag the bytes are there."""

    names_buckets: ClassVar[bool] = True
    """Whether a missing bucket can be told from a missing object."""

    @pytest.fixture
    @abstractmethod
    def base(self) -> Location:
        """An empty folder or bucket."""

    @pytest.fixture
    def store(self, base: Location) -> Store:
        return open_store(base)

    # Behind the store's back.

    @abstractmethod
    def put(self, location: Location, data: bytes) -> None: ...

    @abstractmethod
    def objects(self, base: Location) -> Mapping[str, bytes]:
        """Every object below ``base``, temporary ones included."""

    @abstractmethod
    def uploads(self, base: Location) -> Sequence[str]:
        """Uploads that have begun and not ended, where they can be listed."""

    # Looking.

    def test_head(self, store: Store, base: Location) -> None:
        self.put(base.join("object"), b"hello")
        assert store.head(base.join("object")).size == 5

    @pytest.mark.parametrize("key", ["absent", "folder", "folder/object/below"])
    def test_head_of_what_is_no_object(self, store: Store, base: Location, key: str) -> None:
        self.put(base.join("folder/object"), b"hello")
        with pytest.raises(ModelNotFoundError) as caught:
            store.head(base.join(key))
        assert caught.value.where == str(base.join(key)) or base.is_local

    # Reading.

    @pytest.mark.parametrize(
        ("start", "stop"),
        [(0, 10), (0, 1), (9, 10), (3, 7), (3, 100), (10, 11), (11, 12), (1000, 2000), (5, 5),
         (7, 3)],
    )  # fmt: skip
    def test_read(self, store: Store, base: Location, start: int, stop: int) -> None:
        self.put(base.join("object"), b"0123456789")
        assert store.read(base.join("object"), start, stop) == b"0123456789"[start:stop]

    @pytest.mark.parametrize(("start", "stop"), [(0, 1), (5, 9)])
    def test_read_of_an_empty_object(
        self, store: Store, base: Location, start: int, stop: int
    ) -> None:
        self.put(base.join("empty"), b"")
        assert store.read(base.join("empty"), start, stop) == b""

    @pytest.mark.parametrize("key", ["absent", "folder", "absent/object", "folder/object/below"])
    def test_read_of_what_is_no_object(self, store: Store, base: Location, key: str) -> None:
        self.put(base.join("folder/object"), b"hello")
        with pytest.raises(ModelNotFoundError):
            store.read(base.join(key), 0, 1)

    @pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB])
    def test_read_all(self, store: Store, base: Location, size: int) -> None:
        self.put(base.join("object"), RANDOM[:size])
        assert read_all(store, base.join("object"), limit=3 * MIB) == RANDOM[:size]

    def test_read_all_refuses_what_is_too_large(self, store: Store, base: Location) -> None:
        self.put(base.join("object"), RANDOM[: 9 * MIB])
        with pytest.raises(IntegrityError, match="too large"):
            read_all(store, base.join("object"), limit=2 * MIB)

    def test_read_chunks(self, store: Store, base: Location) -> None:
        self.put(base.join("object"), RANDOM)
        assert b"".join(read_chunks(store, base.join("object"), len(RANDOM))) == RANDOM

    @pytest.mark.parametrize("missing", [1, LARGE - 5, LARGE])
    def test_read_chunks_of_a_shorter_object(
        self, store: Store, base: Location, missing: int
    ) -> None:
        self.put(base.join("object"), RANDOM[: LARGE - missing])
        with pytest.raises(IntegrityError, match="shorter"):
            list(read_chunks(store, base.join("object"), LARGE))
        with pytest.raises(IntegrityError):  # and no list of its 2^39 requests
            list(read_chunks(store, base.join("object"), 2**62))

    @pytest.mark.parametrize("size", [0, 1])
    def test_read_chunks_of_a_missing_object(self, store: Store, base: Location, size: int) -> None:
        with pytest.raises(ModelNotFoundError):
            list(read_chunks(store, base.join("absent"), size))

    def test_read_chunks_of_an_empty_object(self, store: Store, base: Location) -> None:
        self.put(base.join("empty"), b"")
        assert list(read_chunks(store, base.join("empty"), 0)) == []

    def test_reader_seeks(self, store: Store, base: Location) -> None:
        self.put(base.join("object"), RANDOM[: 2 * MIB])
        with open_reader(store, base.join("object"), 2 * MIB) as file:
            assert file.read(3) == RANDOM[:3]
            file.seek(MIB)
            assert file.read(MIB) == RANDOM[MIB : 2 * MIB]
            assert file.read(1) == b""
            file.seek(-4, os.SEEK_END)
            assert file.read() == RANDOM[2 * MIB - 4 : 2 * MIB]

    # Etags.

    def replace(self, location: Location, data: bytes) -> None:
        """Put other bytes into the place of an object, as somebody else would."""
        self.put(location, data)

    def test_an_etag_stays_with_the_bytes(self, store: Store, base: Location) -> None:
        self.put(base.join("folder/object"), b"0123456789")
        etag = store.head(base.join("folder/object")).etag
        assert etag
        assert store.read(base.join("folder/object"), 2, 4) == b"23"
        assert store.head(base.join("folder/object")).etag == etag
        assert store.list(base.join("folder"))["object"].etag == etag
        assert store.list_names(base.join("folder"), "o")["object"].etag == etag

    def test_other_bytes_have_another_etag(self, store: Store, base: Location) -> None:
        """Of equal length, and written at once."""
        self.put(base.join("object"), b"first")
        seen = set()
        for number in range(10):
            self.replace(base.join("object"), f"{number:5}".encode())
            seen.add(store.head(base.join("object")).etag)
        assert len(seen) == 10

    @pytest.mark.parametrize("size", [0, 5, LARGE])
    @pytest.mark.parametrize("if_absent", [False, True])
    def test_a_commit_tells_the_etag(
        self, store: Store, base: Location, size: int, *, if_absent: bool
    ) -> None:
        committed = commit(store, base.join("object"), RANDOM[:size], if_absent=if_absent)
        found = store.head(base.join("object")).etag
        assert committed.etag == (found if self.tells_etags else None)
        assert committed.notices_damage is not (self.tells_etags and base.is_local)
        again = commit(store, base.join("object"), b"x" * size)
        assert again.etag is None or again.etag != committed.etag or size == 0

    @pytest.mark.parametrize(("start", "stop"), [(0, 10), (3, 7), (3, 100), (10, 11), (1000, 2000)])
    def test_pinned_read(self, store: Store, base: Location, start: int, stop: int) -> None:
        location = base.join("object")
        self.put(location, b"0123456789")
        etag = store.head(location).etag
        assert store.read(location, start, stop, etag=etag) == b"0123456789"[start:stop]
        self.replace(location, b"abcdefghij")
        with pytest.raises(IntegrityError, match=r"replaced .* Open the model again") as caught:
            store.read(location, start, stop, etag=etag)
        assert caught.value.where == str(location)
        self.replace(location, b"longer than it was")
        with pytest.raises(IntegrityError, match="replaced"):
            store.read(location, start, stop, etag=etag)
        store.delete(location)
        with pytest.raises(ModelNotFoundError):
            store.read(location, start, stop, etag=etag)

    def test_pinned_chunks(self, store: Store, base: Location) -> None:
        location = base.join("object")
        self.put(location, RANDOM)
        etag = store.head(location).etag
        assert b"".join(read_chunks(store, location, len(RANDOM), etag=etag)) == RANDOM
        self.replace(location, RANDOM[::-1])
        with pytest.raises(IntegrityError, match="replaced"):
            list(read_chunks(store, location, len(RANDOM), etag=etag))
        self.replace(location, b"")
        with pytest.raises(IntegrityError, match="replaced"):
            list(read_chunks(store, location, 0, etag=etag))

    def test_a_pinned_reader(self, store: Store, base: Location) -> None:
        location = base.join("object")
        self.put(location, RANDOM[: 2 * MIB])
        etag = store.head(location).etag
        with open_reader(store, location, 2 * MIB, etag=etag) as file:
            assert file.read(3) == RANDOM[:3]
            self.replace(location, RANDOM[: 2 * MIB][::-1])
            file.seek(MIB)
            with pytest.raises(IntegrityError, match="replaced"):
                file.read(3)

    @pytest.mark.parametrize("size", [0, 5, LARGE])
    def test_read_whole(self, store: Store, base: Location, size: int) -> None:
        location = base.join("object")
        publish(store, location, RANDOM[:size])
        data, info = store.read_whole(location, limit=LARGE)
        assert data == RANDOM[:size]
        assert info == store.head(location)

    def test_read_whole_of_what_is_too_large_or_absent(self, store: Store, base: Location) -> None:
        location = base.join("object")
        with pytest.raises(ModelNotFoundError):
            store.read_whole(location, limit=10)
        self.put(location, b"12345678901")
        with pytest.raises(IntegrityError, match=r"too large .*at most 10 bytes") as caught:
            store.read_whole(location, limit=10)
        assert caught.value.where == str(location)
        assert store.read_whole(location, limit=11)[0] == b"12345678901"

    # Compare and swap.

    @pytest.mark.parametrize("size", [0, 5, 2 * MIB])
    def test_if_match_replaces_what_it_names(self, store: Store, base: Location, size: int) -> None:
        location = base.join("object")
        etag = commit(store, location, b"old").etag
        assert etag is not None or not self.tells_etags
        made = swap(store, location, RANDOM[:size], store.head(location).etag)
        assert self.objects(base) == {"object": RANDOM[:size]}
        swap(store, location, b"once more", made.etag)
        assert self.objects(base) == {"object": b"once more"}

    @pytest.mark.parametrize("size", [0, 5, 2 * MIB])
    def test_if_match_refuses_another_object(self, store: Store, base: Location, size: int) -> None:
        location = base.join("object")
        commit(store, location, b"old")
        etag = store.head(location).etag
        commit(store, location, b"another")
        with pytest.raises(ConflictError, match="another writer") as caught:
            swap(store, location, RANDOM[:size], etag)
        assert caught.value.where == str(location)
        assert self.objects(base) == {"object": b"another"}
        store.delete(location)
        with pytest.raises(ConflictError, match="another writer"):
            swap(store, location, RANDOM[:size], etag)
        assert self.objects(base) == {}

    def test_one_of_several_swaps_wins(self, store: Store, base: Location) -> None:
        if self.blind_to_races:
            skip_blind_spot(self.blind_to_races)
        location = base.join("object")
        commit(store, location, b"0")
        etag = store.head(location).etag
        for number in range(20):
            barrier = Barrier(4)
            write = partial(swap_at_once, store, location, etag, barrier)
            contents = [f"{number}-{writer}".encode() for writer in range(4)]
            with ThreadPoolExecutor(4) as pool:
                (winner,) = filter(None, pool.map(write, contents))
            assert winner.etag == store.head(location).etag
            etag = winner.etag

    # The writer.

    @pytest.mark.parametrize("size", [0, 5, LARGE])
    @pytest.mark.parametrize("if_absent", [False, True])
    def test_the_writer_is_told(
        self, store: Store, base: Location, size: int, *, if_absent: bool
    ) -> None:
        location = base.join("object")
        writers = []
        for number in range(2):
            staged = store.stage(location.with_suffix(str(number)), size, if_absent=if_absent)
            for chunk in cut(RANDOM[:size]):
                staged.write(chunk)
            staged.commit()
            found = store.head(location.with_suffix(str(number)))
            assert found.writer == staged.writer
            writers.append(staged.writer)
        if store.may_lose_answers and self.tells_etags:
            assert None not in writers
            assert len(set(writers)) == 2
        self.put(base.join("by others"), b"x")
        assert store.head(base.join("by others")).writer is None

    # Listing.

    def test_list(self, store: Store, base: Location) -> None:
        for key in ("model/a", "model/folder/b", "model/folder/c/d", "model2/e", "modelf", "f"):
            self.put(base.join(key), key.encode())
        assert sizes(store.list(base.join("model"))) == {"a": 7, "folder/b": 14, "folder/c/d": 16}

    def test_list_of_an_absent_folder(self, store: Store, base: Location) -> None:
        self.put(base.join("absent2/object"), b"")
        assert store.list(base.join("absent")) == {}

    def test_list_of_an_object(self, store: Store, base: Location) -> None:
        self.put(base.join("object"), b"hello")
        assert store.list(base.join("object")) == {}

    def test_list_names(self, store: Store, base: Location) -> None:
        for key in ("run/ckpt.index", "run/ckpt.data-0", "run/ckpt/x", "run/other", "ckpt.far"):
            self.put(base.join(key), key.encode())
        found = store.list_names(base.join("run"), "ckpt")
        assert sizes(found) == {"ckpt.index": 14, "ckpt.data-0": 15}

    def test_list_names_of_an_absent_folder(self, store: Store, base: Location) -> None:
        assert store.list_names(base.join("absent"), "a") == {}

    def test_what_was_just_listed_is_not_remembered(self, store: Store, base: Location) -> None:
        assert sizes(store.list(base.join("folder"))) == {}
        self.put(base.join("folder/object"), b"hello")
        assert sizes(store.list(base.join("folder"))) == {"object": 5}
        assert sizes(store.list_names(base.join("folder"), "o")) == {"object": 5}

    # Deleting.

    def test_delete(self, store: Store, base: Location) -> None:
        self.put(base.join("object"), b"hello")
        self.put(base.join("object2"), b"stays")
        store.delete(base.join("object"))
        assert self.objects(base) == {"object2": b"stays"}

    def test_delete_twice(self, store: Store, base: Location) -> None:
        self.put(base.join("object"), b"hello")
        store.delete(base.join("object"))
        store.delete(base.join("object"))
        store.delete(base.join("absent/folder/object"))
        assert self.objects(base) == {}

    # Writing.

    @pytest.mark.parametrize(
        "size", [0, 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 16 * MIB, 17 * MIB + 3]
    )
    def test_write(self, store: Store, base: Location, size: int) -> None:
        publish(store, base.join("object"), RANDOM[:size])
        assert self.objects(base) == {"object": RANDOM[:size]}
        assert self.uploads(base) == []

    def test_write_from_buffers_that_are_reused(self, store: Store, base: Location) -> None:
        def chunks() -> Iterable[memoryview]:
            buffer = bytearray(MIB)
            for start in range(0, 9 * MIB, MIB):
                buffer[:] = RANDOM[start : start + MIB]
                yield memoryview(buffer)

        with Publication(store) as publication:
            publication.stage(base.join("object"), 9 * MIB, chunks())
            publication.commit(lambda _location, _version: None)
        assert self.objects(base) == {"object": RANDOM[: 9 * MIB]}

    @pytest.mark.parametrize("size", [0, 5, LARGE])
    def test_nothing_is_visible_before_the_commit(
        self, store: Store, base: Location, size: int
    ) -> None:
        location = base.join("object")
        with Publication(store) as publication:
            publication.stage(location, size, cut(RANDOM[:size]))
            assert "object" not in self.objects(base)
            assert store.list(base) == {}
            assert store.list_names(base, "") == {}
            with pytest.raises(ModelNotFoundError):
                store.read(location, 0, 1)
        assert self.objects(base) == {}
        assert self.uploads(base) == []

    @pytest.mark.parametrize("size", [0, 5, LARGE])
    def test_old_bytes_stay_until_the_commit(self, store: Store, base: Location, size: int) -> None:
        location = base.join("object")
        self.put(location, b"old")
        with Publication(store) as publication:
            publication.stage(location, size, cut(RANDOM[:size]))
            assert self.objects(base)["object"] == b"old"
        assert self.objects(base) == {"object": b"old"}
        publish(store, location, RANDOM[:size])
        assert self.objects(base) == {"object": RANDOM[:size]}

    def test_discarding_twice_is_no_error(self, store: Store, base: Location) -> None:
        staged = store.stage(base.join("object"), LARGE)
        for chunk in cut(RANDOM[:LARGE]):
            staged.write(chunk)
        staged.discard()
        staged.discard()
        assert self.objects(base) == {}
        assert self.uploads(base) == []

    @pytest.mark.parametrize("size", [5, LARGE])
    @pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
    def test_a_failed_block_leaves_nothing(
        self, store: Store, base: Location, size: int, kind: type[BaseException]
    ) -> None:
        with pytest.raises(kind), Publication(store) as publication:  # noqa: PT012 - the point
            publication.stage(base.join("first"), size, cut(RANDOM[:size]))
            publication.stage(base.join("second"), 3, [b"abc"])
            raise kind
        assert self.objects(base) == {}
        assert self.uploads(base) == []

    @pytest.mark.parametrize("size", [3, LARGE])
    def test_a_failure_of_the_source_leaves_nothing_and_is_its_own(
        self, store: Store, base: Location, size: int
    ) -> None:
        def chunks() -> Iterable[bytes]:
            yield RANDOM[: size - 1]
            raise FileNotFoundError(2, "the source has vanished")

        with (
            pytest.raises(FileNotFoundError, match="source") as caught,
            Publication(store) as publication,
        ):
            publication.stage(base.join("object"), size, chunks())
        assert not isinstance(caught.value, StorageError)
        assert self.objects(base) == {}
        assert self.uploads(base) == []

    @pytest.mark.parametrize(
        ("said", "sent"),
        [(4, 5), (6, 5), (0, 1), (1, 0), (LARGE, 5), (LARGE, LARGE + 1), (5, LARGE)],
    )
    def test_another_size_than_announced_is_refused(
        self, store: Store, base: Location, said: int, sent: int
    ) -> None:
        self.put(base.join("object"), b"old")
        with (
            pytest.raises(IntegrityError, match="changed while it was read"),
            Publication(store) as publication,
        ):
            publication.stage(base.join("object"), said, cut(RANDOM[:sent]))
        assert self.objects(base) == {"object": b"old"}
        assert self.uploads(base) == []

    def test_files_are_committed_in_order(self, store: Store, base: Location) -> None:
        seen: list[tuple[str, set[str]]] = []
        with Publication(store) as publication:
            for name in ("b", "a", "c"):
                publication.stage(base.join(name), 1, [b"x"])
            publication.commit(
                lambda location, _: seen.append(
                    (location.name, set(self.objects(base)) & {"a", "b", "c"})
                )
            )
        assert seen == [("b", {"b"}), ("a", {"a", "b"}), ("c", {"a", "b", "c"})]

    # Exclusive creation.

    @pytest.mark.parametrize("size", [0, 5, LARGE])
    def test_if_absent_creates(self, store: Store, base: Location, size: int) -> None:
        publish(store, base.join("object"), RANDOM[:size], if_absent=True)
        assert self.objects(base) == {"object": RANDOM[:size]}

    @pytest.mark.parametrize("size", [0, 5, LARGE])
    @pytest.mark.parametrize("old", [b"old", b""], ids=["some bytes", "empty"])
    def test_if_absent_refuses(self, store: Store, base: Location, size: int, old: bytes) -> None:
        if size > 8 * MIB and self.blind_to_large_if_absent:
            skip_blind_spot(self.blind_to_large_if_absent)
        self.put(base.join("object"), old)
        with pytest.raises(ModelExistsError) as caught:
            publish(store, base.join("object"), RANDOM[:size], if_absent=True)
        assert caught.value.where == str(base.join("object"))
        assert self.objects(base) == {"object": old}
        assert self.uploads(base) == []

    @pytest.mark.parametrize("size", [5, LARGE])
    def test_if_absent_refuses_at_the_commit(self, store: Store, base: Location, size: int) -> None:
        if size > 8 * MIB and self.blind_to_large_if_absent:
            skip_blind_spot(self.blind_to_large_if_absent)
        with Publication(store, if_absent=True) as publication:
            publication.stage(base.join("object"), size, cut(RANDOM[:size]))
            self.put(base.join("object"), b"came between")
            with pytest.raises(ModelExistsError):
                publication.commit(lambda _location, _version: None)
        assert self.objects(base) == {"object": b"came between"}
        assert self.uploads(base) == []

    @pytest.mark.parametrize("size", [16, LARGE])
    def test_one_of_several_writers_wins(self, store: Store, base: Location, size: int) -> None:
        blind = self.blind_to_races
        if size > 8 * MIB:
            blind = blind or self.blind_to_large_if_absent or self.blind_to_large_races
        if blind:
            skip_blind_spot(blind)
        # Where a round costs nothing there are many: a gap may be narrow.
        rounds = 100 if size < MIB and base.protocol in ("file", "memory") else 1
        for number in range(rounds):
            location = base.join(f"object-{number}")
            (winner,) = race(store, location, size, writers=8 if rounds > 1 else 4)
            assert int(store.read(location, size - 16, size)) == winner
        assert len(self.objects(base)) == rounds
        assert self.uploads(base) == []

    def test_writers_and_readers_at_once(self, store: Store, base: Location) -> None:
        def write_and_read(number: int) -> bytes:
            location = base.join(f"object-{number}")
            publish(store, location, bytes([number]) * 1000)
            return bytes(store.read(location, 10, 20))

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(write_and_read, range(24)))
        assert found == [bytes([number]) * 10 for number in range(24)]

    # Names.

    def test_names(self, store: Store, base: Location) -> None:
        # In one test, because each needs ten requests.
        for number, name in enumerate(NAMES):
            folder = base.join(f"folder-{number}")
            store.make_directory(folder)
            location = Location.parse(f"{folder.url}/{name}", base.storage_options)
            publish(store, location, b"hello")
            assert self.objects(folder) == {name: b"hello"}
            assert store.head(location).size == 5
            assert store.read(location, 1, 3) == b"el"
            assert sizes(store.list(folder)) == {name: 5}
            assert sizes(store.list_names(folder, name)) == {name: 5}
            with pytest.raises(ModelExistsError):
                publish(store, location, b"other", if_absent=True)
            store.delete(location)
            assert self.objects(folder) == {}

    def test_large_objects_of_any_name(self, store: Store, base: Location) -> None:
        name = "ä {0} %20+#?.bin"
        publish(store, base.join(name), RANDOM[: 9 * MIB])
        assert self.objects(base) == {name: RANDOM[: 9 * MIB]}

    def test_names_that_only_differ_in_their_encoding(self, store: Store, base: Location) -> None:
        for name in ("a b", "a%20b", "a+b", "a%2520b"):
            publish(store, base.join(name), name.encode())
        assert self.objects(base) == {
            name: name.encode() for name in ("a b", "a%20b", "a+b", "a%2520b")
        }

    def test_two_slashes_are_not_one(self, store: Store, base: Location) -> None:
        if self.merges_slashes:
            skip_blind_spot(self.merges_slashes)
        publish(store, base.join("a//b"), b"two")
        publish(store, base.join("a/b"), b"one")
        assert self.objects(base) == {"a//b": b"two", "a/b": b"one"}
        inside, around = store.list(base.join("a")), store.list(base)
        assert sizes(inside) == {"b": 3, "/b": 3} or sizes(around) == {"a//b": 3, "a/b": 3}
        assert store.read(base.join("a//b").parent.join("b"), 0, 3) == b"two"

    # Folders.

    def test_directories_come_and_go(self, store: Store, base: Location) -> None:
        folder = base.join("folder")
        with Publication(store) as publication:
            publication.make_directory(folder)
            publication.make_directory(folder.join("inner"))
            publication.stage(folder.join("inner/object"), 1, [b"x"])
        assert not store.make_directory(folder) or self.objects(base) == {}
        store.remove_directory(folder)
        store.remove_directory(folder)
        assert self.objects(base) == {}

    def test_a_directory_with_something_in_it_stays(self, store: Store, base: Location) -> None:
        store.make_directory(base.join("folder"))
        self.put(base.join("folder/object"), b"hello")
        assert not store.make_directory(base.join("folder"))
        store.remove_directory(base.join("folder"))
        assert self.objects(base) == {"folder/object": b"hello"}

    # Missing buckets.

    @pytest.mark.parametrize(
        "act",
        [
            lambda store, location: store.read(location, 0, 1),
            lambda store, location: store.head(location),
            lambda store, location: publish(store, location, b"x"),
            lambda store, location: publish(store, location, RANDOM[: 9 * MIB], if_absent=True),
        ],
        ids=["read", "head", "write", "write large"],
    )
    def test_missing_bucket(
        self, store: Store, base: Location, act: Callable[[Store, Location], object]
    ) -> None:
        if not self.names_buckets:
            pytest.skip("this store has no buckets that could be missing")
        location = in_missing_bucket(base)
        with pytest.raises(ModelNotFoundError) as caught:
            act(store, location)
        # S3 answers HEAD without a body: nothing tells a bucket from an object.
        is_head = base.protocol == "s3" and not isinstance(caught.value, BucketNotFoundError)
        assert isinstance(caught.value, BucketNotFoundError) or is_head
        assert "that-nobody-made" in str(caught.value)

    def test_missing_bucket_of_an_object_to_read(self, store: Store, base: Location) -> None:
        if not self.names_buckets:
            pytest.skip("this store has no buckets that could be missing")
        location = in_missing_bucket(base)
        with pytest.raises(BucketNotFoundError, match="does not exist"):
            store.read(location, 0, 1)


class LocalConformance(StoreConformance):
    merges_slashes = "POSIX: several slashes are one"

    def replace(self, location: Location, data: bytes) -> None:
        """In place, which only the times tell; they follow the ticks of a clock."""
        before = time.clock_gettime_ns(COARSE_CLOCK)
        while time.clock_gettime_ns(COARSE_CLOCK) == before:
            time.sleep(0.001)
        self.put(location, data)

    @pytest.fixture
    def base(self, local_base: Location) -> Location:
        return local_base

    def put(self, location: Location, data: bytes) -> None:
        path = Path(location.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def objects(self, base: Location) -> Mapping[str, bytes]:
        root = Path(base.path)
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file() and not path.name.endswith(".remote-models-staging")
        }

    def uploads(self, base: Location) -> Sequence[str]:
        return [str(path) for path in Path(base.path).rglob("*.remote-models-staging")]


class TestAnyFileSystem(LocalConformance):
    """What the port promises of a file system that it knows nothing of."""

    tells_etags = False
    blind_to_races = "fsspec has no exclusive creation that every file system keeps"
    names_buckets = False

    @pytest.fixture
    def store(self, base: Location) -> Store:
        return Store(fsspec.filesystem("file", auto_mkdir=True))


class TestLocalStore(LocalConformance):
    def test_a_file_that_gets_its_old_time_back_is_another(
        self, store: Store, base: Location
    ) -> None:
        location = base.join("object")
        self.put(location, b"whole")
        before, status = store.head(location), os.stat(location.path)
        self.replace(location, b"DaMaG")
        os.utime(location.path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert os.stat(location.path).st_mtime_ns == status.st_mtime_ns
        assert store.head(location).size == before.size
        assert store.head(location).etag != before.etag

    def test_folders_of_a_failed_publication_go(self, store: Store, base: Location) -> None:
        (Path(base.path) / "mine").mkdir()
        with Publication(store) as publication:
            for path in ("mine", "mine/a", "new", "new/b"):
                publication.make_directory(base.join(path))
            publication.stage(base.join("new/b/object"), 1, [b"x"])
        assert sorted(os.listdir(base.path)) == ["mine"]
        assert os.listdir(f"{base.path}/mine") == []

    def test_one_of_several_makes_a_directory(self, store: Store, base: Location) -> None:
        barrier = Barrier(8)

        def make(_: int) -> bool:
            barrier.wait(10)
            return store.make_directory(base.join("folder"))

        for _ in range(20):
            with ThreadPoolExecutor(8) as pool:
                assert sum(pool.map(make, range(8))) == 1
            store.remove_directory(base.join("folder"))

    def test_permissions_are_those_of_any_new_file(self, store: Store, base: Location) -> None:
        (Path(base.path) / "other").write_bytes(b"")
        publish(store, base.join("object"), b"hello")
        publish(store, base.join("exclusive"), b"hello", if_absent=True)
        modes = {name: os.stat(f"{base.path}/{name}").st_mode for name in os.listdir(base.path)}
        assert modes["object"] == modes["exclusive"] == modes["other"]

    def test_symbolic_links_are_followed(self, store: Store, base: Location) -> None:
        (Path(base.path) / "real").write_bytes(b"hello")
        (Path(base.path) / "link").symlink_to("real")
        assert store.read(base.join("link"), 0, 9) == b"hello"
        assert sizes(store.list_names(base, "link")) == {"link": 5}

    def test_a_dangling_link_is_no_object(self, store: Store, base: Location) -> None:
        (Path(base.path) / "link").symlink_to("absent")
        assert store.list_names(base, "link") == {}
        with pytest.raises(ModelNotFoundError):
            store.head(base.join("link"))


class TestMemoryStore(StoreConformance):
    names_buckets = False

    @pytest.fixture
    def base(self, memory_base: Location) -> Location:
        return memory_base

    def put(self, location: Location, data: bytes) -> None:
        MemoryFileSystem().pipe_file(f"/{location.path}", data)

    def objects(self, base: Location) -> Mapping[str, bytes]:
        root = f"/{base.path}/"
        return {
            path.removeprefix(root): file.getvalue()
            for path, file in MemoryFileSystem.store.items()
            if path.startswith(root)
        }

    def uploads(self, base: Location) -> Sequence[str]:
        return []

    def test_one_writer_wins_though_looking_takes_time(
        self, store: Store, base: Location, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A look before a leap would let all of them leap."""

        class SlowToLookAt(dict[str, Any]):
            def __contains__(self, key: object) -> bool:
                found = super().__contains__(key)
                time.sleep(0.01)
                return found

        monkeypatch.setattr(MemoryFileSystem, "store", SlowToLookAt())
        assert len(race(store, base.join("object"), 16, writers=4)) == 1

    def test_a_folder_in_the_way_is_named(self, store: Store, base: Location) -> None:
        store.make_directory(base.join("folder"))
        with pytest.raises(ModelExistsError, match="folder"):
            publish(store, base.join("folder"), b"hello")


class BucketConformance(StoreConformance):
    """What holds of object stores, inspected through plain fsspec."""

    @staticmethod
    def filesystem(location: Location) -> Any:
        options = {**location.storage_options, "use_listings_cache": False}
        return fsspec.filesystem(location.protocol, **options)

    def put(self, location: Location, data: bytes) -> None:
        self.filesystem(location).pipe_file(location.path, data)

    def objects(self, base: Location) -> Mapping[str, bytes]:
        filesystem = self.filesystem(base)
        return {
            path[len(base.path) + 1 :]: filesystem.cat_file(path)
            for path in filesystem.find(base.path)
            # s3fs finds a folder that SeaweedFS keeps when it is empty.
            if path.startswith(f"{base.path}/")
        }


class S3Conformance(BucketConformance):
    def uploads(self, base: Location) -> Sequence[str]:
        return [upload["Key"] for upload in self.list_uploads(base)]

    def list_uploads(self, base: Location) -> Sequence[Mapping[str, Any]]:
        bucket, _, prefix = base.path.partition("/")
        found = self.filesystem(base).call_s3(
            "list_multipart_uploads", Bucket=bucket, Prefix=f"{prefix}/"
        )
        uploads: Sequence[Mapping[str, Any]] = found.get("Uploads", [])
        return uploads

    def wait_for_upload(self, base: Location) -> Mapping[str, Any]:
        """Return the only upload under way; it may have begun in another thread."""
        deadline = time.monotonic() + 30
        while not (found := self.list_uploads(base)) and time.monotonic() < deadline:
            time.sleep(0.05)
        (upload,) = found
        return upload

    def test_an_upload_under_way_can_be_seen_here(self, store: Store, base: Location) -> None:
        """The other tests rely on `uploads` to find what a discard forgot."""
        with Publication(store) as publication:
            publication.stage(base.join("object"), LARGE, cut(RANDOM[:LARGE]))
            key = self.wait_for_upload(base)["Key"]
            assert key.endswith("/object")


class TestSeaweedFS(S3Conformance):
    blind_to_large_races = (
        "SeaweedFS completes a multipart upload after it has looked, not while: on a busy "
        "machine two of three writers came through in 4 of 60 rounds"
    )
    merges_slashes = "SeaweedFS: its filer has folders, in which several slashes are one"

    @pytest.fixture
    def base(self, s3_base: Location) -> Location:
        return s3_base

    def test_an_upload_that_is_gone_already_is_discarded(
        self, store: Store, base: Location
    ) -> None:
        """Not on moto, whose answer is error 500."""
        with Publication(store) as publication:
            publication.stage(base.join("object"), LARGE, cut(RANDOM[:LARGE]))
            upload = self.wait_for_upload(base)
            self.filesystem(base).call_s3(
                "abort_multipart_upload",
                Bucket=base.path.partition("/")[0],
                Key=upload["Key"],
                UploadId=upload["UploadId"],
            )
        assert self.uploads(base) == []


class TestMoto(S3Conformance):
    blind_to_races = "moto looks for the object and then writes it, in threads"

    @pytest.fixture
    def base(self, moto_base: Location) -> Location:
        return moto_base


class TestMinistack(S3Conformance):
    @pytest.fixture
    def base(self, ministack_base: Location) -> Location:
        return ministack_base


class TestGCS(BucketConformance):
    blind_to_large_if_absent = (
        "fake-gcs-server ignores ifGenerationMatch in resumable uploads (see test_gcs.py)"
    )

    @pytest.fixture
    def base(self, gcs_base: Location) -> Location:
        return gcs_base

    def put(self, location: Location, data: bytes) -> None:
        """As one plain request: aiohttp warns of the way in which gcsfs' pipe_file sends."""
        bucket, _, key = location.path.partition("/")
        root = location.storage_options["endpoint_url"]
        query = urlencode({"uploadType": "media", "name": key})
        url = f"{root}/upload/storage/v1/b/{bucket}/o?{query}"
        with urlopen(Request(url, data, method="POST")) as reply:
            assert reply.status == 200

    def uploads(self, base: Location) -> Sequence[str]:
        return []  # GCS lists no resumable uploads (see test_gcs.py)


if "REMOTE_MODELS_TEST_S3_URL" in os.environ:

    @pytest.mark.parametrize("cloud_base", ["REMOTE_MODELS_TEST_S3_URL"], indirect=True)
    class TestRealS3(S3Conformance):
        """``REMOTE_MODELS_TEST_S3_URL=s3://bucket/prefix``, with credentials as boto finds them."""

        @pytest.fixture
        def base(self, cloud_base: Location) -> Location:
            return cloud_base


if "REMOTE_MODELS_TEST_GCS_URL" in os.environ:

    @pytest.mark.parametrize("cloud_base", ["REMOTE_MODELS_TEST_GCS_URL"], indirect=True)
    class TestRealGCS(TestGCS):
        """``REMOTE_MODELS_TEST_GCS_URL=gs://bucket/prefix``, with Google's own credentials."""

        blind_to_large_if_absent = ""

        @pytest.fixture
        def base(self, cloud_base: Location) -> Location:
            return cloud_base

        def put(self, location: Location, data: bytes) -> None:
            BucketConformance.put(self, location, data)


class TestVersions:
    """Buckets that keep versions, on each server in turn."""

    @pytest.fixture
    def store(self, versioned_base: Location) -> Store:
        return open_store(versioned_base)

    @pytest.mark.parametrize("size", [5, LARGE])
    def test_an_overwritten_version_can_be_read(
        self, store: Store, versioned_base: Location, size: int
    ) -> None:
        location = versioned_base.join("object")
        first = publish(store, location, RANDOM[:size])
        second = publish(store, location, b"second")
        assert first
        assert second
        assert first != second
        assert b"".join(read_chunks(store, location, size, version=first)) == RANDOM[:size]
        assert store.read(location, 0, 9, version=second) == b"second"
        assert store.read(location, 0, 9) == b"second"
        assert store.head(location).version == second
        assert store.head(location, version=first).size == size

    def test_a_deleted_version_can_be_read(self, store: Store, versioned_base: Location) -> None:
        location = versioned_base.join("object")
        first = publish(store, location, b"first")
        store.delete(location)
        with pytest.raises(ModelNotFoundError):
            store.read(location, 0, 9)
        assert store.read(location, 0, 9, version=first) == b"first"

    def test_an_empty_version_is_seen(self, store: Store, versioned_base: Location) -> None:
        location = versioned_base.join("empty")
        first = publish(store, location, b"")
        store.delete(location)
        assert list(read_chunks(store, location, 0, version=first)) == []
        with pytest.raises(ModelNotFoundError):
            list(read_chunks(store, location, 0))

    def test_if_absent_after_a_deletion(self, store: Store, versioned_base: Location) -> None:
        location = versioned_base.join("object")
        publish(store, location, b"first")
        store.delete(location)
        publish(store, location, b"second", if_absent=True)
        assert store.read(location, 0, 9) == b"second"

    def test_an_unknown_version_is_not_found(self, store: Store, versioned_base: Location) -> None:
        location = versioned_base.join("object")
        first = publish(store, location, b"first")
        unknown = str(int(first) + 1) if versioned_base.protocol == "gs" else "0" * len(first)
        with pytest.raises(StorageError):
            store.read(location, 0, 9, version=unknown)


@pytest.mark.parametrize(
    "base_fixture", ["s3_base", "moto_base", "ministack_base", "local_base", "memory_base"]
)
def test_without_versions_there_is_none(request: pytest.FixtureRequest, base_fixture: str) -> None:
    base: Location = request.getfixturevalue(base_fixture)
    store = open_store(base)
    assert publish(store, base.join("object"), b"hello") is None
    assert store.head(base.join("object")).version is None
