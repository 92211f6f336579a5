"""What a repository promises, on every store."""

from __future__ import annotations

import json
import pickle
from typing import Any

import fsspec
import pytest
from publishing.artifacts import directory, save, snapshot

from remote_models.errors import (
    AccessDeniedError,
    ArgumentError,
    IncompleteModelError,
    IntegrityError,
    ManifestError,
    ModelExistsError,
    ModelNotFoundError,
)
from remote_models.publishing import FindBase
from remote_models.repository import Repository
from remote_models.repository._aliases import Alias, Aliases
from remote_models.storage import Location, Publication, Store, open_store
from repository.versions import each_format, fill, label_of, repository_at, save_next


@pytest.fixture
def root(base: Location) -> Location:
    return base.join("repository")


def put(location: Location, data: bytes) -> None:
    store = open_store(location)
    for folder in (location.parent.parent, location.parent):
        store.make_directory(folder)
    with Publication(store) as publication:
        publication.stage(location, len(data), [data])
        publication.commit(lambda _location, _version: None)


# Saving and loading.


def test_an_empty_repository(root: Location) -> None:
    repository = repository_at(root)
    assert repository.versions() == []
    assert repository.latest is None
    assert repository.aliases() == {}
    report = repository.prune(keep_last=1)
    assert (report.kept, report.deleted) == ([], [])
    for version in ("latest", "production", 1):
        with pytest.raises(ModelNotFoundError):
            repository.open(version)
    assert [path for path in snapshot(root) if not path.endswith("/")] == []


def test_versions_are_numbered_in_the_layout_of_tensorflow_serving(root: Location) -> None:
    saved = fill(root, 3, step=7)
    assert [version.number for version in saved] == [1, 2, 3]
    paths = {path for path in snapshot(root) if not path.endswith("/")}
    assert paths == {"aliases/latest.json"} | {
        f"{number}/{path}"
        for number in (1, 2, 3)
        for path in ("manifest.json", *directory(f"v{number}").files)
    }
    repository = repository_at(root)
    assert [(each.number, each.url) for each in repository.versions()] == [
        (number, f"{root}/{number}") for number in (1, 2, 3)
    ]
    for version, found in zip(saved, repository.versions(), strict=True):
        assert found.digest == version.digest == repository.open(version.number).manifest.digest  # type: ignore[union-attr]
        assert found.metadata == {"version": f"v{version.number}", "step": 7}
        assert found.created == "2026-11-24T00:00:00Z"
        assert found.size == sum(map(len, directory(f"v{version.number}").files.values()))
    assert repository.latest == repository.versions()[-1]
    assert [label_of(repository.open(number)) for number in (1, 2, 3)] == ["v1", "v2", "v3"]
    assert label_of(repository.open()) == "v3"


@each_format
def test_formats(root: Location, save_format: str) -> None:
    version = save_next(root, "v1", save_format=save_format)
    name = "" if save_format == "tf" else f"/model.{save_format}"
    repository = repository_at(root)
    assert version.url == f"{root}/1{name}" == repository.url() == repository.url(1)
    assert [each.url for each in repository.versions()] == [version.url]
    assert label_of(repository.open(1)) == label_of(repository.open("latest")) == "v1"
    save_next(root, "v2")
    assert [each.number for each in repository.prune(keep_last=1).deleted] == [1]
    assert [path for path in snapshot(root) if path.startswith("1/")] == []
    with pytest.raises(ModelNotFoundError, match="no version 1"):
        repository.open(1)


@pytest.mark.parametrize("version", [0, -1, 1.0, True, None, "", "1", "a/b", "../x", 2**63])
def test_no_version_is_called_so(root: Location, version: Any) -> None:
    with pytest.raises(ArgumentError):
        repository_at(root).open(version)


# Numbers are never used again.


def test_the_number_of_what_was_deleted_by_hand_is_not_used_again(root: Location) -> None:
    fill(root, 3)
    store = open_store(root)
    for path in snapshot(root):
        if path.startswith("3/") and not path.endswith("/"):
            store.delete(root.join(path))
    repository = repository_at(root)
    assert repository.latest is not None
    assert repository.latest.number == 2
    assert label_of(repository.open()) == "v2"  # `latest` leads to what is gone
    assert save_next(root, "v4").number == 4
    assert label_of(repository.open()) == "v4"


@pytest.mark.parametrize("name", ["7", "007", "claims"])
def test_a_number_that_others_use_is_not_used(root: Location, name: str) -> None:
    put(root.join(name).join("7.json"), b"of others")
    assert save_next(root, "v8").number == 8
    assert [each.number for each in repository_at(root).versions()] == [8]


def test_folders_of_other_names_are_no_versions(root: Location) -> None:
    for name in ("0", "x", "1.5", "-1", "\u0661", "9" * 20):
        put(root.join(name).join("manifest.json"), b"of others")
    assert save_next(root, "v1").number == 1
    assert [each.number for each in repository_at(root).versions()] == [1]


def test_a_model_of_others_is_no_version_until_it_is_adopted(root: Location) -> None:
    put(root.join("4").join("saved_model.pb"), b"graph")
    repository = repository_at(root)
    assert repository.versions() == []
    with pytest.raises(ModelNotFoundError, match="adopted"):
        repository.open(4)
    assert save_next(root, "v5").number == 5


def test_a_save_in_the_place_of_a_version_takes_the_next_number(root: Location) -> None:
    """Where one may not list, models that claim nothing are met only when they are saved over."""
    fill(root, 1)
    for number in (2, 3):
        save(root.join(str(number)), directory("of others"))
    store = Unlisted(open_store(root))
    assert save_next(root, "v4", store=store).number == 4
    left = {path for path in snapshot(root) if path.startswith("claims/")}
    assert left <= {"claims/"}


def test_a_failed_save_gives_its_number_back(root: Location) -> None:
    from remote_models.formats import Format
    from remote_models.repository._saving import save_version

    def fail(_location: Location, _find_base: FindBase) -> Any:
        raise ValueError("a layer cannot be saved")

    for format in (Format.SAVED_MODEL, Format.KERAS):
        with pytest.raises(ValueError, match="a layer cannot be saved"):
            save_version(open_store(root), root, format, fail)
    assert [path for path in snapshot(root) if not path.endswith("/")] == []
    assert [path for path in snapshot(root) if path.startswith("1")] == []
    assert save_next(root, "v1").number == 1


# Least privilege.


class Unlisted(Store):
    """A store that tells nobody what is in it, as a bucket does whose policy lacks ListBucket."""

    def __init__(self, inner: Store) -> None:
        super().__init__(fsspec.filesystem("memory"))  # which nothing uses
        self._inner = inner
        self.reads: list[str] = []

    def head(self, location: Location, *, version: str | None = None) -> Any:
        self.reads.append(f"head {location.name}")
        return self._denied(lambda: self._inner.head(location, version=version), location)

    def read(
        self,
        location: Location,
        start: int,
        stop: int,
        *,
        version: str | None = None,
        etag: str | None = None,
    ) -> Any:
        self.reads.append(f"read {location.name}")
        return self._denied(
            lambda: self._inner.read(location, start, stop, version=version, etag=etag), location
        )

    def read_whole(self, location: Location, *, limit: int) -> Any:
        self.reads.append(f"read {location.name}")
        return self._denied(lambda: self._inner.read_whole(location, limit=limit), location)

    def list(self, location: Location) -> Any:
        raise AccessDeniedError("access denied", where=str(location))

    def list_names(self, folder: Location, prefix: str) -> Any:
        raise AccessDeniedError("access denied", where=str(folder))

    def delete(self, location: Location) -> None:
        self._inner.delete(location)

    def stage(self, *args: Any, **kwargs: Any) -> Any:
        return self._inner.stage(*args, **kwargs)

    def make_directory(self, location: Location) -> bool:
        return self._inner.make_directory(location)

    def remove_directory(self, location: Location) -> None:
        self._inner.remove_directory(location)

    def errors(self, location: Location) -> Any:
        return self._inner.errors(location)

    def _denied(self, act: Any, location: Location) -> Any:
        """Say of a missing object what S3 says of it to those who may not list."""
        try:
            return act()
        except ModelNotFoundError as error:
            raise AccessDeniedError("access denied", where=str(location)) from error


def test_an_alias_is_followed_by_one_small_read(root: Location) -> None:
    fill(root, 3)
    repository_at(root).set_alias("production", 2)
    for alias, label in (("latest", "v3"), ("production", "v2")):
        store = Unlisted(open_store(root))
        assert repository_at(root, store).url(alias) == f"{root}/{label[1]}"
        assert store.reads == [f"read {alias}.json"]
        assert label_of(repository_at(root, store).open(alias)) == label


def test_saving_needs_no_listing(root: Location) -> None:
    store = Unlisted(open_store(root))
    assert [save_next(root, f"v{n}", store=store).number for n in (1, 2, 3)] == [1, 2, 3]
    repository = repository_at(root, store)
    assert label_of(repository.open()) == "v3"
    assert repository.set_alias("production", 2).number == 2
    assert label_of(repository.open("production")) == "v2"
    with pytest.raises(AccessDeniedError):
        repository.open(9)
    with pytest.raises(AccessDeniedError):
        repository.versions()


# Aliases.


def test_aliases(root: Location) -> None:
    fill(root, 3)
    repository = repository_at(root)
    assert repository.set_alias("production", 1).number == 1
    assert repository.set_alias("candidate", "latest").number == 3
    assert repository.aliases() == {"candidate": 3, "latest": 3, "production": 1}
    assert label_of(repository.open("production")) == "v1"
    repository.set_alias("production", "candidate")
    assert label_of(repository.open("production")) == "v3"
    repository.delete_alias("candidate")
    assert repository.aliases() == {"latest": 3, "production": 3}
    with pytest.raises(ModelNotFoundError, match="no alias 'candidate'"):
        repository.open("candidate")
    with pytest.raises(ModelNotFoundError, match="no alias 'candidate'"):
        repository.delete_alias("candidate")
    with pytest.raises(ModelNotFoundError, match="no version 4"):
        repository.set_alias("production", 4)
    assert repository.aliases()["production"] == 3
    document = json.loads(snapshot(root)["aliases/production.json"])
    assert document == {
        "schema": 1, "version": 3, "path": "3", "updated": document["updated"],
        "manifest_digest": repository.versions()[2].digest,
    }  # fmt: skip


@pytest.mark.parametrize(
    "name", ["latest", "", "7", "1a", "a/b", "..", ".a", "a b", "ä", "a" * 64, "a\n", None, 3]
)
def test_no_alias_is_set_that_is_called_so(memory_base: Location, name: Any) -> None:
    fill(memory_base, 1)
    repository = repository_at(memory_base)
    before = snapshot(memory_base)
    with pytest.raises(ArgumentError):
        repository.set_alias(name, 1)
    with pytest.raises(ArgumentError):
        repository.delete_alias(name)
    assert snapshot(memory_base) == before


def test_an_alias_pins_the_bytes(root: Location) -> None:
    fill(root, 2)
    repository = repository_at(root)
    repository.set_alias("production", 1)
    save(root.join("1"), directory("swapped"))
    with pytest.raises(ManifestError, match="pinned"):
        repository.open("production")
    repository.set_alias("production", 1)
    assert label_of_swapped(repository) == "swapped"


def label_of_swapped(repository: Repository) -> str:
    return str(repository.open("production").metadata["version"])


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("path", "2"), ("path", "../other"), ("path", "1/../../x"), ("path", "1/model.pkl"),
        ("path", "/etc"), ("path", None), ("version", 0), ("version", "1"), ("version", True),
        ("version", 2**63), ("manifest_digest", "sha256:0"), ("manifest_digest", 1),
        ("schema", 2), ("schema", None), ("updated", "now"),
    ],
)  # fmt: skip
def test_an_alias_that_leads_elsewhere_is_refused(
    memory_base: Location, member: str, value: object
) -> None:
    fill(memory_base, 1)
    good = json.loads(snapshot(memory_base)["aliases/latest.json"])
    where = memory_base.join("aliases/evil.json")
    put(where, json.dumps(good).encode())
    repository = repository_at(memory_base)
    assert label_of(repository.open("evil")) == "v1"
    put(where, json.dumps({**good, member: value}).encode())
    with pytest.raises(ManifestError) as caught:
        repository.open("evil")
    assert str(where) in str(caught.value.where)
    before = snapshot(memory_base)
    with pytest.raises(ManifestError):
        repository.prune(keep_last=1)
    assert snapshot(memory_base) == before


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"\xff", b"{}" * 40000, b"[" * 30000, b" " * 2**21]
)
def test_a_damaged_alias_is_an_error_and_the_next_save_makes_latest_good(
    memory_base: Location, data: bytes
) -> None:
    fill(memory_base, 2)
    put(memory_base.join("aliases/latest.json"), data)
    repository = repository_at(memory_base)
    with pytest.raises(IntegrityError):
        repository.open()
    assert label_of(repository.open(2)) == "v2"
    assert save_next(memory_base, "v3").number == 3
    assert label_of(repository.open()) == "v3"


def test_latest_never_goes_back(root: Location) -> None:
    versions = fill(root, 3)
    aliases = Aliases(open_store(root), root)
    aliases.advance(Alias.of(versions[0], "1"))
    assert repository_at(root).aliases() == {"latest": 3}


def test_without_latest_the_newest_is_found_by_a_listing(root: Location) -> None:
    fill(root, 3)
    open_store(root).delete(root.join("aliases/latest.json"))
    repository = repository_at(root)
    assert label_of(repository.open()) == "v3"
    assert save_next(root, "v4").number == 4
    assert repository.aliases() == {"latest": 4}


def test_an_alias_to_nothing_says_so(root: Location) -> None:
    versions = fill(root, 2)
    Aliases(open_store(root), root).set("production", Alias.of(versions[0], "1"))
    for path in snapshot(root):
        if path.startswith("1/") and not path.endswith("/"):
            open_store(root).delete(root.join(path))
    with pytest.raises(ModelNotFoundError, match="'production' leads to nothing"):
        repository_at(root).open("production")


def test_an_unfinished_version(root: Location) -> None:
    from publishing.faults import Fault, FaultyStore, Killed, Plan

    fill(root, 1)
    plan = Plan(Fault.KILL, 10_000)
    save_next(root, "v2", store=FaultyStore(open_store(root), plan))
    at = plan.operations.index("commit saved_model.pb")
    store = FaultyStore(open_store(root), Plan(Fault.KILL, at))
    with pytest.raises(Killed):
        save_next(root, "v3", store=store)
    store.release()
    repository = repository_at(root)
    assert [each.number for each in repository.versions()] == [1, 2]
    assert label_of(repository.open()) == "v2"
    with pytest.raises(IncompleteModelError):
        label_of(repository.open(3))
    with pytest.raises(ModelNotFoundError):
        repository.set_alias("production", 3)
    assert save_next(root, "v4").number == 4
    report = repository.prune(keep_last=1)
    assert [each.number for each in report.deleted] == [1, 2]
    assert "3/manifest.json" in snapshot(root), "what is no finished version is not pruned"
    assert not [path for path in snapshot(root) if path.startswith("claims/") and path[-1] != "/"]


# Pruning.


def kept(repository: Repository, **rules: Any) -> list[int]:
    """Return what a prune leaves, and hold its report against it and against a dry run."""
    tried = repository.prune(dry_run=True, **rules)
    there = [each.number for each in repository.versions()]
    report = repository.prune(**rules)
    left = [each.number for each in repository.versions()]
    assert (tried.dry_run, report.dry_run) == (True, False)
    assert [each.number for each in tried.kept] == [each.number for each in report.kept] == left
    assert [each.number for each in tried.deleted] == [each.number for each in report.deleted]
    assert sorted([*left, *(each.number for each in report.deleted)]) == there
    return left


def test_prune(root: Location) -> None:
    fill(root, 6)
    repository = repository_at(root)
    repository.set_alias("production", 2)
    before = snapshot(root)
    repository.prune(keep_last=1, dry_run=True)
    assert snapshot(root) == before
    assert kept(repository, keep_last=2) == [2, 5, 6]
    folders = {path.partition("/")[0] for path in snapshot(root)}
    assert folders - {"claims", "deleting"} == {"2", "5", "6", "aliases"}, "no husks"
    assert not [path for path in snapshot(root) if path.startswith("deleting/") and path[-1] != "/"]
    for number in (2, 5, 6):
        assert label_of(repository.open(number)) == f"v{number}"
    repository.delete_alias("production")
    assert kept(repository, keep_last=1) == [6]
    assert kept(repository, keep_last=1) == [6]
    assert save_next(root, "v7").number == 7


LOSSES = [0.5, 0.3, 0.4, 0.3, 0.9, 0.8]


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        ({"keep_last": 1}, [6]),
        ({"keep_last": 100}, [1, 2, 3, 4, 5, 6]),
        ({"keep_every": 2}, [2, 4, 6]),
        ({"keep_every": 4}, [4, 6]),
        ({"keep_every": 100}, [6]),
        ({"keep_best": ("loss", "min")}, [4, 6]),
        ({"keep_best": ("loss", "min", 2)}, [2, 4, 6]),
        ({"keep_best": ("loss", "min", 3)}, [2, 3, 4, 6]),
        ({"keep_best": ("loss", "max", 1)}, [5, 6]),
        ({"keep_best": 1, "metric": "loss"}, [4, 6]),
        ({"keep_best": 1, "metric": "loss", "mode": "max"}, [5, 6]),
        ({"keep_best": 1, "metric": "val_loss", "mode": "max"}, [1, 6]),
        ({"keep_last": 2, "keep_best": ("loss", "min"), "keep_every": 3}, [3, 4, 5, 6]),
    ],
)
def test_what_rules_keep(memory_base: Location, rules: Any, left: list[int]) -> None:
    for number, loss in enumerate(LOSSES, 1):
        save_next(
            memory_base, f"v{number}", loss=loss, metrics={"val_loss": -number}, text="1", flag=True
        )
    assert kept(repository_at(memory_base), **rules) == left


@pytest.mark.parametrize("metric", ["text", "absent", "flag"])
def test_a_metric_that_no_version_has_deletes_nothing(memory_base: Location, metric: str) -> None:
    for number in (1, 2, 3):
        save_next(memory_base, f"v{number}", loss=0.5, text="1", flag=True)
    repository = repository_at(memory_base)
    with pytest.raises(ArgumentError, match="'loss'"):
        repository.prune(keep_best=(metric, "min"))
    assert [version.number for version in repository.versions()] == [1, 2, 3]


@pytest.mark.parametrize(
    "rules",
    [
        {}, {"keep_last": 0}, {"keep_last": -1}, {"keep_last": True}, {"keep_last": 1.5},
        {"keep_every": 0}, {"keep_every": "2"}, {"keep_best": 1}, {"keep_best": 0, "metric": "m"},
        {"keep_best": ("m",)}, {"keep_best": ("m", "low")}, {"keep_best": ("m", "min", 0)},
        {"keep_best": ("m", "min", 1, 2)}, {"keep_best": (1, "min")}, {"keep_best": ("", "min")},
        {"keep_best": ("m", "min"), "metric": "m"}, {"keep_best": ("m", "min"), "mode": "min"},
        {"metric": "m", "keep_last": 1}, {"mode": "min", "keep_last": 1},
        {"keep_best": "loss"}, {"keep_best": 1, "metric": "m", "mode": "auto"},
    ],
)  # fmt: skip
def test_rules_that_make_no_sense_delete_nothing(memory_base: Location, rules: Any) -> None:
    fill(memory_base, 2)
    before = snapshot(memory_base)
    with pytest.raises(ArgumentError):
        repository_at(memory_base).prune(**rules)
    assert snapshot(memory_base) == before


def test_a_damaged_manifest_stops_a_prune_before_it_deletes(memory_base: Location) -> None:
    fill(memory_base, 3)
    put(memory_base.join("2/manifest.json"), b"{")
    before = snapshot(memory_base)
    repository = repository_at(memory_base)
    with pytest.raises(ManifestError, match=r"2/manifest\.json"):
        repository.prune(keep_last=1)
    assert snapshot(memory_base) == before
    assert label_of(repository.open()) == "v3"
    assert save_next(memory_base, "v4").number == 4


# What else.


def test_a_file_in_the_place_of_the_repository(local_base: Location) -> None:
    put(local_base.join("repository"), b"a file")
    with pytest.raises(ModelExistsError):
        save_next(local_base.join("repository"), "v1")


def test_a_bucket_that_does_not_exist(s3_base: Location) -> None:
    root = Location.parse("s3://bucket-that-nobody-made/model", s3_base.storage_options)
    with pytest.raises(ModelNotFoundError):
        save_next(root, "v1")
    with pytest.raises(ModelNotFoundError):
        repository_at(root).open()


def test_it_can_be_pickled(memory_base: Location) -> None:
    fill(memory_base, 1)
    copy = pickle.loads(pickle.dumps(repository_at(memory_base)))
    assert copy.location == memory_base
    assert label_of(copy.open()) == "v1"
    assert repr(copy) == f"<Repository {memory_base}>"
