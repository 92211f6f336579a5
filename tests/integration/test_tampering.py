"""What was changed behind the manifest's back is refused before a framework sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest
from resealing import resealed

import remote_models as rm
from remote_models.errors import IntegrityError, ManifestError, ModelNotFoundError

SAMPLES = Path(__file__).parents[1] / "formats/samples"

ARTIFACTS = {
    "keras": ("keras-3.15.1/model.keras", "model.keras"),
    "h5": ("tf_keras-2.21.0/model.h5", "model.h5"),
    "saved_model": ("tf_keras-2.21.0/saved_model", "variables/variables.data-00000-of-00001"),
    "graph": ("tf_keras-2.21.0/saved_model", "saved_model.pb"),
    "checkpoint": ("tf_keras-2.21.0/checkpoint/small", "small.index"),
    "weights": ("keras-3.15.1/model.weights.h5", "model.weights.h5"),
    "shard": ("keras-3.15.1/shards.weights.json", "shards_00000.weights.h5"),
    "map of shards": ("keras-3.15.1/shards.weights.json", "shards.weights.json"),
    "architecture": ("keras-3.15.1/model.json", "model.json"),
    "unpacked": ("keras-3.15.1/unpacked", "config.json"),
}


def flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "flipped": flip,
    "truncated": lambda data: data[:-1],
    "emptied": lambda _data: b"",
    "swapped": lambda data: bytes(len(data)),
}


class Untouched:
    """A framework that takes files only, and must not be given any."""

    name = "keras"
    generation = 3
    streams = False
    translates = False
    runs_graphs = False

    def __getattr__(self, name: str) -> None:
        raise AssertionError(f"{name}: a framework was asked to read what was tampered with")


@pytest.fixture(autouse=True)
def no_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    """No framework may be asked for anything; those that stream are tested in children."""
    for module in ("_models", "_architectures"):
        monkeypatch.setattr(f"remote_models._api.{module}.choose_framework", _untouched)
    monkeypatch.setattr("remote_models._api._weights.framework_of", _untouched)


def _untouched(*_arguments: object) -> Untouched:
    return Untouched()


def push(base: str, name: str) -> tuple[str, str]:
    """Push a sample and return its URL and that of the file that will be damaged."""
    sample, file = ARTIFACTS[name]
    path = SAMPLES / sample
    url = f"{base}/{path.name}"
    rm.push_model(path, url)
    return url, f"{url}/{file}" if path.is_dir() else f"{base}/{file}"


def loaders(url: str, name: str) -> list[Callable[[], Any]]:
    if name == "architecture":
        return [lambda: rm.load_architecture(url)]
    weights: Callable[[], Any] = lambda: rm.load_weights(object(), url)  # noqa: E731 - one of a list
    if name in ("checkpoint", "weights", "shard", "map of shards"):
        return [weights]
    return [lambda: rm.load_model(url), weights]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ARTIFACTS)
def test_damaged_file(base: str, name: str, damage: str, tmp_path: Path) -> None:
    url, file = push(base, name)
    with fsspec.open(file, "rb") as source:
        good = source.read()
    with fsspec.open(file, "wb") as target:
        target.write(DAMAGES[damage](good))
    for load in loaders(url, name):
        with pytest.raises(IntegrityError) as caught:
            load()
        assert file.rpartition("/")[2] in str(caught.value)
    report = rm.verify_model(url)
    assert [each.path for each in report.mismatched] == [ARTIFACTS[name][1]]
    with pytest.raises(IntegrityError):
        rm.pull_model(url, tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists()


@pytest.mark.parametrize("name", ARTIFACTS)
def test_grown_file(base: str, name: str, tmp_path: Path) -> None:
    """Only the bytes that the manifest vouches for are ever read; verification sees the rest."""
    url, file = push(base, name)
    with fsspec.open(file, "rb") as source:
        good = source.read()
    with fsspec.open(file, "wb") as target:
        target.write(good + b"more")
    paths = rm.pull_model(url, tmp_path / "pulled")
    assert good in [path.read_bytes() for path in paths]
    assert [each.path for each in rm.verify_model(url).mismatched] == [ARTIFACTS[name][1]]


@pytest.mark.parametrize("name", ["saved_model", "graph", "checkpoint", "shard", "h5"])
def test_missing_file(base: str, name: str) -> None:
    url, file = push(base, name)
    filesystem, path = fsspec.core.url_to_fs(file)
    filesystem.rm_file(path)
    for load in loaders(url, name):
        with pytest.raises(IntegrityError, match="missing"):
            load()
    assert rm.verify_model(url).missing == [ARTIFACTS[name][1]]


def test_file_of_another_model_of_the_same_size(base: str) -> None:
    """Two good models, one file exchanged: neither is what its manifest says."""
    url, file = push(base, "saved_model")
    other = f"{base}/other"
    rm.push_model(SAMPLES / "tf_keras-2.21.0/saved_model", other)
    with fsspec.open(file, "rb") as source:
        exchanged = flip(source.read())
    with fsspec.open(f"{other}/{ARTIFACTS['saved_model'][1]}", "wb") as target:
        target.write(exchanged)
    assert rm.verify_model(url).ok
    with pytest.raises(IntegrityError):
        rm.load_model(other)


def test_pinned_digest(base: str) -> None:
    url, _ = push(base, "keras")
    pinned = rm.open_model(url).manifest
    assert pinned is not None
    rm.push_model(SAMPLES / "tf_keras-2.21.0/model.keras", url)
    with pytest.raises(IntegrityError, match="pinned"):
        rm.load_model(url, manifest_digest=pinned.digest)
    with pytest.raises(IntegrityError, match="pinned"):
        rm.verify_model(url, manifest_digest=pinned.digest)


def change_manifest(url: str, change: Callable[[dict[str, Any]], None]) -> None:
    with fsspec.open(f"{url}.manifest.json", "rb") as source:
        document = json.loads(source.read())
    change(document)
    with fsspec.open(f"{url}.manifest.json", "wb") as target:
        target.write(resealed(document))


@pytest.mark.parametrize(
    "path",
    ["../model.keras", "/etc/passwd", "a/../../model.keras", "./model.keras", "a//b", "a\\b"],
)
def test_manifest_that_points_outside(base: str, path: str) -> None:
    url, _ = push(base, "keras")
    change_manifest(url, lambda document: document["files"][0].update(path=path))
    for read in (rm.load_model, rm.open_model, rm.verify_model):
        with pytest.raises(ManifestError, match="unsafe path"):
            read(url)


def test_manifest_with_another_digest(base: str) -> None:
    url, _ = push(base, "keras")
    change_manifest(url, lambda document: document["files"][0].update(sha256="0" * 64))
    with pytest.raises(IntegrityError, match="not those that the manifest vouches for"):
        rm.load_model(url)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b'{"schema": 2}', b'{"schema": 3}', b"\x89HDF\r\n\x1a\n"]
)
def test_manifest_that_is_none(base: str, content: bytes) -> None:
    url, _ = push(base, "keras")
    with fsspec.open(f"{url}.manifest.json", "wb") as target:
        target.write(content)
    with pytest.raises(ManifestError, match=r"manifest\.json"):
        rm.load_model(url)


def test_manifest_without_its_file(base: str) -> None:
    url, file = push(base, "keras")
    filesystem, path = fsspec.core.url_to_fs(file)
    filesystem.rm_file(path)
    with pytest.raises(IntegrityError):
        rm.load_model(url)


def test_nothing_there(base: str) -> None:
    for load in (rm.load_model, rm.load_architecture, rm.open_model, rm.verify_model):
        with pytest.raises(ModelNotFoundError):
            load(f"{base}/absent")
        with pytest.raises(ModelNotFoundError):
            load(f"{base}/absent.keras")
