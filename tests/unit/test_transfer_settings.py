"""Settings of transfers: defaults, environment, and what follows from them."""

from __future__ import annotations

import inspect
import pickle
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from weights.artifacts import write_weights

import remote_models as rm
from remote_models.errors import ArgumentError
from remote_models.storage import Location, RetryPolicy, Store, TransferSettings, open_store

MIB = 1024 * 1024


@given(st.integers(1, 1000), st.integers(1, 1 << 34))
def test_requests_fit_the_budget_unless_it_is_tiny(concurrency: int, budget: int) -> None:
    settings = TransferSettings(max_concurrency=concurrency, memory_budget=budget)
    assert settings.request_size <= settings.max_request
    assert settings.request_size >= MIB // 4
    assert settings.request_size * concurrency <= max(budget, concurrency * MIB // 4)


@given(st.integers(0, 5 * 1024**4), st.integers(1, 64), st.integers(1, 1 << 30))
def test_uploads_fit_the_limits_of_s3_and_the_budget(
    size: int, concurrency: int, budget: int
) -> None:
    settings = TransferSettings(max_concurrency=concurrency, memory_budget=budget)
    part = settings.part_size(size)
    assert -(-size // part) <= 10_000
    assert 8 * MIB <= part <= 5 * 1024**3
    parallel = settings.parts_at_once(part)
    assert 1 <= parallel <= concurrency
    assert parallel == 1 or (parallel + 1) * part <= budget


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("128MiB", 128 * MIB), ("1 GB", 10**9), ("2k", 2000), ("3gib", 3 << 30)],
)
def test_environment(text: str, size: int) -> None:
    environ = {"REMOTE_MODELS_MEMORY_BUDGET": text, "REMOTE_MODELS_MAX_CONCURRENCY": "5"}
    expected = TransferSettings(max_concurrency=5, memory_budget=size)
    assert TransferSettings.from_environment(environ) == expected
    assert TransferSettings.from_environment({}) == TransferSettings()


def test_environment_of_patience() -> None:
    environ = {"REMOTE_MODELS_ATTEMPTS": "8", "REMOTE_MODELS_TIMEOUT": "300"}
    expected = TransferSettings(retry=RetryPolicy(attempts=8, timeout=300))
    assert TransferSettings.from_environment(environ) == expected


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_more_bytes_are_waited_for_longer(one: int, other: int) -> None:
    policy = RetryPolicy()
    less, more = sorted((one, other))
    for patience in (policy.late_after, policy.give_up_after):
        assert patience(less) <= patience(more)
    assert policy.late_after(more) < policy.give_up_after(more)
    assert policy.give_up_after(MIB) == policy.timeout


@pytest.mark.parametrize("name", ["attempts", "late", "timeout", "slowest"])
@pytest.mark.parametrize("value", [0, -1, True, "4", float("nan")])
def test_nonsense_in_a_policy_is_named(name: str, value: Any) -> None:
    with pytest.raises(ArgumentError, match=rf"RetryPolicy\.{name}"):
        RetryPolicy(**{name: value})


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5.GB", "GB"])
@pytest.mark.parametrize("name", ["MEMORY_BUDGET", "MAX_CONCURRENCY", "ATTEMPTS", "TIMEOUT"])
def test_nonsense_in_the_environment_is_named(name: str, text: str) -> None:
    with pytest.raises(ArgumentError, match=f"REMOTE_MODELS_{name}.*positive") as error:
        TransferSettings.from_environment({f"REMOTE_MODELS_{name}": text})
    assert repr(text) in str(error.value)


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "4"])
def test_nonsense_in_an_argument_is_named(value: object) -> None:
    with pytest.raises(ArgumentError, match=r"TransferSettings\.max_concurrency"):
        TransferSettings(max_concurrency=value)  # type: ignore[arg-type]


def test_a_policy_of_another_type_is_named() -> None:
    with pytest.raises(ArgumentError, match=r"TransferSettings\.retry"):
        TransferSettings(retry=8)  # type: ignore[arg-type]


def test_a_store_takes_the_argument_before_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    location = Location.parse("memory://settings")
    monkeypatch.setenv("REMOTE_MODELS_MAX_CONCURRENCY", "3")
    assert open_store(location).transfer.max_concurrency == 3
    own = TransferSettings(max_concurrency=2)
    assert open_store(location, own).transfer == own
    assert open_store(location).transfer.max_concurrency == 3


def test_every_verb_that_moves_tensors_takes_settings() -> None:
    verbs = {
        name: inspect.signature(getattr(rm, name)).parameters
        for name in rm.__all__
        if name.endswith(("_model", "_weights"))
    }
    taking = {name for name, parameters in verbs.items() if "transfer" in parameters}
    assert taking == {name for name, found in verbs.items() if "storage_options" in found}
    assert len(taking) == 11


def test_what_a_reader_was_opened_with_limits_its_requests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And goes with it to another process."""
    path = tmp_path / "model.weights.h5"
    write_weights(path, {"dense": [np.zeros((64, 1024, 64), np.float32)]})
    rm.push_model(path, "memory://settings/model.weights.h5")
    settings = TransferSettings(max_concurrency=2, memory_budget=MIB, max_request=MIB // 2)
    lock = threading.Lock()
    now = most = 0
    read = Store.read

    def watched(self: Store, *args: Any, **options: Any) -> Any:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.001)
        try:
            return read(self, *args, **options)
        finally:
            with lock:
                now -= 1

    monkeypatch.setattr(Store, "read", watched)
    remote = rm.open_model("memory://settings/model.weights.h5", transfer=settings)
    for each in (remote, pickle.loads(pickle.dumps(remote))):
        most = 0
        each.weights.fetch()
        assert most == 2
