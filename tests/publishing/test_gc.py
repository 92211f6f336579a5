"""What killed saves have left is swept up; what was saved, and what is others', is not."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from conftest import Buckets
from resealing import resealed

import remote_models as rm
from publishing.artifacts import (
    SCRATCH,
    directory,
    expected,
    load,
    observe,
    relabelled,
    save,
    single,
    snapshot,
)
from publishing.faults import Fault, FaultyStore, Killed, Plan
from publishing.test_faults import (
    SCENARIOS,
    Scenario,
    Trial,
    base_of,
    check_next_save,
    operations,
    reaches_the_store,
    trials,
)
from remote_models import cli
from remote_models._strict_json import canonical_json
from remote_models.errors import ArgumentError, BucketNotFoundError, ConflictError, StorageError
from remote_models.manifest import Layout, StoredManifest
from remote_models.publishing import find_unfinished
from remote_models.remote_model import manifest_location
from remote_models.storage import Location, Publication, StagedFile, Store, open_store
from remote_models.testing import Emulator

pytestmark = pytest.mark.usefixtures("hasty_readers")

NOW = timedelta(0)


@pytest.fixture
def local_base() -> Iterator[Location]:
    """An empty folder, in memory where there is such a file system."""
    with TemporaryDirectory(dir=SCRATCH) as folder:
        yield Location.parse(folder)


def sweep(location: Location, *, dry_run: bool = False) -> rm.GarbageReport:
    return rm.collect_garbage(
        location.path if location.is_local else location.url,
        older_than=NOW,
        dry_run=dry_run,
        storage_options=location.storage_options,
    )


def files(base: Location) -> Mapping[str, bytes]:
    return {path: data for path, data in snapshot(base).items() if not path.endswith("/")}


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("local", tuple(SCENARIOS)),
        ("memory", tuple(SCENARIOS)),
        ("s3", ("first directory", "overwrite directory")),
        ("gcs", ("first directory",)),
    ],
)
def test_after_a_kill(request: pytest.FixtureRequest, kind: str, names: tuple[str, ...]) -> None:
    """At each operation: what loads still loads, and of a first save nothing is left."""
    found: Counter[str] = Counter()
    base = base_of(request, kind)
    for name in names:
        scenario = SCENARIOS[name]
        place = base.join(name.replace(" ", "-").replace(",", ""))
        open_store(place).make_directory(place)
        steps = operations(scenario, place)
        points = [at for at, step in enumerate(steps) if reaches_the_store(step, base)]
        for trial in trials(scenario, place, Fault.KILL, points):
            found[check_swept(scenario, trial)] += 1
            check_next_save(trial.location, scenario)
    print(f"{kind}: swept after {found.total()} kills, {dict(found)}")
    assert found["swept"] > 0
    assert found["untouched"] > 0


def check_swept(scenario: Scenario, trial: Trial) -> str:
    around = trial.location.parent
    before = files(around)
    announced = sweep(around, dry_run=True)
    assert files(around) == before, "a dry run changes nothing"
    assert not any(each.removed for each in announced.leftovers)
    report = sweep(around)
    where = f"{trial.outcome} after a kill at {trial.plan.at}: {trial.plan.step}"
    assert report.skipped == (), where
    assert all(each.removed for each in report.leftovers)
    assert names_of(report) == names_of(announced)
    outcome = observe(trial.location, scenario.content("old"), scenario.content("new"))
    if scenario.before == "nothing" and trial.outcome == "incomplete":
        assert outcome == "nothing", where
        assert files(around) == {}, where
    else:
        assert outcome == trial.outcome, where
    if scenario.before == "nothing" and outcome == "nothing":
        assert files(around) == {}, where
    # With the same files both are whole: then the announcement stays.
    if scenario.before == "model" and outcome == "old" and scenario.content is not relabelled:
        assert files(around) == {
            path: data for path, data in trial.before.items() if not path.endswith("/")
        }, where
    assert sweep(around).leftovers == (), where
    return "swept" if report.leftovers else "untouched"


def names_of(report: rm.GarbageReport) -> list[tuple[str, str, int]]:
    return [(each.kind, each.url, each.size) for each in report.leftovers]


# Uploads in parts

PART = 8 * 1024 * 1024


def abandon(location: Location, size: int = 2 * PART + 5) -> StagedFile:
    """Send parts of an object, as a save does that is killed before it can complete them."""
    staged = open_store(location).stage(location, size)
    for start in range(0, size, PART):
        staged.write(os.urandom(min(PART, size - start)))
    return staged


@pytest.fixture(params=["fsspec", "obstore"])
def client(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("REMOTE_MODELS_CLIENT", request.param)
    return str(request.param)


@pytest.mark.parametrize("server", ["seaweed", "moto"])
@pytest.mark.usefixtures("client")
def test_uploads(request: pytest.FixtureRequest, buckets: Buckets, server: str) -> None:
    emulator: Emulator = request.getfixturevalue(server)
    base = buckets.prefix(emulator)
    store = open_store(base)
    model, others = base.join("resnet/variables/variables.data-00000-of-00001"), base.join("a.csv")
    kept = [abandon(model), abandon(others)]
    neighbour = replace(base, path=f"{base.path}-2").join("m.keras")
    kept.append(abandon(neighbour))
    save(base.join("m.keras"), single("old"))
    assert sent(sweep(base, dry_run=True)) == [str(model)]
    if server != "moto":  # which says of each upload that it was begun in 2010
        assert sent(rm.collect_garbage(base.url, storage_options=base.storage_options)) == []
    report = sweep(base)
    assert sent(report) == [str(model)]
    assert report.size >= 0
    assert [each.location.path for each in store.uploads(base)] == [others.path]
    assert [each.location.path for each in store.uploads(neighbour)] == [neighbour.path]
    assert load(base.join("m.keras")) == expected(single("old"))
    with pytest.raises(OSError):  # noqa: PT011 - a client's own
        kept[0].commit()
    for staged in kept:
        staged.discard()
    assert store.uploads(base) == []


def sent(report: rm.GarbageReport) -> list[str]:
    return [each.url for each in report.leftovers if each.kind == "upload"]


@pytest.mark.usefixtures("client")
def test_a_saver_whose_upload_was_swept_up_fails(s3_base: Location) -> None:
    """What it was to replace stays."""
    location = s3_base.join("m.keras")
    save(location, single("old"))
    with Publication(open_store(location)) as publication:
        publication.stage(location, 3 * PART, [bytes(PART)] * 3)
        assert len(sent(sweep(s3_base))) == 1
        with pytest.raises(StorageError) as caught:
            publication.commit(lambda _location, _committed: None)
        publication.discard()
    assert "the upload is gone" in str(caught.value)
    assert load(location) == expected(single("old"))


# What is not a killed save's


def test_nothing_young_is_touched(base: Location) -> None:
    location = base.join("model")
    killed(location)
    before = snapshot(base)
    url = str(base) if base.is_local else base.url
    report = rm.collect_garbage(url, dry_run=False, storage_options=base.storage_options)
    assert report.leftovers == ()
    assert snapshot(base) == before
    assert sweep(base).leftovers != ()


def killed(location: Location) -> None:
    """Kill a first save of a directory when all files but the last have appeared."""
    content = directory("new")
    plan = Plan(Fault.KILL, 10**6)
    place = location.parent.join("undisturbed")
    save(place, content, store=FaultyStore(open_store(place), plan))
    for path in open_store(place).list(place):
        open_store(place).delete(place.join(path))
    at = [index for index, name in enumerate(plan.operations) if name.startswith("commit")]
    plan = Plan(Fault.KILL, at[-2])
    store = FaultyStore(open_store(location), plan)
    with pytest.raises(Killed):
        save(location, content, store=store)
    store.release()


def test_a_foreign_file_stays(memory_base: Location) -> None:
    """An unfinished save has named it, but other bytes are there: then nothing is certain."""
    location = memory_base.join("model")
    killed(location)
    store = open_store(location)
    (present, *_) = (path for path in store.list(location) if path != "manifest.json")
    put(store, location.join(present), b"somebody else's")
    before = snapshot(memory_base)
    assert sweep(memory_base).leftovers == ()
    assert snapshot(memory_base) == before


@pytest.mark.parametrize("place", ["model.keras", "inside/model.keras"])
def test_a_file_of_another_artifact_stays(memory_base: Location, place: str) -> None:
    """An unfinished save names it as it is, but it has a manifest of its own."""
    store, data = open_store(memory_base), b"another model"
    entry = {"path": place, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    missing = {"path": "more", "size": 1, "sha256": "0" * 64}
    rest = {
        "schema": 2, "format": "other", "created": "2026-03-14T09:26:53Z", "producer": {},
        "layout": "directory",
    }  # fmt: skip
    pending = json.loads(resealed({**rest, "files": [entry, missing]}))
    own = resealed({**rest, "layout": "file", "files": [{**entry, "path": "model.keras"}]})
    put(store, memory_base.join(place), data)
    put(store, memory_base.join(f"{place}.manifest.json"), own)
    put(
        store,
        memory_base.join("manifest.json"),
        canonical_json({"schema": 2, "pending": [pending]}),
    )
    before = snapshot(memory_base)
    assert sweep(memory_base).leftovers == ()
    assert snapshot(memory_base) == before
    store.delete(memory_base.join(f"{place}.manifest.json"))
    assert {each.kind for each in sweep(memory_base).leftovers} == {"announcement", "file"}


def put(store: Store, location: Location, data: bytes) -> None:
    with Publication(store) as publication:
        publication.stage(location, len(data), [data])
        publication.commit(lambda _location, _committed: None)


def test_other_names_stay(local_base: Location) -> None:
    names = (
        ".remote-models-staging", ".x.remote-models-staging", "manifest.json", "web.manifest.json",
        "a.0123456789ab.remote-models-staging", ".m.keras.0123456789AB.remote-models-staging",
    )  # fmt: skip
    for name in names:
        Path(local_base.path, name).write_text("{}", encoding="ascii")
    ours = Path(local_base.path, ".m.keras.0123456789ab.remote-models-staging")
    ours.write_bytes(b"half")
    os.symlink("manifest.json", ours.with_name(".n.0123456789ab.remote-models-staging"))
    report = sweep(local_base)
    assert [(each.kind, each.url) for each in report.leftovers] == [("staging file", str(ours))]
    assert not ours.exists()
    assert {path.name for path in Path(local_base.path).iterdir()} == {
        *names, ".n.0123456789ab.remote-models-staging"
    }  # fmt: skip


def test_one_model_of_one_file(local_base: Location) -> None:
    """What belongs to its neighbours stays."""
    folder = Path(local_base.path)
    names = [f".{name}.0123456789ab.remote-models-staging" for name in ("m.keras", "n.keras")]
    names.append(".m.keras.manifest.json.0123456789ab.remote-models-staging")
    for name in names:
        (folder / name).write_bytes(b"half")
    save(local_base.join("m.keras"), single("old"))
    assert len(sweep(local_base.join("m.keras")).leftovers) == 2
    assert (folder / names[1]).exists()
    assert load(local_base.join("m.keras")) == expected(single("old"))


@pytest.mark.parametrize("older_than", [timedelta(seconds=-1), 24, None])
def test_bad_ages(memory_base: Location, older_than: object) -> None:
    with pytest.raises(ArgumentError, match="older_than"):
        rm.collect_garbage(memory_base.url, older_than=older_than)  # type: ignore[arg-type]


@pytest.mark.parametrize("server", ["seaweed", "fake_gcs"])
def test_a_bucket_that_does_not_exist(request: pytest.FixtureRequest, server: str) -> None:
    emulator: Emulator = request.getfixturevalue(server)
    scheme = "gs" if server == "fake_gcs" else "s3"
    with pytest.raises(BucketNotFoundError):
        rm.collect_garbage(
            f"{scheme}://no-such-bucket-1/models", storage_options=emulator.storage_options
        )


def test_where_nothing_is_nothing_is_found(base: Location) -> None:
    assert sweep(base.join("none")) == rm.GarbageReport(leftovers=())


# Beside a saver


def test_a_saver_that_comes_meanwhile_wins(memory_base: Location) -> None:
    location = memory_base.join("model")
    killed(location)
    store = open_store(location)
    listing = store.list(location)
    where = manifest_location(location, Layout.DIRECTORY)
    future = rm.collect_garbage.__globals__["datetime"].now().astimezone() + timedelta(days=1)
    found = find_unfinished(store, where, Layout.DIRECTORY, listing, future)
    assert found is not None
    save(location, directory("next"))
    with pytest.raises(ConflictError):
        list(found.remove())
    assert load(location) == expected(directory("next"))


def test_a_saver_is_seen_between_two_files(memory_base: Location) -> None:
    location = memory_base.join("model")
    killed(location)
    store = open_store(location)
    where = manifest_location(location, Layout.DIRECTORY)
    stored = StoredManifest.from_bytes(bytes(store.read(where, 0, 10**6)), where="m")
    report = None

    class Meddler(type(store)):  # type: ignore[misc]
        """A store in which another saver announces itself when the first file is deleted."""

        def delete(self, location: Location) -> None:
            super().delete(location)
            put(
                self,
                where,
                StoredManifest(current=None, pending=(*stored.pending, *stored.pending)).to_bytes(),
            )

    store.__class__ = Meddler
    future = rm.collect_garbage.__globals__["datetime"].now().astimezone() + timedelta(days=1)
    found = find_unfinished(store, where, Layout.DIRECTORY, store.list(location), future)
    assert found is not None
    assert len(found.files) > 1
    with pytest.raises(ConflictError):
        list(found.remove())
    assert report is None
    assert len(store.list(location)) == len(found.files)


# The command line


def test_the_command(local_base: Location, capsys: pytest.CaptureFixture[str]) -> None:
    location = local_base.join("model")
    killed(location)
    before = snapshot(local_base)
    assert cli.main(["gc", local_base.path, "--older-than", "0s"]) == 0
    out, err = capsys.readouterr()
    assert str(location.join("manifest.json")) in out
    assert "--delete" in err
    assert snapshot(local_base) == before
    assert cli.main(["gc", local_base.path, "--delete"]) == 0
    assert "removed 0 leftovers" in capsys.readouterr().out
    assert cli.main(["gc", local_base.path, "--older-than", "0s", "--delete", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {each["kind"] for each in document["leftovers"]} >= {"announcement", "file"}
    assert all(each["removed"] for each in document["leftovers"])
    assert document["skipped"] == []
    assert files(local_base) == {}


@pytest.mark.parametrize("age", ["", "24", "-1h", "1.5h", "1w"])
def test_bad_words(local_base: Location, age: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["gc", local_base.path, f"--older-than={age}"]) == 2
    assert "--older-than" in capsys.readouterr().err
