"""Files that are no Keras model, or not the one that their name says."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from remote_models.errors import FormatError, UnrecognizedFormatError, UnsafeFormatError
from remote_models.formats import (
    Format,
    Recognition,
    recognise_directory,
    recognise_file,
    shard_names,
)


def recognise(data: bytes) -> Recognition:
    return recognise_file(io.BytesIO(data), where="here")


def hdf5(fill: Callable[[h5py.File], None]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as root:
        fill(root)
    return buffer.getvalue()


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("saved_model.pb"))
    return buffer.getvalue()


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(3))
    return buffer.getvalue()


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.arange(3), b=np.ones(2))
    return buffer.getvalue()


def safetensors() -> bytes:
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return len(header).to_bytes(8, "little") + header + b"\0\0\0\0"


SAMPLES = Path(__file__).parent / "samples"


STRANGERS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "an empty file"),
    "plain HDF5": (
        hdf5(lambda root: root.create_dataset("measurements", data=[1.0])),
        "an HDF5 file, but not one of Keras .*measurements.*h5py",
    ),
    "HDF5 of nothing": (hdf5(lambda root: None), "an HDF5 file, but not one of Keras"),
    "zip": (zipped(readme_dot_txt=b"hello"), r"not a \.keras archive .*config\.json.*readme\.txt"),
    "empty zip": (zipped(), r"not a \.keras archive"),
    "configuration without weights": (zipped(config_dot_json=b"{}"), r"not a \.keras archive"),
    "npz": (npz(), r"NumPy \.npz.*numpy\.load"),
    "npy": (npy(), r"NumPy \.npy.*numpy\.load"),
    "TensorFlow Lite": (b"\x1c\0\0\0TFL3" + bytes(64), "TensorFlow Lite.*LiteRT"),
    "gzip": (gzip.compress(b"model"), "a gzip file.*Unpack it first"),
    "bzip2": (bz2.compress(b"model"), "a bzip2 file.*Unpack it first"),
    "xz": (lzma.compress(b"model"), "an xz file.*Unpack it first"),
    "tar": (tarred(), "a tar archive.*push the directory"),
    "safetensors": (safetensors(), "a safetensors file.*safetensors"),
    "GGUF": (b"GGUF\x03\0\0\0" + bytes(32), "a GGUF model"),
    "web page": (b"<!DOCTYPE html><html>Sign in</html>", "a web page or.*Check the URL"),
    "web page in lower case": (b"<!doctype html>\n<html>", "a web page or.*Check the URL"),
    "web page after a blank": (b"\r\n  <html lang='en'>", "a web page or.*Check the URL"),
    "XML error of a store": (
        b"<?xml version='1.0'?><Error>AccessDenied</Error>",
        "XML document.*Check the URL",
    ),
    "Git LFS pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "a Git LFS pointer.*git lfs pull",
    ),
    "JSON of something else": (b'{"a": 1}', "neither an architecture nor a map.*'a'"),
    "JSON array": (b"[1, 2]", "a JSON file, but no Keras object .*list"),
    "broken JSON": (b'{"class_name": "Sequential", ', "damaged JSON.*copy it again"),
    "deep JSON": (b'{"a":' * 100_000, "damaged JSON"),
    "JSON that is no text": (b'{"\xff\xfe": 1}', "damaged JSON"),
    "text": (b"hello world", "neither HDF5 nor .*68 65 6c 6c 6f"),
    "one byte": (b"\0", "neither HDF5 nor"),
}


def one_line(error: FormatError) -> str:
    text = str(error)
    assert len(text.splitlines()) == 1
    assert text.startswith("here: ")
    assert len(text) < 400
    return text


@pytest.mark.parametrize("name", STRANGERS)
def test_stranger_is_named_in_one_line(name: str) -> None:
    data, words = STRANGERS[name]
    with pytest.raises(UnrecognizedFormatError, match=words) as caught:
        recognise(data)
    one_line(caught.value)


class Exploding:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return pytest.fail, ("a pickle was loaded",)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_is_never_opened(protocol: int) -> None:
    with pytest.raises(UnsafeFormatError, match=r"a pickle.*never opened.*\.keras") as caught:
        recognise(pickle.dumps(Exploding(), protocol=protocol))
    one_line(caught.value)


def test_oldest_pickles_are_no_model() -> None:
    """Protocols 0 and 1 have no mark of their own."""
    for protocol in (0, 1):
        with pytest.raises(UnrecognizedFormatError):
            recognise(pickle.dumps(Exploding(), protocol=protocol))


def test_torch_checkpoint_is_unsafe() -> None:
    data = zipped(model__data_dot_pkl=pickle.dumps(Exploding()), model__data__0=b"\0")
    with pytest.raises(UnsafeFormatError, match=r"PyTorch.*weights_only=True") as caught:
        recognise(data)
    one_line(caught.value)


def test_keras_archive_by_its_members() -> None:
    metadata = b'{"keras_version": "3.5.0"}'
    for weights in ("model_dot_weights_dot_h5", "model_dot_weights_dot_npz"):
        data = zipped(config_dot_json=b"{}", metadata_dot_json=metadata, **{weights: b""})
        assert recognise(data) == Recognition(
            format=Format.KERAS, generation=3, keras_version="3.5.0"
        )


@pytest.mark.parametrize(
    "metadata", [b"", b"[]", b"not JSON", b'{"keras_version": 3}', b"[" * 99_999]
)
def test_keras_archive_with_useless_metadata(metadata: bytes) -> None:
    data = zipped(config_dot_json=b"{}", model_dot_weights_dot_h5=b"", metadata_dot_json=metadata)
    assert recognise(data) == Recognition(format=Format.KERAS, generation=None)


def test_keras_archive_with_damaged_metadata() -> None:
    metadata = b'{"keras_version": "3.5.0"}'
    data = zipped(config_dot_json=b"{}", model_dot_weights_dot_h5=b"", metadata_dot_json=metadata)
    for found in (data.replace(b"3.5.0", b"3.5.1", 1), data.replace(metadata, b"", 1)):
        with pytest.raises(UnrecognizedFormatError, match="damaged zip"):
            recognise(found)


def whole_model(version: str | None) -> bytes:
    def fill(root: h5py.File) -> None:
        root.attrs["model_config"] = "{}"
        if version is not None:
            root.attrs["keras_version"] = version

    return hdf5(fill)


@pytest.mark.parametrize(
    ("version", "generation"),
    [("2.0.5", 2), ("1.2.2", 2), ("2.2.4-tf", 2), ("3.0.0", 3), ("nonsense", None), (None, None)],
)
def test_hdf5_of_whole_models(version: str | None, generation: int | None) -> None:
    assert recognise(whole_model(version)) == Recognition(
        format=Format.H5, generation=generation, keras_version=version
    )


def test_bytes_attributes_of_old_keras() -> None:
    def fill(root: h5py.File) -> None:
        root.attrs["model_config"] = np.bytes_(b"{}")
        root.attrs["keras_version"] = np.bytes_(b"2.1.6")

    assert recognise(hdf5(fill)) == Recognition(
        format=Format.H5, generation=2, keras_version="2.1.6"
    )


@pytest.mark.parametrize("attribute", ["layer_names", "layer_names0"])
def test_hdf5_of_weights_only(attribute: str) -> None:
    def fill(root: h5py.File) -> None:
        root.attrs[attribute] = [b"dense"]
        root.attrs["keras_version"] = "2.7.0"

    assert recognise(hdf5(fill)).format is Format.H5_WEIGHTS


def test_hdf5_of_weights_below_model_weights() -> None:
    def fill(root: h5py.File) -> None:
        group = root.create_group("model_weights")
        group.attrs["layer_names"] = [b"dense"]
        group.attrs["keras_version"] = "2.3.1"

    assert recognise(hdf5(fill)) == Recognition(
        format=Format.H5_WEIGHTS, generation=2, keras_version="2.3.1"
    )


@pytest.mark.parametrize(("named", "generation"), [(True, 3), (False, 2)])
def test_weights_h5(*, named: bool, generation: int) -> None:
    def fill(root: h5py.File) -> None:
        variables = root.create_group("layers/dense/vars")
        variables.create_dataset("0", data=[1.0])
        if named:
            variables.attrs["name"] = "dense"

    assert recognise(hdf5(fill)) == Recognition(format=Format.KERAS_WEIGHTS, generation=generation)


def test_links_out_of_the_file_are_not_followed(tmp_path: Path) -> None:
    """A link may lead to any file of this machine, or to a pipe that never ends."""
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret.create_group("vars").attrs["name"] = "dense"

    def fill(root: h5py.File) -> None:
        root["layers"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/")
        root["soft"] = h5py.SoftLink("/layers")

    with pytest.raises(UnrecognizedFormatError, match="not one of Keras"):
        recognise(hdf5(fill))


def test_groups_in_a_circle_end() -> None:
    def fill(root: h5py.File) -> None:
        group = root.create_group("a")
        group["again"] = group

    with pytest.raises(UnrecognizedFormatError, match="not one of Keras"):
        recognise(hdf5(fill))


def test_architecture() -> None:
    config = {"class_name": "Sequential", "config": {}}
    assert recognise(json.dumps(config).encode()) == Recognition(format=Format.ARCHITECTURE)
    modern = json.dumps({**config, "module": "keras"}).encode()
    assert recognise(b"\n " + modern).generation == 3
    dated = json.dumps({**config, "keras_version": "2.4.0"}).encode()
    assert recognise(dated).generation == 2


@pytest.mark.parametrize(
    "name", ["../secret.h5", "/etc/passwd", "a/b", "", "..", ".", "a\\b", 7, None]
)
def test_shard_that_lies_elsewhere(name: object) -> None:
    data = json.dumps({"weight_map": {"/layers": name}}).encode()
    assert recognise(data).format is Format.SHARDED_WEIGHTS
    with pytest.raises(UnrecognizedFormatError, match="beside its map"):
        shard_names(io.BytesIO(data), where="here")


def directory(*names: str) -> Recognition:
    return recognise_directory(names, lambda _name: io.BytesIO(b"{}"), where="here")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["1/saved_model.pb", "2/saved_model.pb"], r"found 1, 2\).*as in here/2$"),
        (
            ["2/model.keras.manifest.json", "10/manifest.json"],
            r"found 2/model\.keras, 10\).*here/10$",
        ),
        (["model.keras", "model.keras.manifest.json"], "as in here/model.keras$"),
        ([f"{n}/manifest.json" for n in range(1, 99)], r"found 1, 2, 3, 4, 5, …\).*here/98$"),
        (["1/notes.txt"], "numbered versions"),
        (["model.index", "model.data-00000-of-00001"], r"the part before '\.index'"),
        (["notes.txt"], r"saved_model\.pb"),
        ([], r"saved_model\.pb"),
        (["deep/saved_model.pb"], "as in here/deep$"),
        (["config.json"], r"saved_model\.pb"),
    ],
)
def test_directory_that_is_no_model(names: list[str], words: str) -> None:
    with pytest.raises(UnrecognizedFormatError, match=words) as caught:
        directory(*names)
    one_line(caught.value)


def test_directory_that_is_a_model() -> None:
    assert directory("saved_model.pb").has_keras_metadata is False
    assert directory("saved_model.pbtxt", "keras_metadata.pb").generation == 2
    assert directory("config.json", "model.weights.h5").format is Format.KERAS_DIRECTORY


def test_parts_of_a_checkpoint_name_the_prefix() -> None:
    with (
        (SAMPLES / "tf_keras-2.21.0/checkpoint/small.index").open("rb") as file,
        pytest.raises(UnrecognizedFormatError, match=r"checkpoint.*before '\.index'") as caught,
    ):
        recognise_file(file, where="here")
    one_line(caught.value)
