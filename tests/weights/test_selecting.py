"""Finding tensors by name, prefix, predicate; reading several at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from remote_models.errors import TensorNotFoundError
from remote_models.remote_model import RemoteTensor, Weights
from remote_models.storage import Location
from remote_models.tensors import StoredTensor
from weights.artifacts import Array, opened, same, store_tensors

ARRAYS: dict[str, Array] = {
    "encoder/dense/kernel": np.arange(6, dtype="float32").reshape(2, 3),
    "encoder/dense/bias": np.arange(3, dtype="float32"),
    "encoder_2/kernel": np.arange(4, dtype="float64"),
    "decoder/kernel": np.zeros((0, 2), "int8"),
    "decoder/scale": np.array(2.5),
}


@pytest.fixture(params=["memory", "local"])
def weights(request: pytest.FixtureRequest) -> Weights:
    base: Location = request.getfixturevalue(f"{request.param}_base")
    cuts = {"encoder/dense/kernel": ((1, 1), (3,))}
    return opened(base, store_tensors(base, ARRAYS, cuts=cuts, files=2)).weights


def is_long(tensor: RemoteTensor) -> bool:
    return tensor.size >= 4


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        (None, list(ARRAYS)),
        ("encoder/dense/bias", ["encoder/dense/bias"]),
        ("encoder", ["encoder/dense/kernel", "encoder/dense/bias"]),
        ("encoder/", ["encoder/dense/kernel", "encoder/dense/bias"]),
        ("encoder/dense", ["encoder/dense/kernel", "encoder/dense/bias"]),
        (["decoder/scale", "encoder/dense/bias"], ["decoder/scale", "encoder/dense/bias"]),
        (("encoder/dense/bias", "encoder"), ["encoder/dense/bias", "encoder/dense/kernel"]),
        ({"decoder": 1}.keys(), ["decoder/kernel", "decoder/scale"]),
        ("key of decoder/scale", ["decoder/scale"]),
        (is_long, ["encoder/dense/kernel", "encoder_2/kernel"]),
        (lambda tensor: tensor.shape == (7,), []),
        ([], []),
    ],
    ids=["all", "name", "prefix", "prefix and slash", "longer prefix", "names", "name and prefix",
         "names once", "key", "predicate", "predicate of none", "none"],
)  # fmt: skip
def test_select_and_fetch(weights: Weights, selector: object, names: list[str]) -> None:
    chosen = weights.select(selector)  # type: ignore[arg-type]  # the table mixes its kinds
    assert [tensor.name for tensor in chosen] == names
    found = weights.fetch(names)
    assert list(found) == names
    assert all(same(found[name], ARRAYS[name]) for name in names)
    assert {name: array.tolist() for name, array in weights.stream(names)} == {
        name: ARRAYS[name].tolist() for name in names
    }


@pytest.mark.parametrize("selector", ["enc", "encoder/dense/kernel/x", "", "/", ["encoder", "x"]])
def test_what_means_nothing_is_an_error(weights: Weights, selector: str | list[str]) -> None:
    for method in (weights.select, weights.fetch, weights.stream):
        with pytest.raises(TensorNotFoundError):
            method(selector)


@pytest.mark.parametrize(
    ("name", "near"),
    [("decoder/scales", "decoder/scale"), ("encoder/dense/kernl", "encoder/dense/kernel")],
)
def test_similar_names_are_suggested(weights: Weights, name: str, near: str) -> None:
    for look in (lambda: weights[name], lambda: weights.fetch(name)):
        with pytest.raises(TensorNotFoundError) as caught:
            look()
        assert repr(near) in str(caught.value)
        assert repr(name) in str(caught.value)


def test_nothing_similar_nothing_suggested(weights: Weights) -> None:
    with pytest.raises(TensorNotFoundError) as caught:
        weights["qqq"]
    assert caught.value.hint is None


@pytest.mark.parametrize("dtype", ["float32", "string"])
def test_a_partitioned_tensor_without_a_partition(memory_base: Location, dtype: str) -> None:
    """A manifest may say ``"slices": []`` of a tensor without an element."""
    manifest = store_tensors(memory_base, {"a": np.ones(2)})
    empty = StoredTensor(key="b", name="b", dtype=dtype, shape=(0, 3), pieces=())
    again = StoredTensor.from_json(empty.to_json(), where="here", block_size=manifest.block_size)
    assert again == empty
    weights = opened(memory_base, replace(manifest, tensors=(again, *manifest.tensors))).weights
    assert np.asarray(weights["b"]).shape == (0, 3)
    assert weights["b"][:, 1].shape == (0,)
    assert set(weights.fetch()) == {"a", "b"}


def test_mapping(weights: Weights) -> None:
    assert list(weights) == list(ARRAYS)
    assert len(weights) == 5
    assert weights["key of encoder_2/kernel"] is weights["encoder_2/kernel"]
    assert "key of encoder_2/kernel" in weights
    nbytes = sum(array.nbytes for array in ARRAYS.values())
    assert repr(weights) == f"<Weights: 5 tensors, {nbytes} bytes>"
