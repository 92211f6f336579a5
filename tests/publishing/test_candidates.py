"""Lazy reads while a save is under way, or was cut short: of the artifact that is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

import numpy as np
import pytest

from publishing.faults import Fault, FaultyStore, Killed, Plan
from publishing.test_unchanged import artifact
from remote_models.errors import IntegrityError
from remote_models.manifest import Layout, StoredManifest
from remote_models.publishing import Artifact, publish
from remote_models.remote_model import RemoteModel, manifest_location, read_stored_manifest
from remote_models.storage import Location, Publication, open_store
from remote_models.testing import Emulator

PLACES = ((100, 300_000), (300_200, 400_000))

MOST_POINTS = 60


class Buckets(Protocol):
    """What the fixture of that name is."""

    def prefix(self, emulator: Emulator, *, versioning: bool = False) -> Location: ...


def weights(version: str) -> bytes:
    """Bytes of which the first tensor is the same in every version, but for its end."""
    data = bytearray(b"shared" * 150_000)
    mark = version.encode().ljust(16)
    data[300_000:300_016] = data[699_000:699_016] = mark
    return bytes(data)


def single_file(version: str) -> Artifact:
    return artifact({"model.h5": weights(version)}, *PLACES)


def folder(version: str) -> Artifact:
    graph = f"graph {version}".encode()
    return artifact({"saved_model.pb": graph, "model.h5": weights(version)}, *PLACES)


def seen(location: Location) -> str:
    """Return the version that lazy reads give; all of them must agree."""
    remote = RemoteModel.open(open_store(location), location)
    first, second = (np.asarray(remote.weights[f"tensor-{number}"]) for number in range(2))
    for version in ("old", "new"):
        data = np.frombuffer(weights(version), "u1")
        parts = [data[start : start + size] for start, size in PLACES]
        if np.array_equal(first, parts[0]) and np.array_equal(second, parts[1]):
            assert remote.manifest is not None
            return version
    raise AssertionError("a mixture")


@pytest.mark.parametrize("kind", ["local", "memory", "s3", "gcs"])
def test_of_a_file_the_one_that_is_there_is_read(request: pytest.FixtureRequest, kind: str) -> None:
    base: Location = request.getfixturevalue(f"{kind}_base")
    found = check_kills(base, single_file, every=1 if kind in ("local", "memory") else 3)
    assert set(found) == {"old", "new"}


@pytest.mark.parametrize("server", ["seaweed", "moto", "fake_gcs"])
@pytest.mark.parametrize("make", [single_file, folder])
def test_with_versions_the_old_one_is_always_there(
    request: pytest.FixtureRequest,
    buckets: Buckets,
    server: str,
    make: Callable[[str], Artifact],
) -> None:
    """Until the save is finished, which the manifest says."""
    base = buckets.prefix(request.getfixturevalue(server), versioning=True)
    assert set(check_kills(base, make, every=3)) == {"old"}


def check_kills(base: Location, make: Callable[[str], Artifact], *, every: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for at in range(0, MOST_POINTS, every):
        location = base.join(f"{at}").join("model.h5")
        store = open_store(location)
        store.make_directory(location.parent)
        publish(store, location, make("old"), overwrite=True)
        faulty = FaultyStore(store, Plan(Fault.KILL, at))
        try:
            publish(faulty, location, make("new"), overwrite=True)
        except Killed:
            found[seen(location)] += 1
        else:
            assert seen(location) == "new"
            break
        finally:
            faulty.release()
    print(f"{base.protocol}: killed at {found.total()} points, {dict(found)}")
    return found


@pytest.mark.parametrize("kind", ["local", "memory", "s3", "gcs"])
def test_where_none_is_there_reading_says_so(request: pytest.FixtureRequest, kind: str) -> None:
    base: Location = request.getfixturevalue(f"{kind}_base")
    location = base.join("model.h5")
    store = open_store(location)
    for version in ("old", "new"):
        publish(store, location, single_file(version), overwrite=True)
    where = manifest_location(location, Layout.FILE)
    current = read_stored_manifest(store, where, Layout.FILE).current
    assert current is not None
    pending = current.with_files(current.files)
    put(where, StoredManifest(current=current, pending=[pending]).to_bytes())
    put(location, weights("other"))
    remote = RemoteModel.open(store, location)
    with pytest.raises(IntegrityError):
        np.asarray(remote.weights["tensor-1"])
    store.delete(location)
    with pytest.raises(IntegrityError, match="missing"):
        np.asarray(RemoteModel.open(store, location).weights["tensor-1"])


def put(location: Location, data: bytes) -> None:
    with Publication(open_store(location)) as publication:
        publication.stage(location, len(data), [data])
        publication.commit(lambda _location, _committed: None)
