"""Predict in a process in which no framework can be imported, and say what was imported.

Arguments: the URL, the runtime.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile

HIDDEN = ("keras", "tf_keras", "tensorflow", "jax", "torch", "h5py", "google.protobuf")
for hidden in HIDDEN:
    sys.modules[hidden] = None  # type: ignore[assignment]  # so that importing it fails

opened: list[str] = []


def watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and isinstance(arguments[0], str) and isinstance(arguments[2], int):
        opened.extend([arguments[0]] if arguments[2] & (os.O_WRONLY | os.O_RDWR) else [])


sys.addaudithook(watch)

import numpy as np  # noqa: E402

import remote_models as rm  # noqa: E402

with rm.load_runtime(sys.argv[1], sys.argv[2]) as runtime:
    shapes = {spec.name: [2, *spec.shape[1:]] for spec in runtime.signature.inputs}
    outputs = runtime.predict({name: np.ones(shape, np.float32) for name, shape in shapes.items()})
print(json.dumps({
    "name": runtime.name,
    "outputs": {name: array.tolist() for name, array in outputs.items()},
    "written": [path for path in opened if path != os.devnull],
    "temporary": os.listdir(tempfile.gettempdir()),
    "imported": [name for name in HIDDEN if sys.modules.get(name) is not None],
}))  # fmt: skip
