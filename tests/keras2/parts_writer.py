"""Run with tf_keras: save a model's architecture, and its weights in every format.

``parts_writer.py FOLDER``. Prints one JSON object with what there is.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import tf_keras as keras

import remote_models as rm

L = keras.layers


def main(folder: Path) -> None:
    keras.utils.set_random_seed(1)
    x = keras.Input((6, 4), name="x")
    inner = keras.Sequential(
        [L.Input((6, 3)), L.Bidirectional(L.LSTM(3, name="memory"), name="both"), L.Dense(2)],
        name="inner",
    )
    hidden = L.BatchNormalization(name="norm")(L.Conv1D(3, 2, padding="same", name="conv")(x))
    model = keras.Model(x, inner(hidden), name="m")
    model.compile("adam", "mse")
    data = np.random.default_rng(0).normal(size=(4, 6, 4)).astype("float32")
    model.fit(data, np.ones((4, 2)), epochs=2, verbose=0)
    np.savez(folder / "data.npz", x=data, y=model(data, training=False))
    rm.save_architecture(model, folder / "model.json")
    for name in ("saved_model", "model.h5", "model.keras"):
        rm.save_model(model, folder / name)
    for name in ("checkpoint", "legacy.h5", "model.weights.h5"):
        rm.save_weights(model, folder / name)
    odd = keras.Sequential([L.Input((4,)), L.Dense(3, name="d")])
    rm.save_weights(odd, folder / "other")
    code = keras.Sequential([L.Input((4,)), L.Lambda(lambda x: x + 1, name="code")])
    rm.save_architecture(code, folder / "code.json")
    print(json.dumps({"saved": sorted(each.name for each in folder.iterdir())}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
