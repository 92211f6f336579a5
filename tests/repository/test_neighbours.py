"""Models and repositories do not come to lie inside each other."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import h5py
import pytest
from publishing.artifacts import directory, save, single, snapshot

import remote_models as rm
from remote_models._api._neighbours import parse_claim, refuse_repository
from remote_models.cli import OK, main
from remote_models.errors import ArgumentError, ModelExistsError
from remote_models.manifest import Layout
from remote_models.repository._layout import CLAIMS
from remote_models.repository._saving import save_version
from remote_models.repository._small_objects import SmallObjects
from remote_models.storage import Location, open_store
from repository.versions import FORMATS, fill, repository_at, save_next

NOW = timedelta(0)


@pytest.fixture
def root(base: Location) -> Location:
    return base.join("repository")


@pytest.fixture
def local_model(tmp_path: Path) -> Path:
    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = [1.0]
    return path


def push(path: Path, location: Location, *, overwrite: bool = True) -> rm.Manifest:
    return rm.push_model(
        path, location.url, overwrite=overwrite, storage_options=location.storage_options
    )


def test_no_model_is_saved_over_a_repository(root: Location) -> None:
    fill(root, 1)
    before, store = snapshot(root), open_store(root)
    for overwrite in (True, False):
        with pytest.raises(ModelExistsError, match=r"a repository .* is here.*Repository\(url\)"):
            refuse_repository(store, root, Layout.DIRECTORY, overwrite=overwrite)
    refuse_repository(store, root, Layout.FILE, overwrite=True)  # root.manifest.json: beside it
    refuse_repository(store, root.join("other"), Layout.DIRECTORY, overwrite=True)
    refuse_repository(store, root.parent, Layout.DIRECTORY, overwrite=True)
    assert snapshot(root) == before


@pytest.mark.parametrize("save_format", ["tf", "h5"])
def test_no_version_is_replaced(root: Location, save_format: str) -> None:
    version = save_next(root, "v1", save_format=save_format)
    store = open_store(root)
    place = root.join("1") if save_format == "tf" else root.join("1").join("model.h5")
    layout = Layout.DIRECTORY if save_format == "tf" else Layout.FILE
    with pytest.raises(ModelExistsError, match="versions never change"):
        refuse_repository(store, place, layout, overwrite=True)
    refuse_repository(store, place, layout, overwrite=False)  # the store itself refuses
    refuse_repository(store, root.join("2"), layout, overwrite=True)  # others may fill a number
    assert repository_at(root).open(1).manifest == version.manifest


def test_folders_with_numbers_are_nothing_by_themselves(base: Location) -> None:
    save(base.join("2026"), directory("one"))
    refuse_repository(open_store(base), base.join("2026"), Layout.DIRECTORY, overwrite=True)


def test_pushing_is_refused_too(
    memory_base: Location, local_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_next(memory_base, "v1", save_format="h5")
    before = snapshot(memory_base)
    with pytest.raises(ModelExistsError, match="versions never change"):
        push(local_model, memory_base.join("1").join("model.h5"))
    folder = tmp_path / "saved"
    save(Location.parse(folder), directory("other"))
    with pytest.raises(ModelExistsError, match="a repository"):
        push(folder, memory_base)
    assert main(["push", str(folder), str(memory_base)]) != OK
    assert "choose another name" in capsys.readouterr().err
    assert snapshot(memory_base) == before
    push(local_model, memory_base.join("beside.weights.h5"))


@pytest.mark.parametrize("url", ["s3://bucket", "gs://bucket/", "s3a://bucket"])
def test_no_model_is_saved_over_a_bucket(url: str, local_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    save(Location.parse(folder), directory("other"))
    for path in (folder, local_model):
        with pytest.raises(ArgumentError, match=r"names a bucket.*as in .*bucket/model"):
            rm.push_model(path, url)


def test_no_repository_is_made_inside_a_model(base: Location) -> None:
    saved = base.join("saved")
    save(saved, directory("one"))
    before = snapshot(base)
    with pytest.raises(ModelExistsError, match="no repository can be"):
        save_next(saved, "v1")
    assert snapshot(base) == before


@pytest.mark.parametrize("save_format", ["tf", "keras"])
def test_no_repository_is_made_inside_a_version(root: Location, save_format: str) -> None:
    save_next(root, "v1", save_format=save_format)
    before = snapshot(root)
    for number in ("1", "2"):  # a prune would delete it with version 2
        with pytest.raises(ModelExistsError, match="no repository can be"):
            save_next(root.join(number), "v1")
    assert snapshot(root) == before


def test_a_repository_may_lie_beside_models(base: Location) -> None:
    save(base.join(single("x").name), single("x"))
    fill(base, 1)
    fill(base.join("2026-11"), 1)


def test_gc_removes_claims_that_no_save_takes_notice_of(root: Location) -> None:
    fill(root, 1)

    def killed(_location: Location, _find_base: object) -> rm.Manifest:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_version(open_store(root), root, FORMATS["tf"], killed)
    claim = root.join(CLAIMS).join("2.json")
    assert "claims/2.json" in snapshot(root)
    assert sweep(root).leftovers == (), "without it, the number could be given to another"
    assert save_next(root, "v3").number == 3
    assert sweep(root.join("3")).leftovers == ()
    assert sweep(root, older_than=timedelta(days=1)).leftovers == ()
    (found,) = sweep(root, dry_run=True).leftovers
    assert (found.kind, found.url, found.removed) == ("claim", str(claim), False)
    assert "claims/2.json" in snapshot(root)
    (removed,) = sweep(root.parent).leftovers
    assert (removed.kind, removed.removed) == ("claim", True)
    assert "claims/2.json" not in snapshot(root)
    assert save_next(root, "v4").number == 4


def test_gc_leaves_claims_where_latest_says_nothing(memory_base: Location) -> None:
    fill(memory_base, 1)
    SmallObjects(store=open_store(memory_base), root=memory_base, folder=CLAIMS).create("1", {})
    store = open_store(memory_base)
    latest = SmallObjects(store=store, root=memory_base, folder="aliases")
    store.delete(latest.location("latest"))
    assert sweep(memory_base).leftovers == ()
    latest.create("latest", {"version": "1"})
    assert sweep(memory_base).leftovers == ()


@pytest.mark.parametrize(
    ("path", "claim"),
    [
        ("b/r/claims/12.json", ("b/r", 12)),
        ("claims/1.json", ("", 1)),
        ("b/claims/latest.json", None),
        ("b/claims/1", None),
        ("b/claims/0.json", None),
        ("b/claim/1.json", None),
        ("b/claims/x/1.json", None),
        ("1.json", None),
    ],
)
def test_paths_of_claims(path: str, claim: tuple[str, int] | None) -> None:
    assert parse_claim(path) == claim


def sweep(
    location: Location, *, older_than: timedelta = NOW, dry_run: bool = False
) -> rm.GarbageReport:
    return rm.collect_garbage(
        location.path if location.is_local else location.url,
        older_than=older_than,
        dry_run=dry_run,
        storage_options=location.storage_options,
    )
