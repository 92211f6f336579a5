"""Artifacts copied to and from every store, with no framework in the process."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest

import remote_models as rm
from remote_models.errors import (
    ArgumentError,
    FormatError,
    IntegrityError,
    ModelNotFoundError,
    UnrecognizedFormatError,
    UnsafeFormatError,
)

SAMPLES = Path(__file__).parents[1] / "formats/samples"

FILES = {
    "keras-3.15.1/model.keras": "keras",
    "keras-3.15.1/model.h5": "h5",
    "keras-3.15.1/model.weights.h5": "keras_weights",
    "keras-3.15.1/model.json": "architecture",
    "tf_keras-2.21.0/legacy.h5": "h5_weights",
}
DIRECTORIES = {
    "keras-3.15.1/unpacked": "keras_directory",
    "keras-3.15.1/exported": "saved_model",
    "tf_keras-2.21.0/saved_model": "saved_model",
}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith("manifest.json")
    }


@pytest.mark.parametrize("name", FILES)
def test_file_there_and_back(base: str, name: str, tmp_path: Path) -> None:
    url = f"{base}/copy-of-{Path(name).name}"
    manifest = rm.push_model(SAMPLES / name, url)
    assert manifest.format == FILES[name]
    paths = rm.pull_model(url, tmp_path / "pulled")
    assert paths == [tmp_path / "pulled" / f"copy-of-{Path(name).name}"]
    assert paths[0].read_bytes() == (SAMPLES / name).read_bytes()
    # A pulled folder is a source, too, and keeps what its manifest says.
    again = rm.push_model(tmp_path / "pulled", f"{base}/again-{Path(name).name}")
    assert again.created == manifest.created
    assert again.files[0].sha256 == manifest.files[0].sha256


@pytest.mark.parametrize("name", DIRECTORIES)
def test_directory_there_and_back(base: str, name: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    for path, data in contents(SAMPLES / name).items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_bytes(data)
    (source / "assets").mkdir(exist_ok=True)
    (source / "deep/empty").mkdir(parents=True)
    manifest = rm.push_model(source, f"{base}/model")
    assert manifest.format == DIRECTORIES[name]
    rm.pull_model(f"{base}/model", tmp_path / "pulled")
    assert contents(tmp_path / "pulled") == contents(source)
    assert (tmp_path / "pulled/assets").is_dir()
    assert (tmp_path / "pulled/deep/empty").is_dir()
    again = rm.push_model(tmp_path / "pulled", f"{base}/again")
    assert [entry.sha256 for entry in again.files] == [entry.sha256 for entry in manifest.files]
    assert again.empty_directories == manifest.empty_directories


def test_checkpoint_and_shards_there_and_back(base: str, tmp_path: Path) -> None:
    for name, files in [
        ("tf_keras-2.21.0/checkpoint/small", {"small.index", "small.data-00000-of-00001"}),
        (
            "keras-3.15.1/shards.weights.json",
            {"shards.weights.json", "shards_00000.weights.h5", "shards_00001.weights.h5"},
        ),
    ]:
        url = f"{base}/{Path(name).name}"
        rm.push_model(SAMPLES / name, url)
        paths = rm.pull_model(url, tmp_path / f"pulled {Path(name).name}")
        assert {path.name for path in paths} == files
        for path in paths:
            assert path.read_bytes() == (SAMPLES / name).parent.joinpath(path.name).read_bytes()
        with pytest.raises(FormatError, match="cannot be renamed"):
            rm.push_model(SAMPLES / name, f"{base}/other")


def test_metadata_and_producer_survive(base: str, tmp_path: Path) -> None:
    """What a training job recorded goes along with the copies."""
    rm.push_model(SAMPLES / "keras-3.15.1/model.keras", f"{base}/model.keras")
    first = rm.open_model(f"{base}/model.keras")
    rm.pull_model(f"{base}/model.keras", tmp_path / "pulled")
    assert (tmp_path / "pulled/model.keras.manifest.json").exists()
    second = rm.push_model(tmp_path / "pulled", f"{base}/second.keras")
    assert first.manifest is not None
    assert second.producer == first.manifest.producer


def test_changed_copy_is_not_pushed(base: str, tmp_path: Path) -> None:
    rm.push_model(SAMPLES / "keras-3.15.1/model.keras", f"{base}/model.keras")
    (path,) = rm.pull_model(f"{base}/model.keras", tmp_path / "pulled")
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(IntegrityError):
        rm.push_model(tmp_path / "pulled", f"{base}/second.keras")
    with pytest.raises(ModelNotFoundError):
        rm.open_model(f"{base}/second.keras")


def test_pull_refuses_a_folder_in_use(base: str, tmp_path: Path) -> None:
    rm.push_model(SAMPLES / "keras-3.15.1/model.keras", f"{base}/model.keras")
    target = tmp_path / "used"
    target.mkdir()
    (target / "notes.txt").write_text("mine")
    with pytest.raises(ArgumentError, match="new or empty"):
        rm.pull_model(f"{base}/model.keras", target)
    assert [path.name for path in target.iterdir()] == ["notes.txt"]
    (target / "notes.txt").unlink()
    rm.pull_model(f"{base}/model.keras", target)
    assert {path.name for path in target.iterdir()} == {"model.keras", "model.keras.manifest.json"}


NO_MODELS: dict[str, tuple[bytes, type[FormatError], str]] = {
    "empty.keras": (b"", UnrecognizedFormatError, "an empty file"),
    "pickle.h5": (b"\x80\x04.", UnsafeFormatError, "a pickle"),
    "page.keras": (b"<html>not found</html>", UnrecognizedFormatError, "web page"),
}


@pytest.mark.parametrize("name", NO_MODELS)
def test_what_is_no_model(base: str, tmp_path: Path, name: str) -> None:
    """Neither pushed, nor loaded when somebody else has put it there."""
    content, error, words = NO_MODELS[name]
    source = tmp_path / "source"
    source.mkdir()
    (source / name).write_bytes(content)
    with pytest.raises(error, match=words):
        rm.push_model(source / name, f"{base}/{name}")
    with pytest.raises(ModelNotFoundError):
        rm.open_model(f"{base}/{name}")
    with fsspec.open(f"{base}/{name}", "wb") as target:
        target.write(content)
    with (
        pytest.warns(rm.UnverifiedModelWarning, match="no manifest"),
        pytest.raises(error, match=words),
    ):
        rm.load_model(f"{base}/{name}")


NAMES = [
    "step:12+best.keras",
    "a b.keras",
    "50%25 off.keras",
    "größer/模型.keras",
    "a=b&c?d#e.keras",
    "model[1]*.keras",
    "~model.keras",
    "UPPER.KERAS",
]


@pytest.mark.parametrize("name", NAMES)
def test_unusual_names(base: str, name: str, tmp_path: Path) -> None:
    url = f"{base}/{name}"
    if "/" in name and "://" not in base:
        Path(url).parent.mkdir()
    rm.push_model(SAMPLES / "keras-3.15.1/model.keras", url)
    assert rm.verify_model(url).ok
    (path,) = rm.pull_model(url, tmp_path / "pulled")
    assert path.name == name.rpartition("/")[2]
    assert str(rm.open_model(url).location).endswith(name)
    neighbour = f"{base}/{name[:-1]}"
    with pytest.raises(ModelNotFoundError):
        rm.open_model(neighbour)


@pytest.mark.usefixtures("clouds")
def test_gcs_is_gs(bases: dict[str, str]) -> None:
    url = f"{bases['gs']}/alias.keras"
    rm.push_model(SAMPLES / "keras-3.15.1/model.keras", url.replace("gs://", "gcs://"))
    assert rm.verify_model(url).ok
    assert rm.verify_model(url.replace("gs://", "gcs://")).ok


@pytest.mark.usefixtures("clouds")
def test_s3a_is_s3(bases: dict[str, str]) -> None:
    url = f"{bases['s3']}/alias.keras"
    rm.push_model(SAMPLES / "keras-3.15.1/model.keras", url.replace("s3://", "s3a://"))
    assert rm.verify_model(url).ok


class Handle(os.PathLike[str]):
    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


def test_local_paths_of_every_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = SAMPLES / "keras-3.15.1/model.keras"
    targets: dict[str, str | os.PathLike[str]] = {
        "a.keras": tmp_path / "a.keras",
        "b.keras": Handle(tmp_path / "b.keras"),
        "c.keras": f"file://{tmp_path}/c.keras",
        "d.keras": "d.keras",
        "e.keras": Path("e.keras"),
    }
    for name, target in targets.items():
        rm.push_model(source, target)
        assert (tmp_path / name).read_bytes() == source.read_bytes()
        assert rm.verify_model(tmp_path / name).ok


def test_a_path_that_ate_a_slash() -> None:
    with pytest.raises(ArgumentError, match="lost a slash"):
        rm.open_model(Path("s3://bucket/model.keras"))


def test_progress_is_monotone_and_complete(base: str, tmp_path: Path) -> None:
    seen: list[rm.TransferProgress] = []
    manifest = rm.push_model(
        SAMPLES / "tf_keras-2.21.0/saved_model", f"{base}/model", progress=seen.append
    )
    rm.pull_model(f"{base}/model", tmp_path / "pulled", progress=seen.append)
    rm.verify_model(f"{base}/model", progress=seen.append)
    for operation in ("upload", "download", "verify"):
        moved = [each.transferred for each in seen if each.operation == operation]
        assert moved == sorted(moved)
        assert (moved[0], moved[-1]) == (0, manifest.total_size)
    assert {each.total for each in seen} == {manifest.total_size}
    assert all(each.url.endswith("/model") for each in seen)


def test_progress_bar_on_request_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Standard error is no terminal here: silent by default."""
    source = SAMPLES / "keras-3.15.1/model.keras"
    rm.push_model(source, tmp_path / "a.keras")
    rm.push_model(source, tmp_path / "b.keras", progress=False)
    assert capsys.readouterr() == ("", "")
    rm.push_model(source, tmp_path / "c.keras", progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "100%" in err
    assert "upload" in err
    with pytest.raises(ArgumentError, match="progress"):
        rm.push_model(source, tmp_path / "d.keras", progress="yes")  # type: ignore[arg-type] # wrong on purpose


def test_callback_that_fails_publishes_nothing(base: str) -> None:
    """An exception in a callback, as from Ctrl-C in one, is a failed save."""

    def fail(progress: rm.TransferProgress) -> None:
        if progress.transferred:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        rm.push_model(SAMPLES / "tf_keras-2.21.0/saved_model", f"{base}/model", progress=fail)
    with pytest.raises(ModelNotFoundError):
        rm.open_model(f"{base}/model")
