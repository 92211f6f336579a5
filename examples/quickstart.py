"""Train on real data, save to an object store, load back, train on: all of it checked.

``scripts/quickstart`` runs this. The object store is SeaweedFS, a real S3 server
on this machine. For a bucket of your own, leave out step 1 and begin with
``bucket = "s3://your-bucket/folder"``: nothing else changes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import fsspec
import numpy as np
import tf_keras
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import remote_models as rm
from remote_models.errors import IntegrityError
from remote_models.testing import seaweedfs, set_environment

Array = NDArray[np.float32]


def main() -> None:
    """Show every step, and exit with a message at the first that fails."""
    began = time.perf_counter()
    # Each load is to come from the bucket, also that of what is damaged there: without
    # this, a checked copy that is on this machine already would serve.
    os.environ["REMOTE_MODELS_CACHE"] = "off"
    steps = Steps(total=8)
    with ExitStack() as stack:
        with steps("Start SeaweedFS, an S3 server, and make a bucket"):
            server = stack.enter_context(seaweedfs())
            stack.enter_context(set_environment(server))
            bucket = server.make_bucket("quickstart")
            say(f"{bucket} at {server.endpoint_url}")

        with steps("Train a small model on scikit-learn's handwritten digits"):
            images, labels, test_images, test_labels = digits()
            model = build()
            model.fit(images, labels, epochs=4, verbose=0)
            accuracy = model.evaluate(test_images, test_labels, verbose=0)[1]
            say(f"{model.count_params():,} parameters, {accuracy:.1%} right on unseen digits")
            expect(accuracy > 0.8, "the model has learned something")

        with steps("Save it to the bucket in three formats"):
            saved = save(model, bucket, accuracy)

        with steps("Compare every byte in the bucket with the manifests"):
            for url in saved:
                report = rm.verify_model(url)
                expect(report.ok, f"{url}: all {report.bytes_read:,} bytes as they were saved")

        with steps("Load each back and train on"):
            for url, manifest in saved.items():
                loaded = rm.load_model(url, manifest_digest=manifest.digest)
                compare(loaded, model, test_images)
                train_on(loaded, images, labels)

        with steps("Flip one bit in the bucket"):
            refuse_flipped_bit(f"{bucket}/digits.keras")

        with steps("Look around with the command line"):
            command_line("ls", bucket)
            command_line("info", f"{bucket}/digits")

        with steps("Read single tensors, without building the model"):
            for url in saved:
                read_tensors(url, model)

    print(f"\nAll eight steps worked, in {time.perf_counter() - began:.0f} s.")


def digits() -> tuple[Array, Array, Array, Array]:
    """Return training images and labels, then those to test with; images are 8 by 8."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype("float32").reshape(-1, 8, 8, 1)
    train, test, train_labels, test_labels = train_test_split(images, labels, random_state=0)
    return train, train_labels, test, test_labels


def build() -> Any:
    """Return a small convolutional network, compiled."""
    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(32, 3, activation="relu", name="edges"),
            layers.Conv2D(64, 3, activation="relu", name="strokes"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax", name="digit"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def save(model: Any, bucket: str, accuracy: float) -> dict[str, rm.Manifest]:
    """Save in three formats and return the manifest of each URL."""
    saved = {}
    for name in ("digits", "digits.keras", "digits.h5"):  # the name chooses the format
        url = f"{bucket}/{name}"
        saved[url] = rm.save_model(model, url, metadata={"accuracy": round(accuracy, 3)})
        say(f"{url}: {saved[url].total_size:,} bytes, {saved[url].digest[:19]}…")
    return saved


def compare(loaded: Any, model: Any, images: Array) -> None:
    """Check that two models are one and the same."""
    predictions = [each.predict(images, verbose=0) for each in (loaded, model)]
    expect(np.array_equal(*predictions), "loaded; the predictions are identical")


def train_on(loaded: Any, images: Array, labels: Array) -> None:
    """Check that the optimizer goes on from where it was."""
    before = int(loaded.optimizer.iterations)
    loaded.fit(images, labels, epochs=1, verbose=0)
    after = int(loaded.optimizer.iterations)
    expect(0 < before < after, f"training went on from iteration {before} to {after}")


def refuse_flipped_bit(url: str) -> None:
    """Damage a stored model behind the library's back, then repair it."""
    store = fsspec.filesystem("s3")
    original = store.cat_file(url)
    damaged = bytearray(original)
    damaged[len(damaged) // 2] ^= 1
    store.pipe_file(url, bytes(damaged))
    try:
        rm.load_model(url)
    except IntegrityError as error:
        say(f"IntegrityError: {error}")
    else:
        sys.exit("FAILED: a damaged model was loaded")
    store.pipe_file(url, original)
    expect(rm.verify_model(url).ok, "refused; and whole again after the repair")


def read_tensors(url: str, model: Any) -> None:
    """Check tensors in the bucket against the live model's."""
    with rm.open_model(url) as remote:
        kernel = remote.weights["edges/kernel"][:]
        rows = remote.weights["digit/kernel"][100:110]
    say(f"{url}: edges/kernel {kernel.shape}, ten rows of digit/kernel {rows.shape}")
    expect(np.array_equal(kernel, model.get_layer("edges").kernel), "the kernel is the model's own")
    expect(np.array_equal(rows, model.get_layer("digit").kernel[100:110]), "and so are the rows")


def command_line(*arguments: str) -> None:
    """Run ``remote-models`` as one would in a shell."""
    say(f"$ remote-models {' '.join(arguments)}")
    program = [sys.executable, "-m", "remote_models"]
    done = subprocess.run([*program, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    for line in done.stdout.splitlines():
        say(f"  {line}")


class Steps:
    """Numbers the steps on the screen and says how long each took."""

    def __init__(self, *, total: int) -> None:
        self._total = total
        self._number = 0

    @contextmanager
    def __call__(self, title: str) -> Iterator[None]:
        """Show one step, which lasts as long as the block."""
        self._number += 1
        print(f"\n[{self._number}/{self._total}] {title}", flush=True)
        began = time.perf_counter()
        yield
        say(f"({time.perf_counter() - began:.1f} s)")


def say(text: str) -> None:
    """Print a line below the step's title."""
    print(f"      {text}", flush=True)


def expect(truth: bool, claim: str) -> None:
    """Print what has been found true, or exit."""
    if not truth:
        sys.exit(f"FAILED: {claim}")
    say(f"ok: {claim}")


if __name__ == "__main__":
    main()
