"""One name for a variable: what older and newer optimizers call it, and clashes."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote_models.formats._names import (
    OptimizerNames,
    metric_variable_name,
    optimizer_variable_name,
    unique_names,
    variable_name,
)
from remote_models.tensors import StoredTensor

WEIGHTS = ("conv1/kernel", "conv1/bias", "lstm/lstm_cell/recurrent_kernel", "a_b/c", "a/b_c")


def tensor(key: str, name: str | None = None) -> StoredTensor:
    return StoredTensor(key=key, dtype="float32", shape=(), pieces=(), name=name)


@pytest.mark.parametrize("raw", ["conv1/kernel:0", "conv1/kernel"])
def test_a_weight_loses_tensorflows_suffix(raw: str) -> None:
    assert variable_name(raw) == "conv1/kernel"


def test_only_the_first_output_is_a_variable() -> None:
    assert variable_name("conv1/kernel:1") == "conv1/kernel:1"


def test_a_metric_keeps_its_own_name_only() -> None:
    assert metric_variable_name("mae", "mean_absolute_error/total:0") == "metrics/mae/total"


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        # Keras 3
        ("adam/iteration", "iteration"),
        ("adam_1/learning_rate", "learning_rate"),
        ("adam/conv1_kernel_momentum", "momentum/conv1/kernel"),
        ("adam/conv1_kernel_velocity_hat", "velocity_hat/conv1/kernel"),
        (
            "sgd/lstm_lstm_cell_recurrent_kernel_momentum",
            "momentum/lstm/lstm_cell/recurrent_kernel",
        ),
        ("mine/conv1_kernel_my_slot", "my_slot/conv1/kernel"),
        ("adam/a_b_c_momentum", "a_b_c_momentum"),  # of which of the two, nobody knows
        ("loss_scale_optimizer/dynamic_scale", "dynamic_scale"),
        # Keras 2.11 and later
        ("iteration:0", "iteration"),
        ("learning_rate:0", "learning_rate"),
        ("Adam/m/conv1/kernel:0", "momentum/conv1/kernel"),
        ("v/conv1/kernel:0", "velocity/conv1/kernel"),
        ("Adam/my_slot/conv1/kernel:0", "my_slot/conv1/kernel"),
        ("Adam/m/unknown/kernel:0", "momentum/unknown/kernel"),
        ("m/unknown/kernel:0", "momentum/unknown/kernel"),
        ("current_loss_scale:0", "dynamic_scale"),
        # legacy
        ("Adam/iter:0", "iteration"),
        ("SGD/momentum:0", "momentum"),
        ("Adam/conv1/kernel/m:0", "momentum/conv1/kernel"),
        ("conv1/kernel/m:0", "momentum/conv1/kernel"),
        ("Adamax/conv1/kernel/v:0", "norm/conv1/kernel"),
        ("RMSprop/unknown/kernel/rms:0", "velocity/unknown/kernel"),
        ("training/Adam/conv1/kernel/v:0", "velocity/conv1/kernel"),
        ("training_2/Adam/iterations:0", "iteration"),
        ("training/Adam/Variable_3:0", "Variable_3"),
        ("good_steps:0", "step_counter"),
    ],
)
def test_an_optimizer_variable_has_one_name(raw: str, name: str) -> None:
    assert optimizer_variable_name(raw, WEIGHTS) == f"optimizer/{name}"


def test_a_layer_named_like_a_slot_is_told_from_one() -> None:
    names = OptimizerNames(["m/v", "v/m"])
    assert names("Adam/m/m/v:0") == "optimizer/momentum/m/v"
    assert names("Adam/v/v/m:0") == "optimizer/velocity/v/m"
    assert names("Adam/m/v/v:0") == "optimizer/velocity/m/v"


@given(st.text("a/_:0mv", max_size=40), st.lists(st.text("a/_mv", max_size=8), max_size=5))
def test_any_text_becomes_an_optimizers_name(raw: str, weights: list[str]) -> None:
    assert optimizer_variable_name(raw, weights).startswith("optimizer/")


@pytest.mark.parametrize("unit", ["_", "/", "m/", "a_"])
def test_a_hostile_name_costs_little(unit: str) -> None:
    names = OptimizerNames(WEIGHTS)
    start = time.process_time()
    for length in (1_000, 1_000_000):
        names(unit * (length // len(unit)))
    assert time.process_time() - start < 1


def test_a_clash_gives_both_their_keys() -> None:
    tensors = unique_names([tensor("k0", "n"), tensor("k1", "n"), tensor("k2", "other")])
    assert [tensor.name for tensor in tensors] == ["k0", "k1", "other"]


def test_without_a_name_the_key_serves() -> None:
    assert [tensor.name for tensor in unique_names([tensor("k0"), tensor("k1", "")])] == [
        "k0",
        "k1",
    ]


def test_a_name_gives_way_to_a_key() -> None:
    tensors = unique_names([tensor("k0", "k1"), tensor("k1", "k2"), tensor("k2")])
    assert [tensor.name for tensor in tensors] == ["k0", "k1", "k2"]


@given(st.dictionaries(st.integers(0, 9), st.integers(0, 9) | st.none(), max_size=10))
def test_names_are_unique_and_nobody_loses_one_for_nothing(names: dict[int, int | None]) -> None:
    tensors = [tensor(str(key), None if name is None else str(name)) for key, name in names.items()]
    renamed = unique_names(tensors)
    assert len({tensor.name for tensor in renamed}) == len(renamed)
    for before, after in zip(tensors, renamed, strict=True):
        assert after.key == before.key
        assert after.name in (before.key, before.name)
    taken = [str(key) for key in names] + [tensor.name for tensor in tensors]
    for before, after in zip(tensors, renamed, strict=True):
        if before.name is not None and taken.count(before.name) == 1:
            assert after.name == before.name


def test_a_chain_of_clashes_costs_little() -> None:
    count = 50_000
    chain = [tensor(str(key), str(key + 1)) for key in range(count)] + [tensor(str(count))]
    start = time.process_time()
    assert all(tensor.name == tensor.key for tensor in unique_names(chain))
    assert time.process_time() - start < 5
