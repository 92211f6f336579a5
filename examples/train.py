"""Train on real data, with versions and a backup below a URL: ``python examples/train.py URL``.

The URL is a folder on this machine, ``s3://`` or ``gs://``; nothing else changes. Stop it,
or kill it, and start it again: it goes on where it was.
"""

from __future__ import annotations

import sys

import keras
import numpy as np
from sklearn.datasets import load_digits

from remote_models.callbacks import BackupAndRestore, ModelCheckpoint


def main(url: str) -> None:
    """Train, save a version after each epoch, and say which is the best."""
    keras.utils.set_random_seed(1)
    digits = load_digits()
    images = digits.images[..., np.newaxis].astype("float32") / 16
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    checkpoint = ModelCheckpoint(f"{url}/versions", keep_last=2, keep_best=1)
    backup = BackupAndRestore(f"{url}/backup", save_freq=10)
    model.fit(
        images,
        digits.target,
        epochs=5,
        validation_split=0.2,
        callbacks=[checkpoint, backup],
    )
    for version in checkpoint.repository.versions():
        print(version.number, version.url, version.metadata["metrics"])


if __name__ == "__main__":
    main(sys.argv[1])
