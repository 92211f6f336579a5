"""What is asked of a store to find a manifest, and what is never asked."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from fsspec.implementations.memory import MemoryFileSystem

import remote_models as rm
from remote_models.errors import IntegrityError, ManifestError, ModelNotFoundError
from remote_models.manifest import Layout
from remote_models.remote_model import find_files, find_manifest
from remote_models.storage import Location, ObjectInfo, Store, TransferSettings


class Recorder:
    """A store that writes down every request and holds nothing but what a listing names."""

    transfer = TransferSettings()
    hedge = None

    def __init__(self, listed: dict[str, ObjectInfo]) -> None:
        self.asked: list[tuple[str, str]] = []
        self._listed = listed

    def head(self, location: Location, **_options: object) -> ObjectInfo:
        self.asked.append(("head", location.path))
        raise ModelNotFoundError("nothing is stored here", where=str(location))

    def read(self, location: Location, *_range: int, **_options: object) -> bytes:
        self.asked.append(("read", location.path))
        raise ModelNotFoundError("nothing is stored here", where=str(location))

    def list(self, location: Location) -> dict[str, ObjectInfo]:
        self.asked.append(("list", location.path))
        return self._listed


@pytest.mark.parametrize("scheme", ["s3", "gs"])
@pytest.mark.parametrize("name", ["bucket", "bucket.keras"])
def test_a_bucket_without_a_path_can_only_be_a_directory(scheme: str, name: str) -> None:
    location = Location.parse(f"{scheme}://{name}")
    recorder = Recorder({"saved_model.pb": ObjectInfo(size=3, etag="e")})
    store = cast("Store", recorder)
    assert find_manifest(store, location) is None
    assert find_files(store, location) == (
        Layout.DIRECTORY,
        {"saved_model.pb": ObjectInfo(size=3, etag="e")},
    )
    assert {path for _, path in recorder.asked} == {f"{name}/manifest.json", name}
    assert ("head", name) not in recorder.asked


def test_an_empty_bucket_holds_no_model() -> None:
    recorder = Recorder({})
    with pytest.raises(ModelNotFoundError, match="no model is stored here"):
        find_files(cast("Store", recorder), Location.parse("s3://bucket"))
    assert recorder.asked == [("list", "bucket")]


def test_a_name_in_memory_may_be_a_file_all_the_same() -> None:
    assert Location.parse("s3://bucket").is_bucket
    assert not Location.parse("s3://bucket/m").is_bucket
    assert not Location.parse("memory://m.keras").is_bucket
    assert not Location.parse("m.keras").is_bucket


def test_a_pin_holds_when_a_manifest_that_lies_elsewhere_is_read_again(
    memory_base: Location, tmp_path: Path
) -> None:
    """The first attempt fails, and meanwhile the manifest was replaced with the model."""
    url, apart = f"{memory_base}/m.json", f"{memory_base}/apart.json"
    files = MemoryFileSystem()
    files.pipe_file(url, b'{"class_name": "Sequential", "config": {"layers": []}}')
    digest = rm.adopt_model(url, manifest_url=apart).digest
    remote = rm.open_model(url, manifest_url=apart, manifest_digest=digest)
    files.pipe_file(url, b'{"class_name": "Sequential", "config": {"layers": [1]}}')
    rm.adopt_model(url, manifest_url=apart, overwrite=True)
    with pytest.raises(ManifestError, match="not the pinned manifest"):
        remote.download(tmp_path)
    with pytest.raises(IntegrityError, match="not the pinned manifest"):
        rm.pull_model(url, tmp_path / "copy", manifest_url=apart, manifest_digest=digest)
    assert list(tmp_path.iterdir()) == []
    assert rm.pull_model(url, tmp_path / "copy", manifest_url=apart)
