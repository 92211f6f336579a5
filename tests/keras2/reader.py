"""Run with Keras 3: load what ``writer.py`` saved, and compare what the models make of it.

``reader.py [graphs] FOLDER...``. Prints one JSON object per file; with ``graphs``, of
SavedModels, loaded without the classes of their layers.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

import remote_models as rm
from keras2 import basic_pitch
from keras2.differences import difference
from remote_models.errors import RemoteModelsError

CLOSE = 1e-5


class Scaled(keras.layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """The layer of the same name in ``model_cases``, for Keras 3."""

    def __init__(self, units: int = 4, **options: Any) -> None:
        super().__init__(**options)
        self.units = units
        self.inside = keras.layers.Dense(units)

    def build(self, shape: Any) -> None:
        self.inside.build(shape)
        self.scale = self.add_weight(name="scale", shape=(self.units,))
        self.shift = self.add_weight(name="shift", shape=(self.units,), trainable=False)

    def call(self, inputs: Any) -> Any:
        return self.inside(inputs) * self.scale + self.shift


CLASSES = {"Scaled": Scaled, **basic_pitch.CLASSES}


def compare(path: Path, about: dict[str, Any], classes: dict[str, Any]) -> dict[str, Any]:
    with np.load(path.parent / "data.npz") as data:
        inputs = [data[f"x{i}"] for i in range(sum(key[0] == "x" for key in data))]
        outputs = [data[f"y{i}"] for i in range(len(about["outputs"]))]
        loss = data.get("loss")
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    model = rm.load_model(
        path,
        framework="keras",
        custom_objects=classes,
        compile=not about["case"].startswith("file"),
    )
    given: Any = inputs[0] if len(inputs) == 1 else inputs
    if about["inputs"]:
        given = dict(zip(about["inputs"], inputs, strict=True))
    made = keras.tree.flatten(model(given, training=False))
    gaps = [
        difference(keras.ops.convert_to_numpy(left), right)
        for left, right in zip(made, outputs, strict=True)
    ]
    found: dict[str, Any] = {
        "difference": max(gaps),
        "rounding": about["rounding"],
        "wrong": [name for name, gap in zip(about["outputs"], gaps, strict=True) if gap > CLOSE],
        "names": missing_names(model, about["layers"]),
        "trainable": [
            list(each.shape) for layer in model.layers for each in layer.trainable_weights
        ]
        == about["trainable"],
    }
    if loss is not None:
        target = np.ones((2, 1), "float32")
        model.run_eagerly = True  # a few steps are quicker so
        ours = [float(np.asarray(model.train_on_batch(given, target)[0])) for _ in loss]
        found["loss"] = float(np.max(np.abs(ours - loss)))
    return found


def missing_names(model: Any, names: list[str]) -> list[str]:
    known = {each.name for each in getattr(model, "operations", model.layers)}
    return [name for name in names if name.replace("/", "_") not in known]


def results(folder: Path, *, only_graphs: bool) -> Iterator[dict[str, Any]]:
    for case in sorted(path for path in folder.iterdir() if (path / "model.json").exists()):
        about = json.loads((case / "model.json").read_text())
        for path in sorted(case.iterdir()):
            if path.name not in ("model", "model.h5", "model.keras", "older"):
                continue
            try:
                if only_graphs and path.name != "model":
                    continue
                found = compare(path, about, {} if only_graphs else CLASSES)
            except RemoteModelsError as error:
                found = {"refused": str(error)}
            except Exception as error:  # noqa: BLE001 - the report of a child process
                found = {"error": f"{type(error).__name__}: {error}"[:2000]}
            yield {"case": about["case"], "file": path.name, "folder": case.name, **found}


if __name__ == "__main__":
    warnings.simplefilter("ignore", rm.UnverifiedModelWarning)
    warnings.simplefilter("ignore", rm.InferenceOnlyWarning)
    only_graphs = "graphs" in sys.argv[1:]
    for folder in sys.argv[1 + only_graphs :]:
        for each in results(Path(folder), only_graphs=only_graphs):
            print(json.dumps(each), flush=True)
    print(json.dumps({"case": "tensorflow", "imported": "tensorflow" in sys.modules}))
