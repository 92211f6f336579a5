"""What versions cost a training, and what an outage of the store costs it."""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
from _slow_link import SlowLink, slow_link
from sklearn.datasets import load_digits

import remote_models as rm
from benchmarks.server import range_server
from remote_models.callbacks import ModelCheckpoint
from remote_models.errors import StoreUnavailableError

LATENCY = 0.1
RATE = 20e6


class Seconds(keras.callbacks.Callback):  # type: ignore[misc]  # Keras ships no types
    """Counts from the end of the first epoch, in which TensorFlow traces, to the last one's."""

    def __init__(self, link: SlowLink | None = None, cut: float = 0) -> None:
        super().__init__()
        self.begun = 0.0
        self.ended = 0.0
        self._link = link
        self._cut = cut

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == 1:
            self.begun = time.perf_counter()
        if epoch == 2 and self._link is not None:  # the first version has been saved
            self._link.cut(self._cut)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        float(logs["loss"])  # steps may still be under way until somebody asks
        self.ended = time.perf_counter()


def train(
    epochs: int,
    *callbacks: Any,
    copies: int = 8,
    link: SlowLink | None = None,
    cut: float = 0,
) -> tuple[float, float]:
    """Train, and return the seconds of all epochs but the first, and those of fit() after them."""
    digits = load_digits()
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(64, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(64, 3, padding="same", activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    images = np.tile(digits.images[..., np.newaxis].astype("float32") / 16, (copies, 1, 1, 1))
    seconds = Seconds(link, cut)
    model.fit(
        images,
        np.tile(digits.target, copies),
        epochs=epochs,
        batch_size=64,
        verbose=0,
        callbacks=[*callbacks, seconds],
    )
    return seconds.ended - seconds.begun, time.perf_counter() - seconds.ended


def measure(url: str, rounds: int, epochs: int, copies: int) -> None:
    """Train in each way in turn, so that all see the same machine."""
    found: dict[str, list[float]] = {"without": [], "background": [], "waiting": []}
    ends: dict[str, list[float]] = {way: [] for way in found}
    for number in range(rounds):
        for way, times in found.items():
            checkpoint = ModelCheckpoint(
                f"{url}/{way}-{number}", "loss", asynchronous=way == "background"
            )
            during, after = train(epochs, *[checkpoint][: way != "without"], copies=copies)
            times.append(during)
            ends[way].append(after)
    version = rm.Repository(f"{url}/background-0").versions()[-1]
    print(f"a version of {version.size / 1e6:.1f} MB after each of {epochs} epochs, ", end="")
    print(f"{LATENCY * 1000:.0f} ms and {RATE / 1e6:.0f} MB/s, {rounds} rounds")
    for way, times in found.items():
        ratios = [mine / bare for mine, bare in zip(times, found["without"], strict=True)]
        per_epoch = statistics.median(times) / (epochs - 1)
        print(f"{way:>10}: {per_epoch:.2f} s an epoch, {statistics.median(ratios):.3f} of without "
              f"({min(ratios):.3f} to {max(ratios):.3f}), "
              f"and {statistics.median(ends[way]):.2f} s after the last")  # fmt: skip


def cut_for_a_while(url: str, link: SlowLink, epochs: int, seconds: float) -> None:
    checkpoint = ModelCheckpoint(f"{url}/cut", "loss")
    train(epochs, checkpoint, link=link, cut=seconds)
    saved = len(checkpoint.repository.versions())
    if saved != epochs:
        raise SystemExit(f"{saved} versions after a cut of {seconds:.0f} s, not {epochs}")
    print(f"cut for {seconds:.0f} s: {saved} versions of {epochs} epochs")


def cut_for_good(url: str, link: SlowLink, epochs: int) -> None:
    checkpoint = ModelCheckpoint(f"{url}/down", "loss", patience=5)
    try:
        train(epochs, checkpoint, link=link, cut=10_000)
    except StoreUnavailableError as error:
        print(f"cut for good: {error}")
    else:
        raise SystemExit("cut for good, and nobody has said so")
    link.cut(0)
    version = checkpoint.repository.versions()[-1]
    checkpoint.repository.load(version.number)
    print(f"version {version.number}, from before, loads")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--copies", type=int, default=24, help="of the data, in an epoch measured")
    parser.add_argument("--cut", type=float, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, range_server({"models": Path(folder)}) as server:
        port = int(server.endpoint_url.rpartition(":")[2])
        with slow_link(port, latency=LATENCY, rate=RATE) as link:
            os.environ.update(server.environment)
            for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
                os.environ[name] = link.endpoint_url
            if given.rounds:
                measure("s3://models", given.rounds, given.epochs, given.copies)
            cut_for_a_while("s3://models", link, given.epochs, given.cut)
            cut_for_good("s3://models", link, given.epochs)


if __name__ == "__main__":
    main()
