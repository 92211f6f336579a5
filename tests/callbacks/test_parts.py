"""The parts of the callbacks, without a framework."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

from remote_models.callbacks import BackupAndRestore, ModelCheckpoint
from remote_models.callbacks._background import Saves, UnreportedSaveWarning
from remote_models.callbacks._backup_record import BackupRecord
from remote_models.callbacks._frequency import SaveFrequency
from remote_models.callbacks._monitor import Monitor
from remote_models.callbacks._preemption import Preemption
from remote_models.callbacks._random_states import random_states, restore_random_states
from remote_models.errors import ArgumentError, ManifestError, StoreUnavailableError


def test_importing_them_imports_no_framework() -> None:
    code = (
        "import sys, remote_models.callbacks\n"
        "print(*{'keras', 'tf_keras', 'tensorflow', 'jax', 'h5py', 's3fs'} & {*sys.modules})"
    )
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert child.stdout.strip() == ""


@pytest.mark.parametrize(
    "arguments",
    [
        {"save_freq": 0},
        {"save_freq": "batch"},
        {"save_freq": True},
        {"when_busy": "replace"},
        {"patience": -1},
        {"is_chief": 1},
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: dict[str, object]) -> None:
    for callback in (BackupAndRestore, ModelCheckpoint):
        with pytest.raises(ArgumentError) as caught:
            callback("memory://bucket/run", **arguments)  # type: ignore[arg-type]
        assert caught.value.where == next(iter(arguments))


@pytest.mark.parametrize(
    "arguments",
    [
        {"mode": "lower"},
        {"keep_last": 0},
        {"keep_best": "all"},
        {"save_format": "pickle"},
        {"monitor": "val_fish", "save_best_only": True},
    ],
)
def test_arguments_of_checkpoints_that_make_no_sense(arguments: dict[str, object]) -> None:
    with pytest.raises(ArgumentError):
        ModelCheckpoint("memory://bucket/run", **arguments)  # type: ignore[arg-type]


def test_batches_are_counted_on_from_one_epoch_to_the_next() -> None:
    frequency = SaveFrequency(3)
    due = []
    for epoch in range(3):
        frequency.begin_epoch()
        due += [(epoch, batch) for batch in range(4) if frequency.is_due(batch)]
    assert due == [(0, 2), (1, 1), (2, 0), (2, 3)]


def test_several_batches_at_once() -> None:
    frequency = SaveFrequency(4)
    frequency.begin_epoch()
    assert [frequency.is_due(batch) for batch in (2, 5, 8, 9)] == [False, True, False, True]


def test_the_best_value_by_mode() -> None:
    for mode, values, expected in (
        ("min", [3.0, math.nan, 2.0, 2.0, 5.0], [True, False, True, False, False]),
        ("max", [3.0, 2.0, 4.0], [True, False, True]),
    ):
        monitor = Monitor("metric", mode, None)
        assert [monitor.is_better({"metric": each}) for each in values] == expected
    assert Monitor("val_loss", "auto", None).mode == "min"
    assert Monitor("val_sparse_categorical_accuracy", "auto", None).mode == "max"


def test_a_metric_that_is_not_logged_is_warned_of_once() -> None:
    monitor = Monitor("val_loss", "min", None)
    with pytest.warns(UserWarning, match="'val_loss'.*'loss'"):
        assert not monitor.is_better({"loss": 1.0})
    assert not monitor.is_better({"loss": 1.0})


class Save:
    """A save that waits for a word, and fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.word = threading.Event()
        self.attempts = 0
        self._failures = failures

    def __call__(self) -> None:
        self.word.wait(20)
        self.attempts += 1
        if self.attempts <= self._failures:
            raise StoreUnavailableError("nobody answers")


def test_a_save_under_way_is_waited_for_or_lets_the_next_one_skip() -> None:
    waiting = Saves(in_background=True, when_busy="wait", patience=0)
    skipping = Saves(in_background=True, when_busy="skip", patience=0)
    for saves in (waiting, skipping):
        save = Save()
        assert saves.make_way()
        saves.start(save)
        if saves is skipping:
            assert not saves.make_way()
        save.word.set()
        saves.finish()
        assert saves.make_way()
        assert save.attempts == 1
        saves.close()


def test_a_failure_is_raised_once_by_the_next_check() -> None:
    saves = Saves(in_background=True, when_busy="wait", patience=0)
    save = Save(failures=1)
    saves.start(save)
    saves.check()  # it is under way
    save.word.set()
    with pytest.raises(StoreUnavailableError):
        saves.finish()
    saves.check()
    saves.close()


def test_a_store_that_comes_back_costs_no_more_than_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("remote_models.callbacks._background.time.sleep", lambda _: None)
    saves = Saves(in_background=True, when_busy="wait", patience=60)
    save = Save(failures=3)
    save.word.set()
    saves.start(save)
    saves.close()
    assert save.attempts == 4


def test_a_failure_that_no_hook_was_there_to_raise_is_warned_of() -> None:
    saves = Saves(in_background=True, when_busy="wait", patience=0)
    save = Save(failures=1)
    save.word.set()
    saves.start(save)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del saves
    assert [each.category for each in caught] == [UnreportedSaveWarning]


def test_the_generators_of_python_and_numpy_go_on() -> None:
    random.gauss(0, 1)
    np.random.normal()
    states = json.loads(json.dumps(random_states()))
    expected = [random.gauss(0, 1), random.random(), np.random.normal(), np.random.rand()]
    restore_random_states(states)
    assert [
        random.gauss(0, 1), random.random(), np.random.normal(), np.random.rand()
    ] == expected  # fmt: skip


RECORD = BackupRecord(
    epoch=2,
    batch=3,
    epochs=[0, 1],
    history={"loss": [0.1 + 0.2, math.inf], "val_loss": [-math.inf]},
    random_states=random_states(),
)


def test_a_record_is_read_as_it_was_written() -> None:
    document = json.loads(json.dumps(RECORD.to_json(), allow_nan=False))
    assert BackupRecord.from_json(document, where="here") == RECORD


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"epoch": -1},
        {"epoch": True},
        {"batch": 1.5},
        {"history": [1]},
        {"history": {"loss": ["a"]}},
        {"epochs": None},
    ],
)
def test_a_record_that_is_none_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ManifestError, match=r"metadata\.backup"):
        BackupRecord.from_json({**RECORD.to_json(), **change}, where="here")
    documents: tuple[object, ...] = (None, {}, [])
    for document in documents:
        with pytest.raises(ManifestError):
            BackupRecord.from_json(document, where="here")


def test_sigterm_is_held_back_only_while_the_loop_runs() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: heard.append(number))
    try:
        preemption = Preemption()

        def loop() -> None:
            preemption.watch(0)
            os.kill(os.getpid(), signal.SIGTERM)
            assert (preemption.is_due, heard) == (True, [])
            preemption.give_way()
            assert heard == [signal.SIGTERM]
            preemption.watch(0)

        loop()
        # An exception has left the loop, and nobody has said so.
        os.kill(os.getpid(), signal.SIGTERM)
        assert (preemption.is_due, len(heard)) == (False, 2)
        os.kill(os.getpid(), signal.SIGTERM)
        assert len(heard) == 3
    finally:
        signal.signal(signal.SIGTERM, before)
