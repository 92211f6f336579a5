"""Kill trainings and start them again: what is learnt must be the same.

This process imports TensorFlow and never uses it: each training is a fork of it, which
saves the seconds that the import takes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

import remote_models as rm
from remote_models.callbacks import BackupAndRestore, ModelCheckpoint
from remote_models.testing import seaweedfs, set_environment

EPOCHS = 4
SAVE_FREQ = 5
"""Batches from one backup to the next; an epoch has 23."""


def build() -> Any:
    keras.utils.set_random_seed(1)
    tf.config.experimental.enable_op_determinism()
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def train(url: str | None, result: Path) -> None:
    """Train, from where a backup has it, and write what came of it."""
    digits = load_digits()
    images = digits.images[..., np.newaxis].astype("float32") / 16
    checkpoint = backup = None
    if url is not None:
        checkpoint = ModelCheckpoint(f"{url}/versions", keep_last=3, keep_best=1)
        backup = BackupAndRestore(f"{url}/backup", save_freq=SAVE_FREQ, delete_checkpoint=False)
    model = build()
    history = model.fit(
        images[:1437],
        digits.target[:1437],
        batch_size=64,
        epochs=EPOCHS,
        validation_data=(images[1437:], digits.target[1437:]),
        verbose=0,
        callbacks=[each for each in (checkpoint, backup) if each is not None],
    )
    weights = [each.tobytes().hex() for each in model.get_weights()]
    if backup is not None and backup.restored is not None:
        print(f"  done, the last time from {backup.restored.epoch, backup.restored.batch}")
    written = result.with_suffix(".part")
    written.write_text(json.dumps([weights, history.history]), encoding="utf-8")
    written.rename(result)


def check_versions(url: str, result: Path) -> None:
    """Load every version that is in the bucket, and write how many there are."""
    versions = rm.Repository(f"{url}/versions").versions()
    for version in versions:
        rm.load_model(version.url)
    result.write_text(json.dumps(len(versions)), encoding="utf-8")


def fork(act: Callable[[], None]) -> int:
    """Do something in a process of its own, and return its number."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        act()
        status = 0
    finally:
        if status:
            import traceback

            traceback.print_exc()
        sys.stdout.flush()
        os._exit(status)


def wait(child: int, seconds: float | None = None) -> bool:
    """Wait for a process, or kill it after some time; whether it came to its end."""
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) == -signal.SIGKILL:
        return False
    if status:
        raise SystemExit("a training has failed")
    return True


def measure(folder: Path) -> tuple[Any, float]:
    """Train without disturbance; return what is learnt, and the seconds that it takes."""
    started = time.monotonic()
    wait(fork(partial(train, None, folder / "undisturbed")))
    seconds = time.monotonic() - started
    return json.loads((folder / "undisturbed").read_text(encoding="utf-8")), seconds


def run(bucket: str, folder: Path, kills: int, moments: random.Random) -> None:
    expected, seconds = measure(folder)
    print(f"undisturbed: {seconds:.1f} s, {EPOCHS} epochs", flush=True)
    killed = runs = versions = 0
    while killed < kills:
        runs += 1
        url, result = f"{bucket}/run-{runs}", folder / f"run-{runs}"
        while not result.exists():
            child = fork(partial(train, url, result))
            is_last = killed == kills
            if not wait(child, None if is_last else moments.uniform(0, seconds)):
                killed += 1
        found = json.loads(result.read_text(encoding="utf-8"))
        if found != expected:
            raise SystemExit(f"run {runs} after {killed} kills: another history or other weights")
        counted = folder / "counted"
        wait(fork(partial(check_versions, url, counted)))
        versions += json.loads(counted.read_text(encoding="utf-8"))
        print(f"run {runs}: the same to the bit; {killed} kills so far", flush=True)
    print(f"{killed} kills in {runs} trainings: all the same; {versions} versions, all load")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        seaweedfs() as emulator,
        set_environment(emulator),
    ):
        run(emulator.make_bucket(), Path(folder), given.kills, random.Random(given.seed))


if __name__ == "__main__":
    main()
