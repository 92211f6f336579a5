"""Save and load every benign model of one framework; report what was refused, as JSON lines.

Arguments: the framework, a folder. Each model is loaded as Keras alone has written it,
without a manifest and with, so that both ways of loading see it.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf

import remote_models as rm
from attacks.attack import Canaries
from attacks.benign import custom_objects, makers
from attacks.configurations import PAYLOADS, keras_archive
from remote_models.formats.safety import check_configuration
from remote_models.formats.safety._operations import is_denied_operation

FRAMEWORK, FOLDER = sys.argv[1], Path(sys.argv[2])

KERAS: Any = importlib.import_module(FRAMEWORK)

APPLICATIONS = ("MobileNetV2", "MobileNetV3Small", "EfficientNetV2B0")

NOT_IN_H5 = {"quantised", "adapted", "registered", "given activation", "several", "operations"}
"""Keras itself does not load these from its .h5, or finds no short names there."""


def tried(name: str, act: Callable[[], Any]) -> dict[str, Any]:
    """Do something that must succeed."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is reported
        return {"benign": name, "error": f"{type(error).__name__}: {error}"}
    return {"benign": name, "error": None}


def models() -> Iterator[dict[str, Any]]:
    """Load each model from each format, with a manifest and without."""
    given = custom_objects(KERAS)
    for number, (name, make) in enumerate(makers(KERAS, given).items()):
        model = make()
        for suffix in (".keras", ".h5"):
            if suffix == ".h5" and name in NOT_IN_H5:
                continue
            path = FOLDER / f"{number}{suffix}"
            try:
                model.save(path)
            except NotImplementedError:  # tf_keras, of vocabularies in .h5
                continue
            yield tried(f"{name}{suffix}", partial(load, path, given))
            rm.save_model(model, path)
            yield tried(f"{name}{suffix} with manifest", partial(load, path, given))
        with suppress(NotImplementedError):
            path = FOLDER / f"{number}.json"
            path.write_text(model.to_json())
            yield tried(
                f"{name}.json",
                partial(rm.load_architecture, path, custom_objects=given, framework=FRAMEWORK),
            )


def load(path: Path, given: dict[str, Any] | None = None, framework: str = FRAMEWORK) -> Any:
    return rm.load_model(path, custom_objects=given, framework=framework)


def uncompiled() -> Iterator[dict[str, Any]]:
    """Load models without what they were compiled with, which would be refused."""
    model = KERAS.Sequential([KERAS.layers.Input((4,)), KERAS.layers.Dense(2)])
    model.compile("sgd", loss=lambda y, p: (y - p) ** 2, metrics=[lambda y, p: y - p])
    for name in ("code.keras", "code.h5", "code"):
        rm.save_model(model, FOLDER / name)
        yield tried(f"compiled with code in {name}", partial(load_uncompiled, FOLDER / name))
    with zipfile.ZipFile(FOLDER / "code.keras") as archive:
        weights = archive.read("model.weights.h5")
    secret = FOLDER / "outside" / "secret"
    secret.parent.mkdir()
    secret.write_text("kept")
    canaries = Canaries(secret=secret, written=secret.with_name("written"))
    for number, (name, (_, payload)) in enumerate(PAYLOADS.items()):
        if " loss " in name or " optimizer " in name:
            path = FOLDER / f"uncompiled {number}.keras"
            keras_archive(path, payload(canaries, FRAMEWORK), FRAMEWORK, weights)
            yield tried(f"{name}, left out", partial(load_uncompiled, path))
            rm.adopt_model(path)
            yield tried(f"{name}, left out, with manifest", partial(load_uncompiled, path))
    assert [each.name for each in secret.parent.iterdir()] == ["secret"]


def load_uncompiled(path: Path) -> Any:
    return rm.load_model(path, compile=False, framework=FRAMEWORK)


def saved_models() -> Iterator[dict[str, Any]]:
    """Load SavedModels of each kind."""
    given = custom_objects(KERAS)
    made = makers(KERAS, given)
    for name in ("compiled", "text", "given layer", "nested"):
        path = FOLDER / f"saved {name}"
        rm.save_model(made[name](), path)
        yield tried(f"SavedModel {name}", partial(load, path, given))
        (path / "manifest.json").unlink()
        yield tried(f"SavedModel {name} without manifest", partial(load, path, given))
        yield tried(f"SavedModel {name} without classes", partial(load, path))
    if FRAMEWORK == "tf_keras":
        for name in ("compiled", "given layer"):
            path = FOLDER / f"saved {name}"
            yield tried(f"{name} as a graph", partial(load, path, framework="keras"))
        return
    for name in ("dense", "text", "conv", "attention"):
        path = FOLDER / f"exported {name}"
        made[name]().export(str(path), verbose=False)
        yield tried(f"export {name}", partial(load, path))
    yield from programs()


def programs() -> Iterator[dict[str, Any]]:
    """Load programs of TensorFlow alone."""
    words = FOLDER / "words.txt"
    words.write_text("one\ntwo\n")
    module = tf.Module()
    module.table = tf.lookup.StaticHashTable(initializer_of(words), -1)
    module.factor = tf.Variable(2.0)

    def run(x: Any) -> dict[str, Any]:
        total = tf.constant(0.0)
        for _ in tf.range(3):
            total += module.factor
        tf.print("looked up", x)
        return {"y": tf.cast(module.table.lookup(x), tf.float32) * total}

    module.run = tf.function(run, input_signature=[tf.TensorSpec([None], tf.string)])
    path = FOLDER / "program"
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.run})
    yield tried("program with a table", lambda: load(path))
    old = FOLDER / "old"
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [None, 4], "x")
        weights = tf.compat.v1.get_variable("w", [4, 2], use_resource=False)
        y = tf.matmul(x, weights)
        session.run(tf.compat.v1.global_variables_initializer())
        signature = tf.compat.v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        builder = tf.compat.v1.saved_model.Builder(str(old))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()
    yield tried("program of TensorFlow 1", lambda: load(old))
    with_table = FOLDER / "old with a table"
    save_table_of_tensorflow_1(with_table, words)
    yield tried("program of TensorFlow 1 with a table", lambda: load(with_table))


def save_table_of_tensorflow_1(path: Path, words: Path) -> None:
    """Save a program that declares its asset in a collection."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.string, [None], "x")
        table = v1.lookup.StaticHashTable(initializer_of(words), -1)
        y = tf.cast(table.lookup(x), tf.float32) * v1.get_variable("w", [])
        session.run([v1.global_variables_initializer(), v1.tables_initializer()])
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"serving_default": v1.saved_model.predict_signature_def({"x": x}, {"y": y})},
            assets_collection=v1.get_collection(v1.GraphKeys.ASSET_FILEPATHS),
            main_op=v1.tables_initializer(),
        )
        builder.save()


def initializer_of(words: Path) -> Any:
    return tf.lookup.TextFileInitializer(
        str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
        tf.lookup.TextFileIndex.LINE_NUMBER,
    )  # fmt: skip


def applications() -> Iterator[dict[str, Any]]:
    """Look at the configurations of large models, as JSON has them."""
    for name in APPLICATIONS:
        model = getattr(KERAS.applications, name)(weights=None, classes=2, input_shape=(64, 64, 3))
        found = check_configuration(json.loads(model.to_json()), given=(), where=name)
        yield {"benign": name, "error": str(found.all) if found.all else None}


_NAMES_A_PLACE = re.compile(
    r"file|path|dir(?!ec)|prefix|url|address|^token|uri|server|host|command|library|logdir|pattern"
    r"|driver|descriptor|output_stream|protocol|debug_(urls|ops)"
)

JUDGED = {
    "CTCBeamSearchDecoder", "Copy", "CopyHost", "CudnnRNNBackpropV2", "CudnnRNNBackpropV3",
    "DebugIdentity", "DebugIdentityV2", "DebugIdentityV3", "DebugNanCount",
    "DebugNumericSummary", "DecodeProtoV2", "EncodeProto", "ExperimentalSetStatsAggregatorDataset",
    "FixedUnigramCandidateSampler", "PrintV2", "RegexFullMatch", "RegexReplace",
    "SetStatsAggregatorDataset", "StaticRegexFullMatch", "StaticRegexReplace",
    "TPUReplicateMetadata", "TensorSliceDataset",
}  # fmt: skip
"""Operations with such an argument that names no place, or is looked at by itself."""


def operations() -> Iterator[dict[str, Any]]:
    """Look for operations of this TensorFlow that take the name of a place and are allowed."""
    for name in sorted(vars(tf.raw_ops)):
        operation = getattr(tf.raw_ops, name)
        if not callable(operation) or is_denied_operation(name) or name in JUDGED:
            continue
        arguments = inspect.signature(operation).parameters
        found = [each for each in arguments if _NAMES_A_PLACE.search(each)]
        if found:
            yield {"benign": name, "error": f"nobody has judged this operation: {found}"}


def main() -> None:
    """Try all."""
    warnings.simplefilter("ignore")
    for family in (models, uncompiled, saved_models, applications, operations):
        for found in family():
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
