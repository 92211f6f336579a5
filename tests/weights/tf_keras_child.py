"""Save models of Keras 2 in every format, and say what they hold; see ``_models``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras as keras
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

SLOTS = {"m": "momentum", "v": "velocity"}


def weights_of(model: Any) -> dict[str, Any]:
    found = []
    for variable in model.weights:
        if isinstance(variable, tf.Variable):  # a lookup's table is none
            name = variable.name.removesuffix(":0").removeprefix(f"{model.name}/")
            # Normalization leaves itself out of the names of its variables.
            found.append((name if "/" in name else f"scale/{name}", variable))
    arrays: dict[str, Any] = arrays_of(found)
    return arrays


def optimizer_of(model: Any) -> dict[str, Any]:
    found = []
    for variable in model.optimizer.variables:
        parts = variable.name.removesuffix(":0").split("/", 2)
        if len(parts) == 3:
            found.append((f"optimizer/{SLOTS[parts[1]]}/{parts[2]}", variable))
        else:
            found.append((f"optimizer/{parts[-1]}", variable))
    arrays: dict[str, Any] = arrays_of(found)
    return arrays


def save_all(name: str, model: Any) -> None:
    weights, optimizer = weights_of(model), optimizer_of(model)
    # What is no variable of the optimizer but of its configuration.
    stored = {key: value for key, value in optimizer.items() if key != "optimizer/learning_rate"}
    for suffix, own in {"": optimizer, ".keras": stored, ".h5": stored}.items():
        url = str(FOLDER / f"{name}{suffix}")
        rm.save_model(model, url)
        EXPECTED.add(f"{name}{suffix}", url, weights, own)
    url = str(FOLDER / f"{name}.weights.h5")
    rm.save_weights(model, url)
    EXPECTED.add(f"{name}.weights.h5", url, weights, stored)
    url = str(FOLDER / f"{name}-weights.h5")
    rm.save_weights(model, url)
    EXPECTED.add(f"{name}-weights.h5", url, weights)
    url = str(FOLDER / f"{name}-checkpoint")
    rm.save_weights(model, url)
    EXPECTED.add(f"{name}-checkpoint", url, weights, optimizer)


def save_one(model: Any, *suffixes: str, others: bool = False) -> None:
    for suffix in suffixes:
        url = str(FOLDER / f"{model.name}{suffix}")
        (rm.save_weights if "-" in suffix else rm.save_model)(model, url)
        EXPECTED.add(f"{model.name}{suffix}", url, weights_of(model), others=others)


def save_partitioned() -> None:
    """A checkpoint in many shards, one of whose tensors is in slices."""
    values = tf.reshape(tf.range(4000.0), (400, 10))
    prefix = str(FOLDER / "partitioned")
    tensors = {f"part_{number}": values + float(number) for number in range(3)}
    for number, (name, tensor) in enumerate(tensors.items()):
        tf.raw_ops.SaveV2(
            prefix=f"{prefix}-{number}",
            tensor_names=[name, "table"],
            shape_and_slices=["", f"400 10 {['0,150', '150,50', '200,200'][number]}:-"],
            tensors=[tensor, values[[0, 150, 200][number] : [150, 200, 400][number]]],
        )
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=[f"{prefix}-{number}" for number in range(3)],
        destination_prefix=f"{prefix}/ckpt",
    )
    (FOLDER / "pushed").mkdir()
    url = str(FOLDER / "pushed/ckpt")
    rm.push_model(f"{prefix}/ckpt", url)
    arrays = {**tensors, "table": values}
    EXPECTED.add("shards", url, arrays_of(arrays.items()))


for name, build in {"mlp": mlp, "convolutional": convolutional, "text": text}.items():
    save_all(name, build(keras))
save_one(with_policy(keras, "mixed_bfloat16"), "", ".keras", "-checkpoint")
save_one(with_policy(keras, "bfloat16"), "-checkpoint")
save_one(preprocessing(keras), "", ".keras", "-weights.h5", others=True)
save_one(lookups(keras), "", others=True)
save_one(subclassed(keras), "", "-checkpoint", "-weights.h5")
save_partitioned()

model = mlp(keras)
url = f"{os.environ['S3_BASE']}/mlp"
rm.save_model(model, url)
EXPECTED.add("mlp in S3", url, weights_of(model), optimizer_of(model))

EXPECTED.write()
