"""Single rows of the translation, and what it does to configurations that are no good."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from remote_models.errors import GenerationError
from remote_models.frameworks._keras2 import translate_architecture


def functional(*layers: dict[str, Any]) -> dict[str, Any]:
    """Return a model of Keras 2 in which each layer follows the one before."""
    shape = {"class_name": "__tuple__", "items": [None, 6, 4]}
    members = [
        {"class_name": "InputLayer", "config": {"batch_input_shape": shape, "name": "input"}},
        *layers,
    ]
    for number, member in enumerate(members):
        member["name"] = member["config"].setdefault("name", f"layer_{number}")
        before = members[number - 1]["config"]["name"] if number else ""
        member.setdefault("inbound_nodes", [[[before, 0, 0, {}]]] if number else [])
    end = [[members[-1]["name"], 0, 0]]
    config = {"name": "m", "layers": members, "input_layers": [["input", 0, 0]]}
    return {"class_name": "Functional", "config": {**config, "output_layers": end}}


def translated(class_name: str, **config: Any) -> dict[str, Any]:
    """Return one translated layer's configuration."""
    described = functional({"class_name": class_name, "config": config})
    model = translate_architecture(described, custom=(), url="s3://bucket/m")
    member: dict[str, Any] = model["config"]["layers"][1]
    return {"class": member["class_name"], **member["config"]}


@pytest.mark.parametrize(
    ("class_name", "before", "after"),
    [
        ("LSTM", {"time_major": False, "implementation": 2}, {}),
        ("GRU", {}, {"reset_after": False}),
        ("GRU", {"reset_after": True}, {"reset_after": True}),
        ("DepthwiseConv2D", {"groups": 1}, {}),
        ("MultiHeadAttention", {"query_shape": [None, 2], "softmax_robust_masking": False}, {}),
        ("LeakyReLU", {"alpha": 0.1}, {"negative_slope": 0.1}),
        ("BatchNormalization", {"axis": [3], "fused": None}, {"axis": 3}),
        ("Embedding", {"input_length": 6}, {}),
        ("Dense", {"dtype": {"class_name": "Policy", "config": {"name": "mixed_float16"}}},
         {"dtype": "mixed_float16"}),
        ("Dense", {"activation": "swish"}, {"activation": "swish"}),
        ("Conv2D", {"kernel_size": {"class_name": "__tuple__", "items": [3, 3]}},
         {"kernel_size": [3, 3]}),
    ],
)  # fmt: skip
def test_arguments_are_translated(
    class_name: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    assert translated(class_name, **before) == {"class": class_name, "name": "layer_1", **after}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("glorot_uniform", "GlorotUniform"),
        ("normal", "RandomNormal"),
        ({"class_name": "VarianceScaling", "config": {"distribution": "normal", "dtype": "x"}},
         "VarianceScaling"),
    ],
)  # fmt: skip
def test_initializers_are_found_by_their_old_names(old: Any, new: str) -> None:
    found = translated("Dense", kernel_initializer=old)["kernel_initializer"]
    assert (found["module"], found["class_name"]) == ("keras.initializers", new)
    assert "dtype" not in found["config"]


@pytest.mark.parametrize(
    ("class_name", "config", "found"),
    [
        ("LSTM", {"time_major": True}, "time_major=True"),
        ("DepthwiseConv2D", {"groups": 2}, "groups=2"),
        ("InputLayer", {"ragged": True}, "ragged=True"),
        ("LocallyConnected1D", {}, "LocallyConnected1D"),
        ("Mine", {}, "Mine"),
        ("Dense", {"activation": "os.system"}, "os.system"),
        ("Dense", {"kernel_initializer": {"class_name": "Mine", "config": {}}}, "Mine"),
        ("Dense", {"kernel_constraint": {"class_name": "RadialConstraint", "config": {}}},
         "RadialConstraint"),
        ("TFOpLambda", {"function": "linalg.svd"}, "tf.linalg.svd"),
        ("StringLookup", {"vocabulary": None}, "vocabulary"),
    ],
)  # fmt: skip
def test_what_has_no_match_is_refused_by_name(
    class_name: str, config: dict[str, Any], found: str
) -> None:
    with pytest.raises(GenerationError) as caught:
        translated(class_name, name="odd", **config)
    assert "layer 'odd'" in str(caught.value.where)
    assert found in str(caught.value) or found in str(caught.value.message)
    assert "framework='tf_keras'" in str(caught.value.hint)


def test_a_class_of_the_callers_goes_first() -> None:
    described = functional({"class_name": "LocallyConnected1D", "config": {"filters": 2}})
    model = translate_architecture(described, custom=("LocallyConnected1D",), url="u")
    member = model["config"]["layers"][1]
    assert member["registered_name"] == "LocallyConnected1D"
    assert member["config"]["filters"] == 2


@pytest.mark.parametrize(
    ("legacy", "expected"),
    [
        ({"class_name": "Adam", "config": {"lr": 0.1, "decay": 0.0}}, {"learning_rate": 0.1}),
        ({"class_name": "Custom>Adam", "config": {"learning_rate": 0.1, "jit_compile": False}},
         {"learning_rate": 0.1}),
    ],
)  # fmt: skip
def test_optimizers_are_translated(legacy: dict[str, Any], expected: dict[str, Any]) -> None:
    described = functional({"class_name": "Dense", "config": {"units": 1}})
    described["training_config"] = {
        "optimizer_config": legacy,
        "loss": {"class_name": "Huber", "config": {"reduction": "auto", "fn": "huber"}},
        "metrics": [
            {"class_name": "MeanMetricWrapper",
             "config": {"name": "acc", "fn": "binary_accuracy"}},
            "acc",
        ],
        "loss_weights": None,
    }  # fmt: skip
    found = translate_architecture(described, custom=(), url="u")["compile_config"]
    assert found["optimizer"]["class_name"] == "Adam"
    assert found["optimizer"]["config"] == expected
    assert found["loss"]["config"] == {"reduction": "sum_over_batch_size"}
    assert found["metrics"][0]["class_name"] == "BinaryAccuracy"
    assert found["metrics"][1] == "accuracy"


def test_the_first_call_of_a_nested_model_is_call_1_of_keras_2() -> None:
    nested = functional({"class_name": "Dense", "config": {"units": 1, "name": "inside"}})
    nested["config"]["name"] = "nested"
    described = functional(
        nested, {"class_name": "ReLU", "config": {}, "inbound_nodes": [[["nested", 1, 0, {}]]]}
    )
    model = translate_architecture(described, custom=(), url="u")
    (call,) = model["config"]["layers"][2]["inbound_nodes"]
    assert call["args"][0]["config"]["keras_history"] == ["nested", 0, 0]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3)
    | st.sampled_from(["input", "layer_1", "Dense", "TFOpLambda", "Sequential", "concat"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(["class_name", "config", "name", "layers", "inbound_nodes", "fn",
                         "input_layers", "output_layers", "function", "axis", "layer"]),
        inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    json_values, json_values, st.sampled_from(["Dense", "Lambda", "TFOpLambda", "Bidirectional"])
)
def test_nonsense_is_refused_and_nothing_else(config: Any, node: Any, class_name: str) -> None:
    described = functional({"class_name": class_name, "config": {"name": "odd"}})
    described["config"]["layers"][1]["config"] = config
    described["config"]["layers"][1]["inbound_nodes"] = node
    with suppress(GenerationError):
        translate_architecture(described, custom=(), url="u")
