"""Signatures read out of ``saved_model.pb`` files that were made by hand, and the layout."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import pytest
from formats.bundles import message, number
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

import remote_models as rm
from remote_models.errors import FormatError, IntegrityError
from remote_models.formats import recognise_directory, shared_variables, state_key
from remote_models.formats.indexing import (
    Signature,
    SignatureTensor,
    find_documents,
    parse_signatures,
)
from remote_models.storage import Location

FLOAT, STRING, NEW = 1, 7, 999


def tensor(dtype: int, shape: tuple[int | None, ...] | None) -> bytes:
    """A ``TensorInfo``: the name inside the graph is of no interest."""
    lengths = b"" if shape is None else message(3, *(dimension(each) for each in shape))
    return message(1, b"graph/name:0") + number(2, dtype) + lengths


def dimension(length: int | None) -> bytes:
    return message(2, number(1, -1 if length is None else length))


def named(field: int, name: str, *value: bytes) -> bytes:
    """An entry of a map."""
    return message(field, message(1, name.encode()), message(2, *value))


def graph(*signatures: bytes, tag: str = "serve") -> bytes:
    return message(
        2, message(1, message(4, tag.encode())), message(2, b"\x0a\x00" * 50), *signatures
    )


SERVING = named(
    5,
    "serving_default",
    named(1, "x", tensor(FLOAT, (None, 8))),
    named(1, "words", tensor(STRING, ())),
    named(2, "out", tensor(NEW, None)),
    message(3, b"tensorflow/serving/predict"),
)
START = named(5, "__saved_model_init_op", named(2, "__saved_model_init_op", tensor(FLOAT, ())))
OTHER = named(5, "other", named(1, "x", tensor(FLOAT, (0,))))

EXPECTED = Signature(
    inputs={
        "words": SignatureTensor(dtype="string", shape=()),
        "x": SignatureTensor(dtype="float32", shape=(None, 8)),
    },
    outputs={"out": SignatureTensor(dtype="dtype 999", shape=None)},
)


def test_a_signature_says_what_goes_in_and_out() -> None:
    found = parse_signatures(number(1, 1) + graph(START, SERVING), where="m")
    assert found == {"serving_default": EXPECTED}
    assert str(found["serving_default"]) == (
        "(words: string[], x: float32[?,8]) -> out: dtype 999[...]"
    )


def test_the_graph_that_is_served_counts() -> None:
    data = graph(OTHER, tag="train") + graph(SERVING)
    assert list(parse_signatures(data, where="m")) == ["serving_default"]
    assert list(parse_signatures(graph(OTHER, tag="train"), where="m")) == ["other"]


def test_a_signature_may_be_empty() -> None:
    found = parse_signatures(graph(named(5, "f")), where="m")
    assert str(found["f"]) == "() -> nothing"


@pytest.mark.parametrize("data", [b"", b"graph", number(1, 1), graph(SERVING)[:-3]])
def test_damage_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"^m: "):
        parse_signatures(data, where="m")


@given(st.binary(max_size=200), st.integers(0, 400))
def test_no_bytes_are_another_error(noise: bytes, at: int) -> None:
    whole = graph(START, SERVING)
    for data in (noise, whole[:at] + noise + whole[at + len(noise) :]):
        try:
            found = parse_signatures(data, where="m")
        except FormatError:
            continue
        assert all(isinstance(str(each), str) for each in found.values())


def test_signatures_are_checked_before_they_are_told(memory_base: Location) -> None:
    files = MemoryFileSystem()
    files.pipe(f"/{memory_base.path}/saved_model.pb", graph(SERVING))
    assert rm.open_model(str(memory_base)).signatures == {"serving_default": EXPECTED}
    rm.adopt_model(str(memory_base))
    assert rm.open_model(str(memory_base)).signatures == {"serving_default": EXPECTED}
    files.pipe(f"/{memory_base.path}/saved_model.pb", graph(SERVING).replace(b"words", b"bytes"))
    with pytest.raises(IntegrityError, match=r"saved_model\.pb"):
        _ = rm.open_model(str(memory_base)).signatures


# Where Keras' part of a SavedModel lies


CONFIG = "assets.extra/keras/config.json"
METADATA = "assets.extra/keras/metadata.json"
VOCABULARY = "assets.extra/keras/assets/layers/lookup/vocabulary.txt"

FILES = {
    "saved_model.pb": b"",
    CONFIG: json.dumps({"class_name": "Sequential", "config": {}}).encode(),
    METADATA: b'{"keras_version": "3.14.1"}',
    VOCABULARY: b"a\nb\n",
    "assets.extra/theirs.txt": b"somebody else's",
}


def recognised(files: Mapping[str, bytes]) -> tuple[int | None, str | None, bool]:
    what = recognise_directory(list(files), lambda path: io.BytesIO(files[path]), where="m")
    assert what.format == "saved_model"
    return what.generation, what.keras_version, what.has_keras_metadata


def without(*names: str) -> dict[str, bytes]:
    return {path: data for path, data in FILES.items() if path not in names}


def test_a_configuration_makes_it_a_model_of_keras_3() -> None:
    assert recognised(FILES) == (3, "3.14.1", True)
    assert recognised(without(METADATA)) == (3, None, True)
    assert recognised(FILES | {METADATA: b"\xff{"}) == (3, None, True)
    assert recognised(without(CONFIG)) == (None, None, False)
    assert recognised(FILES | {"keras_metadata.pb": b""}) == (2, None, True)


def test_the_documents_are_those_of_an_archive() -> None:
    def found(files: Mapping[str, bytes]) -> dict[str, str]:
        what = recognise_directory(list(files), lambda path: io.BytesIO(files[path]), where="m")
        documents = find_documents(
            what.format, list(files), lambda path: io.BytesIO(files[path]), name="m", where="m"
        )
        return {each.name: each.file for each in documents}

    assert found(FILES) == {
        "model_config": CONFIG,
        "assets/layers/lookup/vocabulary.txt": VOCABULARY,
    }
    assert found(FILES | {"keras_metadata.pb": b"x"}) == {"keras_metadata": "keras_metadata.pb"}
    assert found(without(CONFIG)) == {}


def test_keys_of_the_checkpoint_are_keys_of_a_weights_file() -> None:
    value = "/.ATTRIBUTES/VARIABLE_VALUE"
    assert state_key(f"keras/layers/dense/vars/0{value}") == "layers/dense/vars/0"
    assert state_key(f"keras/a..b/vars/0{value}") == "a.b/vars/0"
    assert state_key("keras/layers/dense/vars/0") is None
    assert state_key(f"others/0{value}") is None
    assert state_key(f"kerasque/0{value}") is None


@pytest.mark.parametrize("value", [None, 1, [], "x", {"a": 1}, {"a": None}, {"a": ["b"]}])
def test_nonsense_shares_nothing(value: object) -> None:
    assert shared_variables({"shared_variables": value}) == {}


def test_shared_variables() -> None:
    assert shared_variables({"shared_variables": {"a": "b", "c": 2}}) == {"a": "b"}
    assert shared_variables({}) == {}
