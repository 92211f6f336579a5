"""Saving what is the same in part: on S3 only what has changed travels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from weights.counting_proxy import CountingProxy, counting_proxy

from publishing.artifacts import load
from publishing.test_unchanged import artifact, manifest_at, put
from remote_models.manifest import Manifest
from remote_models.publishing import Base, publish
from remote_models.remote_model import RemoteModel
from remote_models.storage import Location, StoredRange, open_store
from remote_models.storage._part_plan import plan_parts, takes_any_parts
from remote_models.storage._s3_staging import S3StagedFile, _holds
from remote_models.testing import Emulator

MIB = 1024 * 1024

SIZES = (6 * MIB, 1 * MIB, 6 * MIB, 70_000)

# The plan


def stored(start: int, stop: int) -> StoredRange:
    return StoredRange(
        start=start, stop=stop, source=Location.parse("memory://a/b"), source_start=start + 7,
        etag="e", is_certain=True,
    )  # fmt: skip


@given(
    size=st.integers(1, 80 * MIB),
    cuts=st.lists(st.integers(0, 80 * MIB), max_size=12, unique=True),
    part_size=st.sampled_from([8 * MIB, 16 * MIB]),
)
def test_parts_are_what_s3_takes(size: int, cuts: list[int], part_size: int) -> None:
    cuts = sorted(min(cut, size) for cut in cuts)
    runs = [stored(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False) if a < b]
    parts = plan_parts(size, runs, part_size)
    if not parts:
        assert all(run.stop - run.start < 10 * MIB for run in runs)
        return
    assert sum(part.size for part in parts) == size
    assert all(part.size >= 5 * MIB for part in parts[:-1])
    assert all(0 < part.size < 2 * part_size for part in parts)
    position = 0
    for part in parts:
        if part.stored is not None:
            assert (part.stored.start, part.stored.stop) == (position, position + part.size)
            assert part.stored.source_start == position + 7
            assert any(run.start <= position and part.stored.stop <= run.stop for run in runs)
        position += part.size
    assert any(part.stored for part in parts)


def test_a_large_object_has_no_more_parts_than_s3_takes() -> None:
    size = 5 * 1024**4
    runs = [stored(n * size // 1500, (n + 1) * size // 1500 - MIB) for n in range(1500)]
    assert 0 < len(plan_parts(size, runs, -(-size // 10_000))) <= 10_000


def test_nothing_is_planned_where_too_little_is_the_same() -> None:
    assert plan_parts(20 * MIB, [stored(MIB, 5 * MIB)], 8 * MIB) == []
    assert plan_parts(MIB // 2, [stored(0, MIB // 2)], 8 * MIB) == []


@pytest.mark.parametrize(
    ("endpoint", "takes"),
    [
        (None, True),
        ("http://127.0.0.1:9000", True),
        ("https://1234.r2.cloudflarestorage.com", False),
        ("https://1234.eu.r2.cloudflarestorage.com/", False),
    ],
)
def test_cloudflare_wants_equal_parts(endpoint: str | None, takes: bool) -> None:
    assert takes_any_parts(endpoint) is takes


@pytest.mark.parametrize(
    ("said", "holds"),
    [
        ({"ETag": '"5d41402abc4b2a76b9719d911017c592"'}, True),
        ({"ETag": '"6d41402abc4b2a76b9719d911017c592"'}, False),
        ({"ETag": '"6d41402abc4b2a76b9719d911017c592"', "ChecksumCRC32": "NhCmhg=="}, True),
        ({"ETag": '"5d41-2"', "ChecksumCRC32": "NhCmhA=="}, False),
        ({"ETag": '"5d41-2"'}, None),
        ({}, False),
    ],
)
def test_what_a_store_says_of_a_copy(said: dict[str, str], holds: bool | None) -> None:
    assert _holds(said, b"hello") is holds


# Saves


def content(seeds: Sequence[int], gap: bytes = b"gap") -> tuple[bytes, list[tuple[int, int]]]:
    """A file of tensors with something around them, and where they lie."""
    data, places = bytearray(b"head" * 100), []
    for size, seed in zip(SIZES, seeds, strict=True):
        places.append((len(data), size))
        data += np.random.default_rng(seed).bytes(size) + gap
    return bytes(data), places


@pytest.fixture(params=["seaweed", "moto"])
def server(request: pytest.FixtureRequest) -> Emulator:
    server: Emulator = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def proxy(server: Emulator) -> Iterator[CountingProxy]:
    with counting_proxy(server.endpoint_url) as proxy:
        yield proxy


@pytest.fixture(params=["fsspec", "obstore"])
def place(
    request: pytest.FixtureRequest,
    proxy: CountingProxy,
    server: Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> Location:
    monkeypatch.setenv("REMOTE_MODELS_CLIENT", request.param)
    return Location.parse(f"{server.make_bucket()}/v1/model.h5", proxy.storage_options(server))


def save(location: Location, seeds: Sequence[int], base: Base | None = None, **gap: bytes) -> bytes:
    data, places = content(seeds, **gap)
    made = artifact({"model.h5": data}, *places)
    publish(open_store(location), location, made, overwrite=True, find_base=lambda: base)
    return data


def check(location: Location, data: bytes) -> Manifest:
    assert load(location) == {"model.h5": data}
    assert RemoteModel.open(open_store(location), location).verify().ok
    return manifest_at(location)


def test_only_what_changed_travels(place: Location, proxy: CountingProxy) -> None:
    save(place, (1, 2, 3, 4))
    for seeds, most in (((1, 2, 3, 5), 200_000), ((6, 2, 3, 5), 6.2 * MIB)):
        proxy.clear()
        data = save(place, seeds)
        assert proxy.sent < most
        check(place, data)


def test_a_version_shares_with_the_one_before(place: Location, proxy: CountingProxy) -> None:
    save(place, (1, 2, 3, 4))
    base = Base(manifest=manifest_at(place), folder=place.parent)
    second = replace(place, path=place.path.replace("/v1/", "/v2/"))
    proxy.clear()
    data = save(second, (1, 2, 3, 5), base)
    assert proxy.sent < 200_000
    check(second, data)


def test_what_lies_between_tensors_is_never_taken_on_trust(
    place: Location, proxy: CountingProxy
) -> None:
    save(place, (1, 2, 3, 4))
    proxy.clear()
    data = save(place, (1, 2, 3, 5), gap=b"GAP")
    check(place, data)
    assert proxy.sent > 6 * MIB


@pytest.mark.parametrize("how", ["replaced", "deleted"])
def test_a_base_that_is_another_one_by_now_is_not_copied(
    place: Location, proxy: CountingProxy, how: str
) -> None:
    save(place, (1, 2, 3, 4))
    base = Base(manifest=manifest_at(place), folder=place.parent)
    if how == "replaced":
        put(place, b"x" * base.manifest.total_size)
    else:
        open_store(place).delete(place)
    second = replace(place, path=place.path.replace("/v1/", "/v2/"))
    proxy.clear()
    data = save(second, (1, 2, 3, 5), base)
    assert proxy.sent > len(data)
    check(second, data)


@pytest.mark.parametrize(
    "answer",
    [PermissionError(13, "AccessDenied"), {"ETag": f'"{"0" * 32}"'}],
    ids=["denied", "other bytes"],
)
def test_a_copy_that_is_refused_or_wrong_is_sent(
    place: Location, proxy: CountingProxy, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    async def copy(*_arguments: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    save(place, (1, 2, 3, 4))
    monkeypatch.setattr(S3StagedFile, "_copy", copy)
    proxy.clear()
    data = save(place, (1, 2, 3, 5))
    assert proxy.sent > len(data)
    check(place, data)
