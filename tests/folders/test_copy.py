"""A model copied from store to store: whole, verified, and told of by the same manifest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from publishing.artifacts import (
    LAYOUTS,
    Content,
    directory,
    download,
    expected,
    save,
    single,
    snapshot,
)
from signing.keys import key_pair
from weights.artifacts import flip, put, store_tensors, write_weights

import remote_models as rm
from remote_models._api import _copy
from remote_models.errors import (
    ArgumentError,
    FormatError,
    IntegrityError,
    ModelExistsError,
    ModelNotFoundError,
)
from remote_models.manifest import Manifest, StoredManifest
from remote_models.publishing import publish
from remote_models.remote_model import RemoteModel
from remote_models.storage import Location, open_store


@pytest.fixture
def aim(memory_base: Location) -> Location:
    """A place in another store than most bases."""
    return memory_base.join("aim")


def copy(source: Location, target: Location, *, overwrite: bool = True) -> Manifest:
    return rm.copy_model(
        source.url,
        target.url,
        overwrite=overwrite,
        storage_options=source.storage_options,
        target_options=target.storage_options,
        progress=False,
    )


def opened(location: Location) -> RemoteModel:
    return rm.open_model(location.url, storage_options=location.storage_options)


def told(manifest: Manifest | None) -> Manifest:
    """A manifest without what the store calls the files."""
    assert manifest is not None
    return manifest.with_files(replace(each, version=None, etag=None) for each in manifest.files)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_copy_is_the_same_in_another_store(base: Location, aim: Location, layout: str) -> None:
    content = LAYOUTS[layout]("1")
    for folder in ("from", "back"):
        open_store(base).make_directory(base.join(folder))
    source, target = base.join("from").join(content.name), aim.join(content.name)
    save(source, content)
    made = copy(source, target)
    assert download(opened(target)) == expected(content)
    assert told(made) == told(opened(target).manifest) == told(opened(source).manifest)
    back = base.join("back").join(content.name)
    assert told(copy(target, back)) == told(made)
    assert download(opened(back)) == expected(content)


def test_tensors_keep_their_names_and_digests(base: Location, aim: Location) -> None:
    array = np.arange(100_000, dtype=np.float32)
    manifest = store_tensors(base.join("m"), {"dense/kernel": array, "dense/bias": array[:3]})
    put(base.join("m/manifest.json"), StoredManifest(current=manifest).to_bytes())
    copy(base.join("m"), aim)
    remote = opened(aim)
    assert remote.manifest is not None
    assert remote.manifest.tensors == manifest.tensors
    assert np.array_equal(remote.weights["dense/kernel"], array)
    assert rm.verify_model(aim.url).ok


def test_one_file_may_get_another_name(memory_base: Location, tmp_path: Path) -> None:
    write_weights(tmp_path / "a.weights.h5", {"dense": [np.ones((4, 3), np.float32)]})
    rm.adopt_model(tmp_path / "a.weights.h5")
    target = memory_base.join("b.weights.h5")
    rm.copy_model(tmp_path / "a.weights.h5", target.url)
    (tensor,) = opened(target).weights.values()
    assert np.array_equal(tensor, np.ones((4, 3)))
    several = LAYOUTS["several"]("1")
    save(memory_base.join(several.name), several)
    with pytest.raises(FormatError, match="cannot be renamed"):
        copy(memory_base.join(several.name), memory_base.join("other"))


def test_damage_is_not_copied(base: Location, aim: Location) -> None:
    content = directory("1")
    save(base.join("m"), content)
    save(aim, directory("0"))
    before = snapshot(aim)
    flip(base.join("m/variables/variables.data-1"), 70)
    with pytest.raises(IntegrityError, match=r"variables\.data-1"):
        copy(base.join("m"), aim)
    assert snapshot(aim) == before


def test_without_a_manifest_the_copy_gets_one(memory_base: Location, tmp_path: Path) -> None:
    path = tmp_path / "a.weights.h5"
    write_weights(path, {"dense": [np.ones((4, 3), np.float32)]})
    made = rm.copy_model(path, memory_base.join("a.weights.h5").url)
    assert [each.shape for each in made.tensors] == [(4, 3)]
    assert rm.verify_model(memory_base.join("a.weights.h5").url).ok
    (tmp_path / "no.h5").write_bytes(b"nothing of the kind")
    with pytest.raises(FormatError):
        rm.copy_model(tmp_path / "no.h5", memory_base.join("no.h5").url)
    with pytest.raises(ModelNotFoundError):
        rm.copy_model(tmp_path / "none", memory_base.join("none").url)


def test_what_is_there_is_replaced_only_if_it_may_be(base: Location, aim: Location) -> None:
    save(aim.join("model.h5"), single("2"))
    save(base.join("model.h5"), single("1"))
    with pytest.raises(ModelExistsError):
        copy(aim.join("model.h5"), base.join("model.h5"), overwrite=False)
    assert download(opened(base.join("model.h5"))) == expected(single("1"))
    copy(aim.join("model.h5"), base.join("model.h5"))
    assert download(opened(base.join("model.h5"))) == expected(single("2"))


def test_onto_itself_nothing_changes(base: Location) -> None:
    save(base.join("m"), directory("1"))
    copy(base.join("m"), base.join("m"))
    assert download(opened(base.join("m"))) == expected(directory("1"))


def test_a_pinned_artifact_or_nothing(memory_base: Location) -> None:
    digest = save(memory_base.join("model.h5"), single("1")).digest
    source, target = memory_base.join("model.h5").url, memory_base.join("copy.h5").url
    rm.copy_model(source, target, manifest_digest=digest)
    save(memory_base.join("model.h5"), single("2"))
    with pytest.raises(IntegrityError):
        rm.copy_model(source, target, manifest_digest=digest)
    assert download(opened(memory_base.join("copy.h5"))) == {
        "copy.h5": single("1").files["model.h5"]
    }


def test_a_model_that_is_replaced_meanwhile_is_copied_whole(
    memory_base: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = memory_base.join("m"), memory_base.join("copy")
    save(source, directory("1"))
    left = [directory("2"), directory("3")]
    sources = _copy._StoredFile.of

    def replaced(remote: RemoteModel, entry: rm.FileEntry) -> _copy._StoredFile:
        if left and entry.path == "saved_model.pb":
            save(source, left.pop(0))
        return sources(remote, entry)

    monkeypatch.setattr(_copy._StoredFile, "of", replaced)
    monkeypatch.setattr(_copy, "_BACKOFF_SECONDS", 0)
    copy(source, target)
    assert download(opened(target)) == expected(directory("3"))


def test_of_a_bucket_with_versions_the_pinned_ones_are_copied(
    versioned_base: Location, memory_base: Location
) -> None:
    source = versioned_base.join("model.h5")
    save(source, single("1"))
    manifest = opened(source).manifest
    assert manifest is not None
    assert manifest.files[0].version is not None
    put(source, b"overwritten by somebody")
    copy(source, memory_base.join("model.h5"))
    assert download(opened(memory_base.join("model.h5"))) == expected(single("1"))


def test_what_is_signed_file_by_file_is_checked(tmp_path: Path, memory_base: Location) -> None:
    private, public = key_pair().write(tmp_path)
    save(memory_base.join("model.h5"), single("1"))
    rm.sign_model(memory_base.join("model.h5").url, private)
    made = rm.copy_model(
        memory_base.join("model.h5").url, memory_base.join("copy.h5").url, public_key=public
    )
    assert made.files[0].size == len(single("1").files["model.h5"])
    flip(memory_base.join("model.h5.sig"), 100)
    with pytest.raises(IntegrityError):
        rm.copy_model(
            memory_base.join("model.h5").url, memory_base.join("other.h5").url, public_key=public
        )
    assert not any("other" in name for name in snapshot(memory_base))


def test_a_bucket_is_no_file(moto_base: Location, memory_base: Location) -> None:
    save(memory_base.join("model.h5"), single("1"))
    with pytest.raises(ArgumentError, match="names a bucket"):
        copy(memory_base.join("model.h5"), moto_base.bucket)


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (directory("1"), ("m", "exports/model.tflite", "aim", "exports/model.tflite")),
        (single("1"), ("model.h5", "model.h5.tflite", "other.h5", "other.h5.tflite")),
    ],
    ids=["directory", "file"],
)
def test_exports_come_along(
    base: Location, tmp_path: Path, content: Content, names: tuple[str, str, str, str]
) -> None:
    source, export, target, copied = names
    made = replace(content, files={**content.files, export: b"for another runtime"})
    artifact = replace(made.write(tmp_path / "made"), exports={"tflite": export})
    publish(open_store(base), base.join(source), artifact, overwrite=True)
    assert copy(base.join(source), base.join(target)).exports == {"tflite": copied}
    remote = opened(base.join(target))
    assert remote.exports == {"tflite": copied}
    assert copied in download(remote)
    assert rm.verify_model(base.join(target).url, storage_options=base.storage_options).ok
