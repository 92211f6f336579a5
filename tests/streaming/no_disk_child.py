"""Run in a process of its own, whose temporary directory does not exist: save and look.

Prints one JSON object per file. The arguments are the module of Keras, the temporary
directory, and the URL of a folder in a store; memory is tried as well.
"""

from __future__ import annotations

import importlib
import itertools
import json
import sys
import tempfile
from typing import Any

import numpy as np

import remote_models as rm

SUFFIXES = (".weights.h5", ".h5", ".keras")


def main(name: str, url: str) -> None:
    keras: Any = importlib.import_module(name)
    model = keras.Sequential(
        [keras.layers.Input((1500,)), keras.layers.Dense(1500), keras.layers.Dense(2)]
    )
    model.compile("adam", "mean_squared_error")
    model.optimizer.build(model.trainable_variables)
    for folder, suffix in itertools.product(("memory://no-disk", url), SUFFIXES):
        save = rm.save_weights if suffix == ".weights.h5" else rm.save_model
        manifest = save(model, f"{folder}/{name}{suffix}", overwrite=False)
        with rm.open_model(f"{folder}/{name}{suffix}") as remote:
            kernel = next(each for each in remote.weights.values() if each.shape == (1500, 1500))
            equal = np.array_equal(np.asarray(kernel), model.layers[0].kernel.numpy())
        print(json.dumps({"case": suffix, "size": manifest.files[0].size, "equal": bool(equal)}))
    try:
        tempfile.mkdtemp()
    except OSError:
        print(json.dumps({"case": "no disk"}))


if __name__ == "__main__":
    tempfile.tempdir = sys.argv[2]  # of TMPDIR alone Python would think better
    main(sys.argv[1], sys.argv[3])
