"""What a configuration says about the variables of a model."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest

from remote_models.errors import FormatError
from remote_models.formats._architecture import (
    container_names,
    has_bfloat16_variables,
    optimizer_of,
    parse_architecture,
    stored_layers,
)
from remote_models.formats._layer_variables import (
    LAYERS_WITH_VARIABLES,
    class_of_name,
    guess_variables,
    layer_variables,
    snake_case,
)
from remote_models.formats._numbered_names import name_numbered_tensors
from remote_models.formats._optimizer_variables import (
    OPTIMIZERS_WITH_NAMES,
    Weight,
    optimizer_variables,
)
from remote_models.tensors import Piece, StoredTensor


def names(class_name: str, **config: Any) -> list[str | None] | None:
    variables = layer_variables(class_name, config)
    return None if variables is None else [each.name for each in variables]


def layer(class_name: str, name: str, **config: Any) -> dict[str, Any]:
    return {
        "module": "keras.layers", "class_name": class_name, "config": {"name": name, **config},
    }  # fmt: skip


def sequential(*layers: Mapping[str, Any], name: str = "model", **config: Any) -> dict[str, Any]:
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": name, "layers": list(layers), **config},
    }


def tensor(key: str, *shape: int, dtype: str = "float32") -> StoredTensor:
    piece = Piece(file="f", offset=0, nbytes=0, origin=(0,) * len(shape), shape=shape)
    return StoredTensor(key=key, dtype=dtype, shape=shape, pieces=(piece,))


@pytest.mark.parametrize(
    ("class_name", "config", "expected"),
    [
        ("Dense", {}, ["kernel", "bias"]),
        ("Dense", {"use_bias": False}, ["kernel"]),
        ("BatchNormalization", {"scale": False}, ["beta", "moving_mean", "moving_variance"]),
        ("EinsumDense", {"bias_axes": None}, ["kernel"]),
        ("EinsumDense", {"bias_axes": "c"}, ["kernel", "bias"]),
        ("Normalization", {"mean": [1.0]}, []),
        ("LayerNormalization", {"rms_scaling": True}, None),
        ("Dense", {"dtype": {"config": {"mode": "int8"}}}, None),
        ("Dense", {"dtype": "int8_from_float32"}, None),
        ("Mine", {}, None),
    ],
)
def test_variables_of_a_layer(
    class_name: str, config: dict[str, Any], expected: list[str] | None
) -> None:
    assert names(class_name, **config) == expected


@pytest.mark.parametrize(
    ("class_name", "count", "expected"),
    [
        ("Dense", 1, ["kernel"]),
        ("Dense", 3, None),
        ("BatchNormalization", 4, ["gamma", "beta", "moving_mean", "moving_variance"]),
        ("BatchNormalization", 3, None),  # scale or center: nobody knows
        ("LayerNormalization", 1, None),
        ("Normalization", 3, ["mean", "variance", "count"]),
        ("Mine", 1, None),
    ],
)
def test_a_number_of_variables_may_tell_which_they_are(
    class_name: str, count: int, expected: list[str] | None
) -> None:
    found = guess_variables(class_name, count)
    assert (None if found is None else [each.name for each in found]) == expected


def test_names_lead_back_to_classes() -> None:
    for class_name in LAYERS_WITH_VARIABLES:
        assert class_of_name(f"{snake_case(class_name)}_12") == class_name
    assert class_of_name("denser") is None


def test_layers_are_numbered_by_class_and_models_have_no_name_in_a_variables() -> None:
    inner = sequential(layer("Dense", "a"), layer("Dense", "b"), name="inner")
    operation = {"module": "keras.src.ops.numpy", "class_name": "Add", "config": {"name": "add"}}
    model = sequential(layer("Dense", "c"), operation, inner, layer("Add", "sum"))
    assert [(each.key, each.name) for each in stored_layers(model)] == [
        ("", None),
        ("layers/dense", "c"),
        ("layers/sequential", "inner"),
        ("layers/sequential/layers/dense", "a"),
        ("layers/sequential/layers/dense_1", "b"),
        ("layers/add", "sum"),
    ]
    assert container_names(model) == {"model", "inner"}


def test_names_without_labels_come_from_the_configuration() -> None:
    stacked = layer(
        "StackedRNNCells", "stack", cells=[layer("LSTMCell", "x"), layer("GRUCell", "y")]
    )
    model = sequential(
        layer("RNN", "deep", cell=stacked),
        layer("Bidirectional", "both", layer=layer("GRU", "gru")),
        layer("MultiHeadAttention", "look", use_bias=False),
    )
    keys = [
        "layers/rnn/cell/cells/gru_cell/vars",
        "layers/bidirectional/backward_layer/cell/vars",
    ]
    tensors = [tensor(f"{key}/{i}", *shape) for key in keys for i, shape in enumerate(
        [(2, 6), (2, 6), (2, 6)]
    )]  # fmt: skip
    tensors.append(tensor("layers/multi_head_attention/_output_dense/vars/0", 2, 3, 4))
    found = {each.key: each.name for each in name_numbered_tensors(tensors, {}, model)}
    assert found["layers/rnn/cell/cells/gru_cell/vars/1"] == "deep/stack/y/recurrent_kernel"
    assert (
        found["layers/bidirectional/backward_layer/cell/vars/2"]
        == "both/backward_gru/gru_cell/bias"
    )
    assert (
        found["layers/multi_head_attention/_output_dense/vars/0"] == "look/attention_output/kernel"
    )


@pytest.mark.parametrize(
    "described",
    [
        layer("Dense", "mine") | {"registered_name": "mine>Dense"},
        layer("Dense", "mine") | {"module": "my.layers"},
        layer("Dense", "mine") | {"module": None, "registered_name": "Dense"},
        layer("Dense", "mine", use_bias=False),
        layer("Dense", "mine", dtype={"config": {"mode": "int4"}}),
    ],
)
def test_a_layer_that_is_not_the_one_in_the_table_has_keys(described: dict[str, Any]) -> None:
    tensors = [tensor("layers/dense/vars/0", 2, 3), tensor("layers/dense/vars/1", 3)]
    found = name_numbered_tensors(tensors, {"layers/dense": "mine"}, sequential(described))
    assert [each.name for each in found] == [None, None]


def test_slots_need_every_trainable_variable() -> None:
    tensors = [
        tensor("layers/dense/vars/0", 2, 3), tensor("layers/dense/vars/1", 3),
        tensor("optimizer/vars/0"), tensor("optimizer/vars/1"),
        tensor("optimizer/vars/2", 2, 3), tensor("optimizer/vars/3", 3),
    ]  # fmt: skip
    model = sequential(layer("Dense", "d"))
    model["compile_config"] = {
        "optimizer": {"module": "keras.optimizers", "class_name": "SGD", "config": {"momentum": 1}}
    }

    def slots(*more: StoredTensor) -> list[str | None]:
        found = name_numbered_tensors([*tensors, *more], {}, model)
        return [each.name for each in found if each.key.startswith("optimizer/")]

    own = ["optimizer/iteration", "optimizer/learning_rate"]
    assert slots() == [*own, "optimizer/momentum/d/kernel", "optimizer/momentum/d/bias"]
    assert slots(tensor("layers/mine/vars/0", 3)) == ["optimizer/iteration", None, None, None]
    assert slots(tensor("optimizer/vars/4", 3)) == ["optimizer/iteration", *[None] * 4]


def test_shapes_that_an_optimizer_would_not_make_have_no_names() -> None:
    weights = [Weight("a", (2, 3)), Weight("b", (3,))]
    for class_name in OPTIMIZERS_WITH_NAMES:
        found = optimizer_variables(class_name, {"momentum": 0.9}, weights, [(), (), (7,), (3,)])
        assert found[1:] == [None, None, None]
    assert list(optimizer_variables("Mine", {}, weights, [(), (2, 3)])) == [None, None]
    assert list(optimizer_variables("adam", {}, [], [])) == []


def test_bfloat16_is_a_policy_of_any_layer() -> None:
    policy = {"class_name": "DTypePolicy", "config": {"name": "bfloat16"}}
    assert has_bfloat16_variables(sequential(layer("Dense", "d", dtype=policy)))
    assert has_bfloat16_variables(sequential(dtype="bfloat16"))
    assert not has_bfloat16_variables(sequential(dtype="mixed_bfloat16"))


@pytest.mark.parametrize("value", [None, 7, [], "adam", {"optimizer": 7}, {"optimizer": {}}])
def test_an_optimizer_that_is_none(value: object) -> None:
    assert optimizer_of({"class_name": "Sequential", "compile_config": value}) is None


def test_layers_that_double_what_they_contain_cost_little() -> None:
    described = layer("GRU", "gru")
    for _ in range(40):
        described = layer("Bidirectional", "b", layer=described)
    start = time.perf_counter()
    tracemalloc.start()
    found = stored_layers(sequential(described))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found) == 100_000
    assert peak < 128 << 20
    assert time.perf_counter() - start < 30


def test_models_inside_models_without_end_end() -> None:
    described = sequential(layer("Dense", "d"))
    for _ in range(500):
        described = sequential(described)
    assert len(stored_layers(described)) == 33
    assert container_names(described) == {"model"}


@pytest.mark.parametrize(
    "config",
    [None, 7, [], [7], {"layers": 7}, {"layers": [7, None, {}]}, {"layers": [{"class_name": []}]},
     {"name": [], "layers": [layer("LSTM", "x", cell=7)]}, {"layers": [layer("RNN", "r")]},
     {"layers": [{"class_name": "Dense", "config": []}], "trainable": "no", "dtype": []}],
)  # fmt: skip
def test_a_configuration_that_makes_no_sense_gives_no_names(config: object) -> None:
    model = {"class_name": "Sequential", "config": config, "compile_config": config}
    tensors = [tensor("layers/dense/vars/0", 3), tensor("optimizer/vars/0"), tensor("x", 1)]
    found = name_numbered_tensors(tensors, {}, model)
    assert sorted(each.key for each in found) == sorted(each.key for each in tensors)
    assert {each.name for each in found} == {None}
    has_bfloat16_variables(model)
    container_names(model)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b"\xff", b"[" * 100_000])
def test_a_configuration_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match="here: the model's configuration"):
        parse_architecture(data, where="here")
