"""Save models of Keras 3 in every format, and say what they hold; see ``_models``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import keras
from _models import (  # type: ignore[import-not-found]  # beside this script
    Expected,
    arrays_of,
    convolutional,
    lookups,
    mlp,
    preprocessing,
    subclassed,
    text,
    with_policy,
)

import remote_models as rm

FOLDER = Path(sys.argv[1])
EXPECTED = Expected(FOLDER)


def weights_of(model: Any) -> dict[str, Any]:
    own = f"{model.name}/"
    arrays: dict[str, Any] = arrays_of(
        (v.path.removeprefix(own), v) for v in model.variables if "seed_generator" not in v.path
    )
    return arrays


def optimizer_of(model: Any, weights: dict[str, Any]) -> dict[str, Any]:
    flat = {name.replace("/", "_"): name for name in weights}
    found = []
    for variable in model.optimizer.variables:
        last = variable.path.rpartition("/")[2].removeprefix(f"{model.name}_")
        weight, _, slot = last.rpartition("_")
        name = f"{slot}/{flat[weight]}" if weight in flat else last
        found.append((f"optimizer/{name}", variable))
    arrays: dict[str, Any] = arrays_of(found)
    return arrays


def save_all(name: str, model: Any) -> None:
    weights = weights_of(model)
    optimizer = optimizer_of(model, weights)
    for suffix in (".keras", ".h5"):
        url = str(FOLDER / f"{name}{suffix}")
        rm.save_model(model, url)
        EXPECTED.add(f"{name}{suffix}", url, weights, optimizer)
    url = str(FOLDER / f"{name}.weights.h5")
    rm.save_weights(model, url)
    EXPECTED.add(f"{name}.weights.h5", url, weights, optimizer)
    url = str(FOLDER / f"{name}-shards.weights.json")
    largest = max(array.nbytes for array in weights.values())  # a shard holds at least that
    rm.save_weights(model, url, max_shard_size=1.1 * largest / 1024**3)
    assert len(list(FOLDER.glob(f"{name}-shards_*.weights.h5"))) > 1
    EXPECTED.add(f"{name}.weights.json", url, weights, optimizer)


def save_one(model: Any, *, others: bool = False) -> None:
    weights = weights_of(model)
    for suffix in (".keras", ".weights.h5"):
        url = str(FOLDER / f"{model.name}{suffix}")
        (rm.save_weights if "weights" in suffix else rm.save_model)(model, url)
        EXPECTED.add(f"{model.name}{suffix}", url, weights, others=others)


for name, build in {"mlp": mlp, "convolutional": convolutional, "text": text}.items():
    save_all(name, build(keras))
save_one(with_policy(keras, "mixed_bfloat16"))
save_one(with_policy(keras, "bfloat16"))
save_one(preprocessing(keras), others=True)
save_one(lookups(keras), others=True)
model = subclassed(keras)
url = str(FOLDER / "subclassed.weights.h5")
rm.save_weights(model, url)
EXPECTED.add("subclassed.weights.h5", url, weights_of(model))

model = mlp(keras)
url = f"{os.environ['S3_BASE']}/mlp.keras"
rm.save_model(model, url)
weights = weights_of(model)
EXPECTED.add("mlp in S3.keras", url, weights, optimizer_of(model, weights))

EXPECTED.write()
