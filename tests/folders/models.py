"""A folder of models to walk: most of them whole, one damaged, one without a manifest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from publishing.artifacts import directory, save, several, single
from weights.artifacts import flip, put, write_weights

from remote_models.storage import Location, open_store

__all__ = ["BARE", "DAMAGED", "WHOLE", "fill"]

BARE, DAMAGED = "a/bare.weights.h5", "damaged.h5"
WHOLE = ("a/ckpt", "a/deep/er/model", "last.h5")


def fill(root: Location) -> None:
    """Put five models below ``root``."""
    store = open_store(root)
    store.make_directory(root)
    for folder in ("a", "a/deep", "a/deep/er"):
        store.make_directory(root.join(folder))
    save(root.join("a/ckpt"), several("1"))
    save(root.join("a/deep/er/model"), directory("1"))
    for name in (DAMAGED, "last.h5"):
        (data,) = single("1").files.values()
        save(root.join(name), replace(single("1"), name=name, files={name: data}))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bare.weights.h5"
        write_weights(path, {"dense": [np.ones((4, 3), np.float32)]})
        put(root.join(BARE), path.read_bytes())
    flip(root.join(DAMAGED), 70)
