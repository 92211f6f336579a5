"""Run with Keras 3: build what ``parts_writer.py`` described, and load each file of weights.

``parts_reader.py FOLDER``. Prints one JSON object per file.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

import remote_models as rm
from keras2.differences import difference
from remote_models.errors import RemoteModelsError

FILES = ("saved_model", "model.h5", "model.keras", "checkpoint", "legacy.h5", "model.weights.h5")


def error_of(do: Callable[[], Any]) -> dict[str, str]:
    try:
        do()
    except RemoteModelsError as error:
        return {"error": type(error).__name__, "text": str(error)}
    return {"error": ""}


def fresh(folder: Path) -> Any:
    keras.utils.set_random_seed(2)
    return rm.load_architecture(folder / "model.json", framework="keras")


def main(folder: Path) -> None:
    data = np.load(folder / "data.npz")
    for file in FILES:
        model = fresh(folder)
        before = difference(np.asarray(model(data["x"])), data["y"])
        rm.load_weights(model, folder / file)
        after = difference(np.asarray(model(data["x"])), data["y"])
        print(json.dumps({"case": file, "before": before, "after": after}))
    model = fresh(folder)
    weights = [np.asarray(each) for each in model.variables]
    for name, do in {
        "another model": lambda: rm.load_weights(model, folder / "other"),
        "skip": lambda: rm.load_weights(model, folder / "checkpoint", skip_mismatch=True),
        "unbuilt": lambda: rm.load_weights(
            keras.Sequential([keras.layers.Dense(1)]), folder / "checkpoint"
        ),
        "code": lambda: rm.load_architecture(folder / "code.json", framework="keras"),
    }.items():
        print(json.dumps({"case": name, **error_of(do)}))
    same = all(np.array_equal(a, b) for a, b in zip(weights, model.variables, strict=True))
    print(json.dumps({"case": "untouched", "same": same, "type": type(model).__name__}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
