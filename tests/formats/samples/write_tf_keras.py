"""Write the samples of the installed tf_keras: ``python write_tf_keras.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tf_keras as keras


def main() -> None:
    """Write every format."""
    folder = Path(__file__).parent / f"tf_keras-{keras.__version__}"
    folder.mkdir()
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")], name="small")
    model.set_weights([np.arange(6.0).reshape(3, 2), np.array([0.5, -0.5])])
    model.compile("sgd", "mse")
    model.save(folder / "saved_model")
    model.save(folder / "model.keras")
    model.save(folder / "model.h5")
    model.save_weights(folder / "model.weights.h5")
    model.save_weights(folder / "legacy.h5")
    model.save_weights(folder / "checkpoint/small")
    (folder / "model.json").write_text(model.to_json())


if __name__ == "__main__":
    main()
