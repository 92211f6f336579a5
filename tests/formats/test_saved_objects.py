"""Keras metadata in the graph of a SavedModel, as before TensorFlow 2.5."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import remote_models as rm
from formats.older_saved_models import make_older, saved_model
from remote_models.errors import FormatError
from remote_models.formats import Format, Recognition, recognise_directory
from remote_models.formats._saved_objects import layer_names_of_objects, root_metadata
from remote_models.formats.safety import check_artifact

SAMPLES = Path(__file__).parent / "samples"
MODEL = b'{"class_name": "Sequential", "config": {"name": "m"}}'
NETWORK = b"_tf_keras_network"


def recognised(data: bytes) -> Recognition:
    return recognise_directory(["saved_model.pb"], lambda name: io.BytesIO(data), where="m")


@pytest.fixture
def models(tmp_path: Path) -> Iterator[tuple[rm.RemoteModel, rm.RemoteModel]]:
    """A SavedModel with a file of Keras metadata, and the same as an older TensorFlow wrote it."""
    newer = shutil.copytree(SAMPLES / "tf_keras-2.21.0/saved_model", tmp_path / "newer")
    older = shutil.copytree(newer, tmp_path / "older")
    make_older(older)
    for folder in (newer, older):
        rm.adopt_model(folder)
    with rm.open_model(newer) as first, rm.open_model(older) as second:
        yield first, second


def test_an_older_model_is_the_same_model(models: tuple[rm.RemoteModel, rm.RemoteModel]) -> None:
    newer, older = models
    assert older.recognise() == newer.recognise()
    assert newer.architecture is not None
    assert older.architecture is not None
    assert newer.architecture.items() <= older.architecture.items()
    assert list(older.weights) == list(newer.weights)
    assert older.summary() == newer.summary()


def test_the_manifest_vouches_for_the_part_of_the_graph(
    models: tuple[rm.RemoteModel, rm.RemoteModel], tmp_path: Path
) -> None:
    older = models[1]
    assert older.manifest is not None
    (document,) = older.manifest.documents
    assert (document.name, document.file) == ("model_config", "saved_model.pb")
    data = (tmp_path / "older/saved_model.pb").read_bytes()
    part = data[document.offset : document.offset + document.nbytes]
    assert json.loads(part) == older.architecture


def test_a_layer_that_leaves_its_name_out_gets_it_from_the_graph() -> None:
    """So Normalization does: its variables are called mean, variance and count."""
    nodes = [(NETWORK, MODEL), (b"_tf_keras_layer", b'{"name": "normalization"}')]
    children: dict[int, dict[bytes, int]] = {
        0: {b"layer-0": 1, b"layer_with_weights-0": 1, b"": 9, b"self": 0}, 1: {b"mean": 0}
    }  # fmt: skip
    names = layer_names_of_objects(io.BytesIO(saved_model(*nodes, children=children)), where="m")
    assert names == {"layer-0": "normalization", "layer_with_weights-0": "normalization"}


@pytest.mark.parametrize(
    ("identifier", "metadata"),
    [
        (NETWORK, b""),
        (NETWORK, b"{"),
        (NETWORK, b"[1]"),
        (NETWORK, b'{"class_name": "Mine"}'),
        (b"_generic_user_object", MODEL),
        (b"", b""),
    ],
)
def test_what_is_no_configuration_of_keras(identifier: bytes, metadata: bytes) -> None:
    assert not recognised(saved_model((identifier, metadata))).has_keras_metadata


def test_configuration_is_found() -> None:
    data = saved_model((NETWORK, MODEL), (NETWORK, b"{"))
    assert recognised(data) == Recognition(format=Format.SAVED_MODEL, generation=2)
    offset, found = root_metadata(io.BytesIO(data), where="m") or (0, b"")
    assert data[offset : offset + len(MODEL)] == MODEL == found


class Counted(io.BytesIO):
    """A file that counts the bytes that are read."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


def test_a_large_graph_is_not_read() -> None:
    inside = saved_model((NETWORK, MODEL))[2:]  # without the tag and length of the meta graph
    graph_def = b"\x12\x80\x80\x80\x01" + bytes(2 * 1024 * 1024)
    size = len(graph_def) + len(inside)
    length = bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127 | 128, size >> 21])
    file = Counted(b"\x08\x01" + b"\x12" + length + graph_def + inside)
    assert root_metadata(file, where="m") is not None
    assert file.count < 1024


def layer(kind: str) -> dict[str, Any]:
    return {"class_name": "Lambda", "config": {"name": kind, "function_type": "lambda"}}


def test_code_is_seen_wherever_tensorflow_would_look(tmp_path: Path) -> None:
    """Of two fields of one number TensorFlow takes the second, and the second graph is another."""
    clean = saved_model((NETWORK, MODEL))
    second = saved_model((NETWORK, json.dumps(layer("second")).encode()))
    what = Recognition(format=Format.SAVED_MODEL, generation=2)
    user_object = b"\x1a\x02{}" + b"\x1a" + bytes([len(json.dumps(layer("twice")))])
    twice = user_object + json.dumps(layer("twice")).encode()
    for data, found in (
        (clean, []),
        (clean + second, ["second"]),
        (_wrapped(twice, 0x22, 0x0A, 0x3A, 0x12), ["twice"]),
    ):
        (tmp_path / "saved_model.pb").write_bytes(data)
        unsafe = check_artifact(what, tmp_path, given=(), where="m").unsafe
        assert [each.owner for each in unsafe] == [f"layer {name!r}" for name in found]


def _wrapped(data: bytes, *tags: int) -> bytes:
    for tag in tags:
        data = bytes([tag, len(data) & 127 | 128, len(data) >> 7]) + data
    return data


@settings(deadline=None)
@given(data=st.binary(max_size=200), place=st.integers(0, 80))
def test_any_bytes(data: bytes, place: int) -> None:
    """A recognition, whatever there is, and an error of ours or an answer for who looks inside."""
    whole = saved_model((NETWORK, MODEL), (NETWORK, b"{}"), children={0: {b"a": 1}})
    for content in (data, whole[:place] + data + whole[place + len(data) :], whole[:place]):
        assert recognised(content).format is Format.SAVED_MODEL
        for look in (root_metadata, layer_names_of_objects):
            with suppress(FormatError):
                look(io.BytesIO(content), where="m")
