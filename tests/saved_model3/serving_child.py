"""Run in a process of its own: what Keras 3 has saved, called by TensorFlow alone.

Prints one JSON object, and uses nothing of pytest.
"""

from __future__ import annotations

import json
import sys

import numpy as np

import remote_models as rm
from remote_models.errors import GenerationError


def main() -> None:
    folder, base = sys.argv[1:]
    sys.modules["keras"] = None  # type: ignore[assignment]  # TensorFlow takes what it finds
    import tensorflow as tf

    rm.pull_model(f"{base}/big", f"{folder}/pulled")
    program = tf.saved_model.load(f"{folder}/pulled")
    features = tf.constant(np.load(f"{folder}/x.npy"))
    answers = program.signatures["serving_default"](features=features)["answer"]
    served = program.serve(features)
    keras = [each for each in sys.modules if each.startswith(("keras.", "tf_keras"))]
    try:
        rm.load_model(f"{base}/big", framework="tf_keras")
        refused = ""
    except GenerationError as error:
        refused = str(error)
    print(
        json.dumps(
            {
                "case": "served",
                "answers": answers.numpy().tolist(),
                "serve": np.array_equal(answers, served),
                "keras": keras,
                "refused": refused,
            }
        )
    )


if __name__ == "__main__":
    main()
