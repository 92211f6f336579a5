"""Write checkpoints with TensorFlow and both generations of Keras, and what they hold.

Run as a program in a process of its own, with a folder as its argument: TensorFlow takes
five seconds to import. Every checkpoint gets an ``expected.json`` beside it with what
TensorFlow itself reads; ``optimizers.json`` has the names of all optimizers' variables.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from formats.bundles import bundle, entry
from remote_models.formats._protos import _message_class, _pool
from remote_models.formats._tensor_bundle import index_checkpoint


def parse_something() -> None:
    """Make protobuf load our descriptors, if it has not."""
    files = bundle({b"w": entry()}, bytes(4))
    assert index_checkpoint("ckpt", files.sizes, files.read, where="m")


parse_something()  # before TensorFlow, whose definitions of the same messages must not clash

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf_keras  # noqa: E402

_message_class.cache_clear()
_pool.cache_clear()
parse_something()  # and after it

DTYPES = (
    *("bool", "float16", "float32", "float64", "bfloat16"),
    *("float8_e5m2", "float8_e4m3fn", "complex64", "complex128"),
    *("int8", "int16", "int32", "int64"),
    *("uint8", "uint16", "uint32", "uint64"),
)

RANDOM = np.random.default_rng(0)

LEGACY = tf_keras.optimizers.legacy

WRITERS: list[Callable[[str], None]] = []


def checkpoint(write: Callable[[str], None]) -> Callable[[str], None]:
    """Let a function write a checkpoint of its own name."""
    WRITERS.append(write)
    return write


def randomise(variables: Iterable[Any]) -> None:
    for variable in variables:
        value = np.asarray(variable)
        if value.dtype.kind in "iu":
            variable.assign(np.full(value.shape, 7, value.dtype))
        else:
            variable.assign(RANDOM.normal(size=value.shape).astype(value.dtype))


def keras_2_model(optimizer: Any) -> Any:
    layers = tf_keras.layers
    model = tf_keras.Sequential([layers.Dense(3, name="d1", input_shape=(4,))])
    model.compile(optimizer, "mse", metrics=["mae"])
    if isinstance(optimizer, tf_keras.optimizers.legacy.Optimizer):
        optimizer.apply_gradients((tf.ones_like(v), v) for v in model.trainable_variables)
        randomise([*model.variables, *optimizer.weights])
    else:
        with tf.name_scope(optimizer.name):
            optimizer.build(model.trainable_variables)
        randomise([*model.variables, *optimizer.variables])
    return model


def keras_3_model() -> Any:
    layers = keras.layers
    stack = [keras.Input((4,)), layers.Dense(3, name="d1"), layers.Dropout(0.1)]
    model = keras.Sequential(stack, name="stack")
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    randomise([*model.trainable_variables, *model.optimizer.variables])
    return model


@checkpoint
def keras_2_saved_model(prefix: str) -> None:
    model = keras_2_model(tf_keras.optimizers.Adam(amsgrad=True))
    model.test_on_batch(np.ones((8, 4)), np.ones((8, 3)))  # makes the metrics' variables
    model.save(Path(prefix).parents[1])


@checkpoint
def keras_2_legacy(prefix: str) -> None:
    keras_2_model(LEGACY.RMSprop(momentum=0.9, centered=True)).save_weights(prefix)


@checkpoint
def keras_2_loss_scale(prefix: str) -> None:
    optimizer = tf_keras.optimizers.SGD(momentum=0.9)
    model = keras_2_model(optimizer)
    model.optimizer = None
    scaled = tf_keras.mixed_precision.LossScaleOptimizer(optimizer)
    tf.train.Checkpoint(model=model, whatever=scaled).write(prefix)


@checkpoint
def keras_2_layers(prefix: str) -> None:
    layers = tf_keras.layers
    tf_keras.mixed_precision.set_global_policy("bfloat16")
    tokens = tf_keras.Input((5,), dtype="int32")
    embedded = layers.Embedding(9, 4, name="embedding")(tokens)
    attended = layers.MultiHeadAttention(2, 3, name="attention")(embedded, embedded)
    recurrent = layers.LSTM(3, recurrent_initializer="zeros", name="lstm")
    model = tf_keras.Model(tokens, recurrent(attended))
    tf_keras.mixed_precision.set_global_policy("float32")
    randomise(model.variables)
    model.save_weights(prefix)


@checkpoint
def keras_2_text(prefix: str) -> None:
    vocabulary = ["", "[UNK]", "naïve", "x" * 300, *(f"word{place}" for place in range(300))]
    lookup = tf_keras.layers.StringLookup(vocabulary=vocabulary[2:])
    text = tf_keras.layers.TextVectorization(vocabulary=vocabulary[2:])
    adapted = tf_keras.layers.StringLookup()
    adapted.adapt(tf.constant(["a", "b", "c"]))
    tf.train.Checkpoint(lookup=lookup, text=text, adapted=adapted).write(prefix)


@checkpoint
def keras_3_export(prefix: str) -> None:
    keras_3_model().export(Path(prefix).parents[1], verbose=False)


@checkpoint
def keras_3_checkpoint(prefix: str) -> None:
    model = keras_3_model()
    saved = tf.train.Checkpoint(model=model, opt=model.optimizer).save(prefix)
    assert saved == f"{prefix}-1"
    for file in Path(prefix).parent.glob("*-1.*"):
        file.rename(file.with_name(file.name.replace("-1.", ".")))


@checkpoint
def modules(prefix: str) -> None:
    module = tf.Module()
    module.constant = tf.Variable(RANDOM.normal(size=(2, 3)), name="constant")
    module.generator = tf.random.Generator.from_seed(1)
    iterator = iter(tf.data.Dataset.range(10).shuffle(3))
    tf.train.Checkpoint(module=module, iterator=iterator).write(prefix)


@checkpoint
def shards(prefix: str) -> None:
    variables = {
        f"v{place}": tf.Variable(RANDOM.normal(size=(place * 20 + 1, 5))) for place in range(7)
    }
    policy = tf.train.experimental.MaxShardSizePolicy(max_shard_size=2000)
    options = tf.train.CheckpointOptions(experimental_sharding_callback=policy)
    tf.train.Checkpoint(**variables).write(prefix, options=options)


@checkpoint
def dtypes(prefix: str) -> None:
    tensors = {
        dtype: RANDOM.integers(0, 2, (3, 2)).astype(np.dtype(getattr(ml_dtypes, dtype, dtype)))
        for dtype in DTYPES
    }
    tensors |= {
        "scalar": np.array(1.5),
        "empty": np.zeros((0, 3), "float32"),
        "strings": np.array([[b"", b"\xff\x00"], ["naïve".encode(), b"y" * 5000]], object),
        "no strings": np.zeros((0,), "S1").astype(object),
        "one string": np.array(b"x", object),
        "nai\u0308ve/\x01": np.array(2.5),
    }
    save(prefix, [(name, "", value) for name, value in tensors.items()])


@checkpoint
def slices(prefix: str) -> None:
    save(
        prefix,
        [
            ("grid", "4 6 0,1:0,2", RANDOM.normal(size=(1, 2))),
            ("grid", "4 6 0,1:2,4", RANDOM.normal(size=(1, 4))),
            ("grid", "4 6 1,3:0,5", RANDOM.normal(size=(3, 5))),
            ("grid", "4 6 1,3:5,1", RANDOM.normal(size=(3, 1))),
            ("whole", "3 2 -:-", RANDOM.normal(size=(3, 2))),
            ("long", "9000 0,63", RANDOM.normal(size=(63,))),
            ("long", "9000 63,1", RANDOM.normal(size=(1,))),
            ("long", "9000 64,8127", RANDOM.normal(size=(8127,))),
            ("long", "9000 8191,1", RANDOM.normal(size=(1,))),
            ("long", "9000 8192,808", RANDOM.normal(size=(808,))),
            ("rows", "300 2 0,255:-", RANDOM.normal(size=(255, 2))),
            ("rows", "300 2 255,45:-", RANDOM.normal(size=(45, 2))),
        ],
    )


@checkpoint
def merged(prefix: str) -> None:
    parts = [f"{prefix}_part{place}" for place in range(3)]
    for place, part in enumerate(parts):
        extent = f"30 {place * 10},10"
        save(part, [(f"own{place}", "", np.array(place)), ("cut", extent, np.arange(10.0) + place)])
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=prefix)


@checkpoint
def many(prefix: str) -> None:
    """An index of more than one block, which holds 256 KiB."""
    save(prefix, [(f"layer{place}/kernel", "", np.array(float(place))) for place in range(8000)])


@checkpoint
def tensorflow_1(prefix: str) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        weight = v1.get_variable("dense/kernel", (3, 2))
        step = v1.train.get_or_create_global_step()
        v1.train.AdamOptimizer().minimize(tf.reduce_sum(weight), global_step=step)
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, prefix, write_meta_graph=False)


def save(prefix: str, tensors: list[tuple[str, str, Any]]) -> None:
    names, extents, values = zip(*tensors, strict=True)
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=names,
        shape_and_slices=extents,
        tensors=[tf.constant(value) for value in values],
    )


def expected(prefix: str) -> dict[str, Any]:
    """What TensorFlow reads: per key the dtype, the shape, and the elements' bytes."""
    reader = tf.train.load_checkpoint(prefix)
    found = {}
    for key, dtype in reader.get_variable_to_dtype_map().items():
        if dtype == tf.variant:
            continue
        value = reader.get_tensor(key)
        if dtype == tf.string:
            value = np.array(value, object)  # a dtype of NumPy's own drops trailing zeros
            elements = [element.hex() for element in value.ravel()]
        else:
            value = np.asarray(value)
            elements = [value.tobytes().hex()]
        found[key] = [dtype.name, value.shape, elements]
    return found


def optimizer_names() -> list[tuple[str, int, list[str]]]:
    """What every optimizer calls its variables: its name, its generation (1: legacy), they."""
    found: list[tuple[str, int, list[str]]] = []
    layer = tf_keras.layers.Dense(3, name="d1")
    layer(np.zeros((1, 4)))  # where it is called it gets its scope
    weights = layer.trainable_variables
    for name, optimizer in all_optimizers(LEGACY, LEGACY.Optimizer):
        optimizer.apply_gradients([(tf.ones_like(weight), weight) for weight in weights])
        found.append((name, 1, [variable.name for variable in optimizer.weights]))
    for name, optimizer in all_optimizers(tf_keras.optimizers, tf_keras.optimizers.Optimizer):
        with tf.name_scope(optimizer.name):  # as in training
            optimizer.build(weights)
        found.append((name, 2, [variable.name for variable in optimizer.variables]))
        found.append((name, 2, [bare(variable.name) for variable in optimizer.variables]))
    layer = keras.layers.Dense(3, name="d1")
    layer.build((None, 4))
    for name, optimizer in all_optimizers(keras.optimizers, keras.optimizers.Optimizer):
        optimizer.build(layer.trainable_variables)
        found.append((name, 3, [variable.path for variable in optimizer.variables]))
    return found


def bare(name: str) -> str:
    """A variable's name where the optimizer was built before training."""
    return name.partition("/")[2] or name


def all_optimizers(module: Any, base: type) -> Iterable[tuple[str, Any]]:
    options = {"momentum": 0.9, "centered": True, "amsgrad": True}
    for name, kind in sorted(vars(module).items()):
        if inspect.isclass(kind) and issubclass(kind, base) and kind is not base:
            taken = inspect.signature(kind.__init__).parameters
            if "inner_optimizer" not in taken and name != "MultiOptimizer":
                yield name, kind(**{key: options[key] for key in options.keys() & taken.keys()})


def main(folder: Path) -> None:
    for write in WRITERS:
        prefix = folder / write.__name__ / "variables" / "variables"
        prefix.parent.mkdir(parents=True)
        write(str(prefix))
        (folder / write.__name__ / "expected.json").write_text(json.dumps(expected(str(prefix))))
    (folder / "optimizers.json").write_text(json.dumps(optimizer_names()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
