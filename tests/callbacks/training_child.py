"""Train with the callbacks, stop half-way, and go on. Prints one JSON object for each case.

Arguments: a folder for what is saved, ``keras`` or ``tf_keras``, and ``all`` or ``some``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import remote_models as rm
import remote_models.errors
from remote_models.callbacks import BackupAndRestore, ModelCheckpoint

if sys.argv[2] == "tf_keras":
    import tf_keras as keras

    # Else the state of dropout is TensorFlow's own, and nobody can save it.
    keras.backend.experimental.enable_tf_random_generator()
else:
    import keras

FOLDER = Path(sys.argv[1])
EPOCHS = 3
DATA = np.random.default_rng(0).normal(size=(70, 4)).astype("float32")


class StoppedError(Exception):
    """Somebody has pulled the plug."""


class Plug(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Is pulled after some steps."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self._left = steps

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._left -= 1
        if not self._left:
            raise StoppedError


def build() -> Any:
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dropout(0.3),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(2),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-2), "mse", metrics=["mae"])
    return model


def fit(model: Any, callbacks: Sequence[Any], epochs: int = EPOCHS) -> Any:
    return model.fit(
        DATA,
        DATA[:, :2],
        batch_size=10,
        epochs=epochs,
        # tf_keras keeps the order of a shuffle where nobody gets at it.
        shuffle=keras.__version__ >= "3",
        validation_data=(DATA[:20], DATA[:20, :2]),
        verbose=0,
        callbacks=list(callbacks),
    )


def report(case: str, **found: Any) -> None:
    print(json.dumps({"case": case, **found}), flush=True)


def goes_on(frequencies: Sequence[str | int]) -> None:
    """Stop ever later and start again, until the training is done."""
    undisturbed = build()
    history = fit(undisturbed, []).history
    for save_freq in frequencies:
        url = FOLDER / f"backup-{save_freq}"
        begun = []
        # In an epoch, at its last step, between two, and behind the last backup of it.
        for steps in (4, 7, 9, 12, 0):
            model = build()
            backup = BackupAndRestore(url, save_freq=save_freq, delete_checkpoint=steps > 0)
            try:
                found = fit(model, [Plug(steps), backup]).history
            except StoppedError:
                backup._saves.close()  # what the end of the process waits for
            record = backup.restored
            begun.append([record.epoch, record.batch] if record else None)
        pairs = zip(undisturbed.get_weights(), model.get_weights(), strict=True)
        report(
            f"goes on, {save_freq}",
            begun=begun,
            same_weights=all(np.array_equal(ours, theirs) for ours, theirs in pairs),
            same_history=found == history,
        )
        model = build()
        again = BackupAndRestore(url, save_freq=save_freq)
        done = fit(model, [again]).history
        pairs = zip(undisturbed.get_weights(), model.get_weights(), strict=True)
        report(
            f"is done, {save_freq}",
            same_weights=all(np.array_equal(ours, theirs) for ours, theirs in pairs),
            same_history=done == history,
            is_deleted=not url.exists(),
            next_begins=getattr(model, "_initial_epoch", None),
        )


def keeps_the_best() -> None:
    url = FOLDER / "best"
    first = ModelCheckpoint(url, "loss", save_best_only=True, metadata={"run": "a"})
    model = build()
    fit(model, [first])
    second = ModelCheckpoint(url, "loss", save_best_only=True, initial_value_threshold=1e9)
    fit(build(), [second], epochs=1)  # no better than the best of the first
    loaded = first.repository.load()
    pairs = zip(model.get_weights(), loaded.get_weights(), strict=True)
    report(
        "keeps the best",
        best=first.best,
        remembered=second.best,
        saved_again=second.last_version is not None,
        versions=[[each.number, dict(each.metadata)] for each in first.repository.versions()],
        same_weights=all(np.array_equal(ours, theirs) for ours, theirs in pairs),
    )


def keeps_some() -> None:
    saver = ModelCheckpoint(
        FOLDER / "some", "loss", save_freq=3, save_weights_only=True, keep_last=1, keep_best=1
    )
    model = build()
    fit(model, [saver])
    versions = saver.repository.versions()
    target = build()
    rm.load_weights(target, saver.repository.url())
    report(
        "keeps some",
        versions=[[each.number, dict(each.metadata)] for each in versions],
        names=sorted(Path(each.url).name for each in versions),
        predicts=float(np.sum(target.predict(DATA[:3], verbose=0))),
    )


def saves_on_the_chief() -> None:
    others = [
        ModelCheckpoint(FOLDER / "not", is_chief=False),
        BackupAndRestore(FOLDER / "neither", is_chief=False),
    ]
    chief = ModelCheckpoint(FOLDER / "chief", save_freq=4)
    fit(build(), [*others, chief], epochs=1)
    report(
        "saves on the chief",
        others=[(FOLDER / name).exists() for name in ("not", "neither")],
        chief=len(chief.repository.versions()),
    )


def says_what_is_wrong() -> None:
    url = FOLDER / "no such folder" / "run"
    for asynchronous in (True, False):
        saver = ModelCheckpoint(url, asynchronous=asynchronous, patience=0)
        try:
            fit(build(), [saver], epochs=1)
        except rm.errors.BucketNotFoundError as error:
            report(f"says what is wrong, {asynchronous}", error=str(error))


def skips() -> None:
    """A save takes longer than the training."""
    saver = ModelCheckpoint(FOLDER / "skips", save_freq=1, when_busy="skip")
    fit(build(), [saver], epochs=1)
    versions = saver.repository.versions()
    report("skips", saved=len(versions), skipped=saver.skipped, last=versions[-1].metadata["step"])


if __name__ == "__main__":
    if sys.argv[3] == "some":
        goes_on([3])
        keeps_some()
    else:
        goes_on(["epoch", 3])
        keeps_the_best()
        keeps_some()
        saves_on_the_chief()
        says_what_is_wrong()
        skips()
