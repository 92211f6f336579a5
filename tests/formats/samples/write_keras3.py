"""Write the samples of the installed Keras 3: ``python write_keras3.py``."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np


def main() -> None:
    """Write every format."""
    folder = Path(__file__).parent / f"keras-{keras.__version__}"
    folder.mkdir()
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")], name="small")
    model.set_weights([np.arange(6.0).reshape(3, 2), np.array([0.5, -0.5])])
    model.compile("sgd", keras.losses.MeanSquaredError())
    model.save(folder / "model.keras")
    model.save(folder / "model.h5")
    keras.saving.save_model(model, folder / "unpacked", zipped=False)
    model.save_weights(folder / "model.weights.h5")
    (folder / "model.json").write_text(model.to_json())
    model.save_weights(folder / "shards.weights.json", max_shard_size=3e-8)
    model.export(folder / "exported", verbose=False)


if __name__ == "__main__":
    main()
