"""Publishing an artifact and reading it back, on every store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from publishing.artifacts import (
    LAYOUTS,
    Content,
    directory,
    download,
    expected,
    load,
    save,
    several,
    single,
    snapshot,
)
from remote_models.digest import sha256_hex
from remote_models.errors import (
    AccessDeniedError,
    AmbiguousCommitError,
    ArgumentError,
    BucketNotFoundError,
    IncompleteModelError,
    IntegrityError,
    ManifestError,
    ModelExistsError,
    ModelNotFoundError,
)
from remote_models.formats import Format
from remote_models.manifest import Layout
from remote_models.publishing import Artifact, LocalFile, publish
from remote_models.remote_model import RemoteModel, VerifyReport, manifest_location
from remote_models.storage import (
    Buffer,
    Location,
    ObjectInfo,
    Publication,
    StagedFile,
    Store,
    TransferProgress,
    open_store,
)

each_layout = pytest.mark.parametrize("content", LAYOUTS.values(), ids=LAYOUTS)

Make = Callable[[str], Content]


def place(base: Location, content: Make) -> Location:
    return base.join(content("any").name)


def open_model(location: Location, *, manifest_digest: str | None = None) -> RemoteModel:
    return RemoteModel.open(open_store(location), location, manifest_digest=manifest_digest)


def put(location: Location, data: bytes) -> None:
    """Change a file as somebody would who knows no manifest."""
    with Publication(open_store(location)) as publication:
        publication.stage(location, len(data), [data])
        publication.commit(lambda _location, _version: None)


def get(location: Location) -> bytes:
    return bytes(open_store(location).read(location, 0, 1_000_000))


def largest(content: Content) -> str:
    return max(content.files, key=lambda path: len(content.files[path]))


# There and back.


@each_layout
def test_round_trip(base: Location, content: Make) -> None:
    location = place(base, content)
    manifest = save(location, content("one"))
    assert load(location) == expected(content("one"))
    remote = open_model(location)
    assert remote.manifest is not None
    assert remote.manifest.to_bytes() == manifest.to_bytes()
    assert remote.is_verifiable
    assert remote.metadata == {"version": "one"}
    assert remote.format is content("one").format
    assert remote.layout is content("one").layout
    assert remote.files == {path: len(data) for path, data in content("one").files.items()}
    assert remote.total_size == sum(remote.files.values())


@each_layout
def test_what_is_stored_is_the_files_and_one_manifest(base: Location, content: Make) -> None:
    location = place(base, content)
    save(location, content("one"))
    stored = dict(snapshot(base))
    manifest = manifest_location(location, content("one").layout)
    document = json.loads(stored.pop(manifest.path[len(base.path) + 1 :]))
    inside = "" if content("one").layout is Layout.FILE else f"{location.name}/"
    assert {path: data for path, data in stored.items() if not path.endswith("/")} == {
        f"{inside}{path}": data for path, data in content("one").files.items()
    }
    assert [entry["path"] for entry in document["files"]] == sorted(content("one").files)
    for entry in document["files"]:
        data = content("one").files[entry["path"]]
        assert (entry["size"], entry["sha256"]) == (len(data), sha256_hex(data))


@each_layout
def test_the_manifest_is_what_publish_returned(base: Location, content: Make) -> None:
    location = place(base, content)
    manifest = save(location, content("one"))
    stored = get(manifest_location(location, content("one").layout))
    assert stored == manifest.to_bytes()
    assert f"sha256:{sha256_hex(stored)}" == manifest.digest


def test_empty_directories_are_made_again(base: Location, tmp_path: Path) -> None:
    location = base.join("model")
    save(location, directory("one"))
    open_model(location).download(tmp_path)
    for path in ("assets", "outer/inner"):
        assert (tmp_path / path).is_dir()
    if base.is_local:
        assert Path(location.join("outer/inner").path).is_dir()


def test_a_folder_may_be_loaded_with_a_slash_at_its_end(base: Location) -> None:
    save(base.join("model"), directory("one"))
    location = Location.parse(f"{base.url}/model/", base.storage_options)
    assert load(location) == expected(directory("one"))


@pytest.mark.parametrize("name", ["a b", "ünï", "a%20b", "ab:c", "a#b", "a[1]*"])
@each_layout
def test_any_name(base: Location, content: Make, name: str) -> None:
    made = content("one")
    if made.layout is Layout.FILE:
        prefix = made.name
        renamed = {name + path.removeprefix(prefix): data for path, data in made.files.items()}
        made = replace(made, name=name, files=renamed)
    else:
        made = replace(made, name=name, files={**made.files, f"assets/{name}": b"x"},
                       empty_directories=())  # fmt: skip
    location = Location.parse(f"{base.url}/{name}", base.storage_options)
    save(location, made)
    assert load(location) == expected(made)
    assert open_model(location).verify().ok


def test_two_slashes_name_another_folder(gcs_base: Location) -> None:
    """On an emulator that knows the difference."""
    location = Location.parse(f"{gcs_base.url}/a//model.h5", gcs_base.storage_options)
    save(location, single("one"))
    assert set(snapshot(gcs_base)) == {"a//model.h5", "a//model.h5.manifest.json"}
    assert load(location) == expected(single("one"))


def test_progress_adds_up(base: Location, tmp_path: Path) -> None:
    seen: list[TransferProgress] = []
    location = base.join("model")
    artifact = directory("one").write(tmp_path / "source")
    publish(open_store(location), location, artifact, overwrite=True, progress=seen.append)
    (tmp_path / "copy").mkdir()
    open_model(location).download(tmp_path / "copy", seen.append)
    open_model(location).verify(seen.append)
    total = sum(len(data) for data in directory("one").files.values())
    for operation in ("upload", "download", "verify"):
        steps = [step for step in seen if step.operation == operation]
        assert steps[0].transferred == 0
        assert steps[-1].finished
        assert [step.transferred for step in steps] == sorted(step.transferred for step in steps)
        assert all(step.total == total and step.url == str(location) for step in steps)


@each_layout
def test_nothing_is_there(base: Location, content: Make) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        open_model(place(base, content))
    assert caught.value.where == str(place(base, content)) or base.is_local


def test_a_folder_that_does_not_exist(local_base: Location) -> None:
    with pytest.raises(BucketNotFoundError, match="the folder does not exist"):
        save(local_base.join("absent/model.h5"), single("one"))
    with pytest.raises(BucketNotFoundError):
        save(local_base.join("absent/model"), directory("one"))
    assert snapshot(local_base) == {}


def test_a_bucket_that_does_not_exist(s3_base: Location) -> None:
    location = Location.parse("s3://bucket-that-nobody-made/model", s3_base.storage_options)
    for content in LAYOUTS.values():
        with pytest.raises(BucketNotFoundError):
            save(location, content("one"))
    with pytest.raises(BucketNotFoundError):
        open_model(location)


# Without a manifest.


@each_layout
def test_an_artifact_of_others_is_read_unverified(base: Location, content: Make) -> None:
    location = place(base, content)
    save(location, content("one"))
    open_store(location).delete(manifest_location(location, content("one").layout))
    remote = open_model(location)
    assert not remote.is_verifiable
    assert remote.manifest is None
    found = {path: data for path, data in download(remote).items() if not path.endswith("/")}
    assert found == content("one").files
    with pytest.raises(ManifestError, match="no manifest"):
        remote.verify()
    with pytest.raises(ManifestError, match="no manifest"):
        open_model(location, manifest_digest="sha256:" + "0" * 64)


# Overwriting.


@each_layout
def test_overwrite(base: Location, content: Make) -> None:
    location = place(base, content)
    save(location, content("old"))
    save(location, content("new"))
    assert load(location) == expected(content("new"))
    assert open_model(location).verify().ok
    left = {path for path in snapshot(base) if "old" in path}
    assert left == set(), "files that only the old artifact had must go"


@each_layout
def test_overwrite_many_times(base: Location, content: Make) -> None:
    location = place(base, content)
    for number in range(5):
        save(location, content(f"v{number}"))
        assert load(location) == expected(content(f"v{number}"))
    names = {path for path in snapshot(base) if not path.endswith("/")}
    assert len(names) == len(content("v4").files) + 1


@each_layout
def test_saving_the_same_again_changes_nothing(base: Location, content: Make) -> None:
    location = place(base, content)
    save(location, content("one"))
    before = dict(snapshot(base))
    save(location, content("one"))
    after = dict(snapshot(base))
    if base.protocol == "gs":  # whose objects have another generation each time
        manifest = manifest_location(location, content("one").layout).path[len(base.path) + 1 :]
        del before[manifest], after[manifest]
    assert after == before


@each_layout
def test_no_overwrite_of_a_model(base: Location, content: Make) -> None:
    location = place(base, content)
    save(location, content("old"))
    before = snapshot(base)
    with pytest.raises(ModelExistsError, match="overwrite=True") as caught:
        save(location, content("new"), overwrite=False)
    assert caught.value.where == str(location)
    assert snapshot(base) == before


@each_layout
def test_no_overwrite_of_an_artifact_without_a_manifest(base: Location, content: Make) -> None:
    location = place(base, content)
    save(location, content("old"))
    open_store(location).delete(manifest_location(location, content("old").layout))
    before = snapshot(base)
    with pytest.raises(ModelExistsError):
        save(location, content("new"), overwrite=False)
    assert snapshot(base) == before


@pytest.mark.parametrize("path", ["variables/variables.index", "fingerprint.pb"])
def test_no_overwrite_of_a_single_file_of_others(base: Location, path: str) -> None:
    """It is found by the exclusive creation alone: nobody looks for it before."""
    location = base.join("model")
    for folder in (location, location.join("variables")):
        open_store(base).make_directory(folder)
    put(location.join(path), b"of others")
    with pytest.raises(ModelExistsError):
        save(location, directory("new"), overwrite=False)
    left = {name: data for name, data in snapshot(base).items() if not name.endswith("/")}
    assert left == {f"model/{path}": b"of others"}


@each_layout
def test_no_overwrite_where_nothing_is(base: Location, content: Make) -> None:
    location = place(base, content)
    save(location, content("one"), overwrite=False)
    assert load(location) == expected(content("one"))
    assert open_model(location).verify().ok


def test_another_layout_is_in_the_way(base: Location) -> None:
    for first, second in ((single, directory), (directory, single)):
        location = base.join(f"{first('x').layout.value}.h5")
        kept = replace(first("x"), files=named(first("x"), location.name))
        save(location, kept)
        before = snapshot(base)
        for overwrite in (True, False):
            with pytest.raises(ModelExistsError):
                save(location, replace(second("y"), files=named(second("y"), location.name)),
                     overwrite=overwrite)  # fmt: skip
            assert snapshot(base) == before
        assert load(location) == expected(kept)


def named(content: Content, name: str) -> Mapping[str, bytes]:
    if content.layout is Layout.DIRECTORY:
        return content.files
    return {name: next(iter(content.files.values()))}


def test_neighbours_are_left_alone(base: Location) -> None:
    for name in ("model.h5.old", "model.h", "model", "other.h5", "ckpt.data-of-others"):
        put(base.join(name), name.encode())
    location = base.join("model.h5")
    for version in ("one", "two"):
        save(location, single(version))
    save(base.join("ckpt"), several("one"))
    save(base.join("ckpt"), several("two"))
    for name in ("model.h5.old", "model.h", "model", "other.h5", "ckpt.data-of-others"):
        assert get(base.join(name)) == name.encode()
    assert open_model(location).verify().ok


@each_layout
def test_a_damaged_manifest_can_be_overwritten(base: Location, content: Make) -> None:
    location = place(base, content)
    save(location, content("old"))
    put(manifest_location(location, content("old").layout), b"{")
    with pytest.raises(ManifestError):
        load(location)
    with pytest.raises(ModelExistsError):
        save(location, content("new"), overwrite=False)
    save(location, content("new"))
    assert load(location) == expected(content("new"))


@pytest.mark.parametrize(
    ("content", "path"),
    [(directory, "manifest.json"), (single, "model.h5.manifest.json")],
    ids=["directory", "file"],
)
def test_a_file_at_the_manifests_place_is_refused(base: Location, content: Make, path: str) -> None:
    location = place(base, content)
    made = replace(content("one"), files={**content("one").files, path: b"mine"})
    with pytest.raises(ArgumentError, match="manifest"):
        save(location, made)
    assert snapshot(base) == {}


# Verification.


def corrupted(data: bytes, how: str) -> bytes:
    middle = len(data) // 2
    return {
        "flip": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "truncate": data[:-1],
        "empty": b"",
        "append": data + b"x",
        "replace": b"something else",
    }[how]


@pytest.mark.parametrize("how", ["flip", "truncate", "empty", "append", "replace"])
@each_layout
def test_verify_names_what_differs(base: Location, content: Make, how: str) -> None:
    location = place(base, content)
    save(location, content("one"))
    path = largest(content("one"))
    target = open_model(location).file_location(path)
    put(target, corrupted(get(target), how))
    report = open_model(location).verify()
    assert not report.ok
    assert [each.path for each in report.mismatched] == [path]
    assert (report.missing, report.unexpected) == ([], [])
    assert sorted(report.verified) == sorted(set(content("one").files) - {path})
    assert sha256_hex(content("one").files[path]) in report.mismatched[0].expected
    if how == "append":  # what lies behind the end is not read, so that what is read is right
        assert load(location) == expected(content("one"))
        return
    with pytest.raises(IntegrityError):
        load(location)


@each_layout
def test_verify_names_what_is_missing(base: Location, content: Make) -> None:
    location = place(base, content)
    save(location, content("one"))
    for path in content("one").files:
        save(location, content("one"))
        store = open_store(location)
        store.delete(open_model(location).file_location(path))
        report = open_model(location).verify()
        assert report.missing == [path]
        assert (report.mismatched, report.unexpected) == ([], [])
        with pytest.raises(IntegrityError, match="missing") as caught:
            load(location)
        assert not isinstance(caught.value, IncompleteModelError)
        assert path in str(caught.value)


@pytest.mark.parametrize("path", ["extra", "variables/extra", "assets/extra", "a/b/c"])
def test_verify_names_what_is_unexpected(base: Location, path: str) -> None:
    location = base.join("model")
    save(location, directory("one"))
    for depth in range(path.count("/")):
        folder = "/".join(path.split("/")[: depth + 1])
        open_store(location).make_directory(location.join(folder))
    put(location.join(path), b"x")
    report = open_model(location).verify()
    assert not report.ok
    assert report.unexpected == [path]
    assert (report.missing, report.mismatched) == ([], [])
    assert load(location) == expected(directory("one"))


def test_verify_of_a_swap(base: Location) -> None:
    """Two files of equal size, each at the other's place."""
    files = {"saved_model.pb": b"aaaa", "variables/a": b"1111", "variables/b": b"2222"}
    location = base.join("model")
    save(location, replace(directory("one"), files=files))
    put(location.join("variables/a"), b"2222")
    put(location.join("variables/b"), b"1111")
    report = open_model(location).verify()
    assert [each.path for each in report.mismatched] == ["variables/a", "variables/b"]
    with pytest.raises(IntegrityError):
        load(location)


@each_layout
def test_verify_reads_every_byte(base: Location, content: Make) -> None:
    location = place(base, content)
    manifest = save(location, content("one"))
    report = open_model(location).verify()
    assert report == VerifyReport(
        url=str(location),
        manifest_digest=manifest.digest,
        verified=sorted(content("one").files),
        missing=[],
        mismatched=[],
        unexpected=[],
        bytes_read=manifest.total_size,
    )


# Pins.


@each_layout
def test_the_right_digest_opens(base: Location, content: Make) -> None:
    location = place(base, content)
    manifest = save(location, content("one"))
    assert load(location, manifest_digest=manifest.digest) == expected(content("one"))


@each_layout
def test_the_wrong_digest_does_not_open(base: Location, content: Make) -> None:
    location = place(base, content)
    digest = save(location, content("one")).digest
    wrong = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    with pytest.raises(ManifestError, match="not the pinned manifest") as caught:
        open_model(location, manifest_digest=wrong)
    assert (caught.value.expected, caught.value.found) == (wrong, digest)


@pytest.mark.parametrize(
    "digest", ["", "sha256:", "md5:" + "0" * 32, "0" * 64, "sha256:" + "G" * 64]
)
def test_what_is_no_digest_is_refused(memory_base: Location, digest: str) -> None:
    save(memory_base.join("model.h5"), single("one"))
    with pytest.raises(ArgumentError, match="not a digest"):
        open_model(memory_base.join("model.h5"), manifest_digest=digest)


@each_layout
def test_a_pin_does_not_follow_an_overwrite(base: Location, content: Make) -> None:
    location = place(base, content)
    old = save(location, content("old")).digest
    opened = open_model(location, manifest_digest=old)
    new = save(location, content("new")).digest
    with pytest.raises(ManifestError, match="not the pinned manifest"):
        open_model(location, manifest_digest=old)
    with pytest.raises((ManifestError, IntegrityError)):
        download(opened)
    assert load(location, manifest_digest=new) == expected(content("new"))


@each_layout
def test_a_model_opened_before_an_overwrite_gives_the_new_one_whole(
    base: Location, content: Make
) -> None:
    location = place(base, content)
    save(location, content("old"))
    opened = open_model(location)
    manifest = save(location, content("new"))
    assert download(opened) == expected(content("new"))
    assert opened.metadata == {"version": "new"}
    assert opened.manifest is not None
    assert opened.manifest.digest == manifest.digest
    assert set(opened.files) == set(content("new").files)


# Versions of objects.


@each_layout
def test_versions_are_pinned(versioned_base: Location, content: Make) -> None:
    location = place(versioned_base, content)
    manifest = save(location, content("old"))
    assert all(entry.version for entry in manifest.files)
    assert len({entry.version for entry in manifest.files}) == len(manifest.files)


@each_layout
def test_an_overwritten_object_is_read_in_its_pinned_version(
    versioned_base: Location, content: Make
) -> None:
    location = place(versioned_base, content)
    save(location, content("old"))
    for path in content("old").files:
        put(open_model(location).file_location(path), b"by others")
    assert load(location) == expected(content("old"))
    report = open_model(location).verify()
    assert {each.path for each in report.mismatched} == set(content("old").files)


@each_layout
def test_a_deleted_object_is_read_in_its_pinned_version(
    versioned_base: Location, content: Make
) -> None:
    location = place(versioned_base, content)
    save(location, content("old"))
    for path in content("old").files:
        open_store(location).delete(open_model(location).file_location(path))
    assert load(location) == expected(content("old"))
    assert sorted(open_model(location).verify().missing) == sorted(content("old").files)


@each_layout
def test_an_opened_model_survives_an_overwrite(versioned_base: Location, content: Make) -> None:
    location = place(versioned_base, content)
    digest = save(location, content("old")).digest
    opened = open_model(location, manifest_digest=digest)
    save(location, content("new"))
    assert download(opened) == expected(content("old"))


@pytest.mark.parametrize("base_name", ["s3_base", "local_base", "memory_base"])
def test_without_versions_none_is_pinned(request: pytest.FixtureRequest, base_name: str) -> None:
    base: Location = request.getfixturevalue(base_name)
    manifest = save(base.join("model"), directory("one"))
    assert {entry.version for entry in manifest.files} == {None}
    assert b"version" not in get(base.join("model/manifest.json")).replace(b'"version":"one"', b"")


# Least privilege.


class ByNameOnly(Store):
    """Lets objects be read by their names, and nothing else: no listing, no HEAD."""

    def __init__(self, inner: Store) -> None:
        super().__init__(fsspec.filesystem("memory"))  # which nothing uses
        self._inner = inner
        self.requests: list[str] = []

    @contextmanager
    def errors(self, location: Location) -> Iterator[None]:
        with self._inner.errors(location):
            yield

    def read(
        self,
        location: Location,
        start: int,
        stop: int,
        *,
        version: str | None = None,
        etag: str | None = None,
    ) -> Buffer:
        self.requests.append(location.name)
        return self._inner.read(location, start, stop, version=version, etag=etag)

    def head(self, location: Location, *, version: str | None = None) -> ObjectInfo:
        raise AccessDeniedError("no HEAD for you", where=str(location))

    def list(self, location: Location) -> Mapping[str, ObjectInfo]:
        raise AccessDeniedError("no listing for you", where=str(location))

    def list_names(self, folder: Location, prefix: str) -> Mapping[str, ObjectInfo]:
        raise AccessDeniedError("no listing for you", where=str(folder))


@each_layout
def test_loading_by_manifest_needs_reading_alone(base: Location, content: Make) -> None:
    """But for files of zero bytes, for which S3's HEAD asks the same right as GET."""
    made = content("one")
    made = replace(made, files={path: data for path, data in made.files.items() if data})
    location = place(base, content)
    digest = save(location, made).digest
    store = ByNameOnly(open_store(location))
    assert load(location, store=store) == expected(made)
    assert load(location, store=store, manifest_digest=digest) == expected(made)


@each_layout
def test_opening_is_one_small_read(base: Location, content: Make) -> None:
    location = place(base, content)
    save(location, content("one"))
    store = ByNameOnly(open_store(location))
    RemoteModel.open(store, location)
    manifest = manifest_location(location, content("one").layout).name
    # The name "ckpt" does not tell a file from a directory: the other place is tried first.
    assert store.requests[-1] == manifest
    assert len(store.requests) == (2 if content is several else 1)


def test_verifying_without_listing_says_so(base: Location) -> None:
    class NoListing(ByNameOnly):
        def head(self, location: Location, *, version: str | None = None) -> ObjectInfo:
            return self._inner.head(location, version=version)

    location = base.join("model")
    save(location, directory("one"))
    report = RemoteModel.open(NoListing(open_store(location)), location).verify()
    assert report.unexpected is None
    assert report.ok


class Blind(ByNameOnly):
    """Lets objects be written, and nothing else."""

    def read(
        self,
        location: Location,
        start: int,
        stop: int,
        *,
        version: str | None = None,
        etag: str | None = None,
    ) -> Buffer:
        raise AccessDeniedError("no reading for you", where=str(location))

    def stage(
        self,
        location: Location,
        size: int,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> StagedFile:
        return self._inner.stage(location, size, if_absent=if_absent, if_match=if_match)

    def make_directory(self, location: Location) -> bool:
        return self._inner.make_directory(location)

    def remove_directory(self, location: Location) -> None:
        self._inner.remove_directory(location)

    def delete(self, location: Location) -> None:
        raise AccessDeniedError("no deleting for you", where=str(location))


@each_layout
@pytest.mark.parametrize("overwrite", [True, False])
def test_saving_needs_writing_alone(base: Location, content: Make, *, overwrite: bool) -> None:
    location = place(base, content)
    save(location, content("one"), store=Blind(open_store(location)), overwrite=overwrite)
    assert load(location) == expected(content("one"))
    if not overwrite:
        # The refusal may be the answer to this writer's own request, sent once more.
        with pytest.raises(AmbiguousCommitError, match="nobody says what is here"):
            save(location, content("two"), store=Blind(open_store(location)), overwrite=False)
        assert load(location) == expected(content("one"))


def test_a_writer_who_may_not_delete_leaves_stale_files(base: Location) -> None:
    class NoDelete(Blind):
        def read(
            self,
            location: Location,
            start: int,
            stop: int,
            *,
            version: str | None = None,
            etag: str | None = None,
        ) -> Buffer:
            return self._inner.read(location, start, stop, version=version, etag=etag)

    location = base.join("model")
    save(location, directory("old"))
    save(location, directory("new"), store=NoDelete(open_store(location)))
    assert load(location) == expected(directory("new"))
    assert open_model(location).verify().unexpected == ["variables/variables.data-old"]


# Sources that fail.


def test_a_source_that_is_missing(base: Location, tmp_path: Path) -> None:
    location = base.join("model")
    save(location, directory("old"))
    before = snapshot(base)
    artifact = directory("new").write(tmp_path)
    (tmp_path / "saved_model.pb").unlink()
    with pytest.raises(FileNotFoundError):
        publish(open_store(location), location, artifact, overwrite=True)
    assert snapshot(base) == before


def test_a_source_that_changes_while_it_is_read(base: Location, tmp_path: Path) -> None:
    location = base.join("model.h5")
    artifact = single("new").write(tmp_path)

    class Growing(type(tmp_path)):  # type: ignore[misc]
        def stat(self, **kwargs: bool) -> object:
            found = super().stat(**kwargs)
            with self.open("ab") as file:
                file.write(b"more")
            return found

    grown = replace(artifact, files={"model.h5": LocalFile(Growing(tmp_path / "model.h5"))})
    with pytest.raises(IntegrityError, match="changed while it was read"):
        publish(open_store(location), location, grown, overwrite=True)
    assert snapshot(base) == {}


@pytest.mark.parametrize("path", ["../escape", "/absolute", "a//b", "./a", "a\\b", "a\nb", ""])
def test_unsafe_paths_are_refused(base: Location, tmp_path: Path, path: str) -> None:
    (tmp_path / "source").write_bytes(b"x")
    artifact = Artifact(
        format=Format.SAVED_MODEL,
        layout=Layout.DIRECTORY,
        created="2026-11-24T00:00:00Z",
        producer={},
        metadata={},
        files={path: LocalFile(tmp_path / "source")},
    )
    location = base.join("folder/model")
    open_store(base).make_directory(base.join("folder"))
    with pytest.raises((ManifestError, ArgumentError)):
        publish(open_store(location), location, artifact, overwrite=True)
    left = {name for name in snapshot(base) if not name.endswith("/")}
    assert left == set()
