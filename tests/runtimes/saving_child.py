"""Save models with exports, and say what they compute, as JSON lines.

Arguments: the framework, a folder.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import remote_models as rm
from remote_models.frameworks import choose_framework

FRAMEWORK, FOLDER = sys.argv[1], Path(sys.argv[2])

keras: Any = importlib.import_module(FRAMEWORK)
layers = keras.layers


def several() -> Any:
    """Two inputs and two outputs, given in another order than that of their names."""
    wide, narrow = keras.Input((4,), name="wide"), keras.Input((3,), name="narrow")
    joined = layers.Concatenate()([wide, narrow])
    outputs = [layers.Dense(2, name="second")(joined), layers.Dense(1, name="first")(wide)]
    return keras.Model([wide, narrow], outputs)


def image() -> Any:
    return keras.Sequential([
        keras.Input((8, 8, 3), name="pixels"), layers.Conv2D(4, 3), layers.BatchNormalization(),
        layers.ReLU(), layers.DepthwiseConv2D(3), layers.GlobalAveragePooling2D(),
        layers.Dropout(0.5), layers.Dense(3, activation="softmax", name="classes"),
    ])  # fmt: skip


def words() -> Any:
    return keras.Sequential([
        keras.Input((6,), dtype="int32", name="words"), layers.Embedding(10, 4),
        layers.GlobalAveragePooling1D(), layers.Dense(2, name="y"),
    ])  # fmt: skip


def recurrent() -> Any:
    return keras.Sequential([keras.Input((5, 3), name="x"), layers.LSTM(4), layers.Dense(2)])


def report(case: str, **facts: Any) -> None:
    print(json.dumps({"case": case, **facts}), flush=True)


def save(
    case: str, model: Any, name: str, inputs: dict[str, np.ndarray[Any, Any]], **options: Any
) -> None:
    """Save a model, and report what it computes."""
    manifest = rm.save_model(model, FOLDER / name, **options)
    given = list(inputs.values())
    outputs = model(given if len(given) > 1 else given[0], training=False)
    flat = outputs if isinstance(outputs, list) else [outputs]
    report(
        case, name=name, digest=manifest.digest, exports=dict(manifest.exports),
        files=[entry.path for entry in manifest.files],
        inputs={key: value.tolist() for key, value in inputs.items()},
        outputs=[np.asarray(each).tolist() for each in flat],
    )  # fmt: skip


def fail(case: str, model: Any, name: str, **options: Any) -> None:
    """Try to save a model, and report the error and what is there."""
    try:
        rm.save_model(model, FOLDER / name, **options)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
        there = sorted(each.name for each in FOLDER.iterdir() if each.name.startswith(name))
        report(case, error=type(error).__name__, message=str(error), there=there)


def main() -> None:
    """Save and report."""
    warnings.simplefilter("ignore")
    random = np.random.default_rng(1)
    both = ("tflite", "onnx")
    two = {
        "wide": random.random((5, 4), np.float32),
        "narrow": random.random((5, 3), np.float32),
    }
    save("directory", several(), "directory", two, exports=both)
    save("keras", several(), "m.keras", two, exports=both)
    save("h5", image(), "m.h5", {"pixels": random.random((2, 8, 8, 3), np.float32)}, exports=both)
    indices = random.integers(0, 10, (4, 6), np.int32)
    save("words", words(), "w.keras", {"words": indices}, exports=("tflite",))
    save("recurrent", recurrent(), "r.keras", {"x": random.random((2, 5, 3), np.float32)},
         exports=("onnx",))  # fmt: skip
    save("bare", several(), "bare", two)
    fail("inconvertible", recurrent(), "inconvertible.keras", exports=("tflite",))
    fail("unknown", image(), "unknown.keras", exports=("coreml",))
    right = image()
    framework = choose_framework(None, FRAMEWORK)
    setattr(type(framework), "export", lambda self, model, kind: _other(right, kind))  # noqa: B010
    fail("wrong", image(), "wrong.keras", exports=("tflite",))


_convert = type(choose_framework(None, FRAMEWORK)).export


def _other(model: Any, kind: str) -> bytes:
    """Convert another model than was asked for: what a wrong converter would do."""
    return _convert(choose_framework(None, FRAMEWORK), model, kind)


if __name__ == "__main__":
    main()
