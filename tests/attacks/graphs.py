"""SavedModels whose graphs reach outside, made by TensorFlow itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from attacks.attack import Built, Canaries, Registry

__all__ = ["GRAPHS"]

GRAPHS = Registry("graph")

ONLY = ("keras",)
"""A SavedModel without Keras metadata is for Keras 3 to run."""

TEXT = tf.TensorSpec([], tf.string, name="x")


def saved(folder: Path, run: Callable[[Any], Any], *, signature: Any = TEXT) -> Path:
    """Save a program whose serving signature calls ``run``."""
    module = tf.Module()
    module.run = tf.function(run, input_signature=[signature])
    path = folder / "m"
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.run})
    return path


class _Initialised(tf.saved_model.experimental.TrackableResource):  # type: ignore[misc]
    """A resource whose initialiser runs while TensorFlow loads it."""

    def __init__(self, run: Callable[[], Any]) -> None:
        super().__init__()
        self._run = run
        self._resource_handle = tf.raw_ops.MutableHashTableV2(
            key_dtype=tf.string, value_dtype=tf.int64, shared_name="attack"
        )

    def _create_resource(self) -> Any:
        return tf.raw_ops.MutableHashTableV2(
            key_dtype=tf.string, value_dtype=tf.int64, shared_name="attack"
        )

    def _initialize(self) -> None:
        self._run()


def initialised(folder: Path, run: Callable[[], Any]) -> Path:
    """Save a program that calls ``run`` when it is loaded."""
    module = tf.Module()
    with tf.Graph().as_default():  # nothing is run while it is made
        pass
    module.resource = _Initialised(run)
    module.run = tf.function(lambda x: {"y": tf.identity(x)}, input_signature=[TEXT])
    path = folder / "m"
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.run})
    return path


def changed(path: Path, change: Callable[[Any], None]) -> Path:
    """Change the protocol buffer of a SavedModel."""
    file = path / "saved_model.pb"
    message = saved_model_pb2.SavedModel()
    message.ParseFromString(file.read_bytes())
    change(message.meta_graphs[0])
    file.write_bytes(message.SerializeToString())
    return path


def identity(x: Any) -> dict[str, Any]:
    return {"y": tf.identity(x)}


@GRAPHS.attack("WriteFile", frameworks=ONLY)
def write_a_file_when_loaded(folder: Path, canaries: Canaries, framework: str) -> Built:
    written = str(canaries.written)
    return Built(url=initialised(folder, lambda: tf.io.write_file(written, "attack")))


@GRAPHS.attack("ReadFile", frameworks=ONLY)
def read_a_file(folder: Path, canaries: Canaries, framework: str) -> Built:
    return Built(url=saved(folder, lambda x: {"y": tf.io.read_file(x)}))


@GRAPHS.attack("MatchingFiles", frameworks=ONLY)
def list_files(folder: Path, canaries: Canaries, framework: str) -> Built:
    return Built(url=saved(folder, lambda x: {"y": tf.io.matching_files(x)}))


@GRAPHS.attack("EagerPyFunc|PyFunc", frameworks=ONLY)
def call_python(folder: Path, canaries: Canaries, framework: str) -> Built:
    return Built(url=saved(folder, lambda x: {"y": tf.py_function(lambda y: y, [x], tf.string)}))


@GRAPHS.attack("PyFunc", frameworks=ONLY)
def call_python_with_arrays(folder: Path, canaries: Canaries, framework: str) -> Built:
    return Built(url=saved(folder, lambda x: {"y": tf.numpy_function(lambda y: y, [x], tf.string)}))


def from_dataset(dataset: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: {"y": dataset(x).take(1).reduce(tf.constant(""), lambda a, b: b)}


@GRAPHS.attack("TextLineDataset", frameworks=ONLY)
def lines_of_a_file(folder: Path, canaries: Canaries, framework: str) -> Built:
    return Built(url=saved(folder, from_dataset(tf.data.TextLineDataset)))


@GRAPHS.attack("TFRecordDataset", frameworks=ONLY)
def records_of_a_file(folder: Path, canaries: Canaries, framework: str) -> Built:
    return Built(url=saved(folder, from_dataset(tf.data.TFRecordDataset)))


@GRAPHS.attack("CacheDataset", frameworks=ONLY)
def cache_of_a_dataset(folder: Path, canaries: Canaries, framework: str) -> Built:
    written = str(canaries.written)

    def dataset(x: Any) -> Any:
        return tf.data.Dataset.from_tensors(x).cache(written)

    return Built(url=saved(folder, from_dataset(dataset)))


@GRAPHS.attack("file:///", frameworks=ONLY)
def print_to_a_file(folder: Path, canaries: Canaries, framework: str) -> Built:
    target = f"file://{canaries.written}"

    def run(x: Any) -> Any:
        tf.print("attack", output_stream=target)
        return {"y": tf.identity(x)}

    return Built(url=saved(folder, run))


@GRAPHS.attack("DebugIdentity", frameworks=ONLY)
def debug_to_a_file(folder: Path, canaries: Canaries, framework: str) -> Built:
    target = f"file://{canaries.written}"
    return Built(
        url=saved(
            folder,
            lambda x: {"y": tf.raw_ops.DebugIdentity(input=x, debug_urls=[target])},
        )
    )


@GRAPHS.attack("SaveV2.*only the saver", frameworks=ONLY)
def write_a_checkpoint(folder: Path, canaries: Canaries, framework: str) -> Built:
    def run(x: Any) -> Any:
        tf.raw_ops.SaveV2(
            prefix=str(canaries.written), tensor_names=["a"], shape_and_slices=[""], tensors=[x]
        )
        return {"y": tf.identity(x)}

    return Built(url=saved(folder, run))


@GRAPHS.attack("RestoreV2.*only the saver", frameworks=ONLY)
def read_a_checkpoint(folder: Path, canaries: Canaries, framework: str) -> Built:
    def run(x: Any) -> Any:
        found = tf.raw_ops.RestoreV2(
            prefix=str(canaries.secret), tensor_names=["a"], shape_and_slices=[""],
            dtypes=[tf.string],
        )  # fmt: skip
        return {"y": tf.identity(found[0])}

    return Built(url=saved(folder, run))


@GRAPHS.attack("only the saver", frameworks=ONLY)
def call_the_saver(folder: Path, canaries: Canaries, framework: str) -> Built:
    """The saver's own function is called by another one too, which is exported."""

    def change(graph: Any) -> None:
        library = graph.graph_def.library.function
        saver = next(each for each in library if "traced_save" in each.signature.name)
        other = next(each for each in library if "signature_wrapper" in each.signature.name)
        node = other.node_def.add(name="attack", op="PartitionedCall")
        node.attr["f"].func.name = saver.signature.name

    return Built(url=changed(saved(folder, identity), change))


@GRAPHS.attack("only the saver", frameworks=ONLY)
def export_the_saver(folder: Path, canaries: Canaries, framework: str) -> Built:
    def change(graph: Any) -> None:
        library = graph.graph_def.library.function
        saver = next(each for each in library if "traced_save" in each.signature.name)
        graph.object_graph_def.concrete_functions[saver.signature.name].SetInParent()

    return Built(url=changed(saved(folder, identity), change))


@GRAPHS.attack("only the saver", frameworks=ONLY)
def put_the_saver_in_place_of_another(folder: Path, canaries: Canaries, framework: str) -> Built:
    def change(graph: Any) -> None:
        for each in graph.graph_def.library.function:
            if "traced_save" in each.signature.name:
                each.attr["api_implements"].s = b"attack"

    return Built(url=changed(saved(folder, identity), change))


@GRAPHS.attack("ReadFile", frameworks=ONLY)
def hidden_in_a_branch(folder: Path, canaries: Canaries, framework: str) -> Built:
    def run(x: Any) -> Any:
        return {"y": tf.cond(tf.equal(x, "now"), lambda: tf.io.read_file(x), lambda: x)}

    return Built(url=saved(folder, run))


@GRAPHS.attack("ReadFile", frameworks=ONLY)
def hidden_in_a_function_nobody_calls(folder: Path, canaries: Canaries, framework: str) -> Built:
    def change(graph: Any) -> None:
        function = graph.graph_def.library.function.add()
        function.signature.name = "__inference_attack_1"
        function.node_def.add(name="attack", op="ReadFile", input=["x"])

    return Built(url=changed(saved(folder, identity), change))


def table(file: str) -> Any:
    initializer = tf.lookup.TextFileInitializer(
        file, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
        tf.lookup.TextFileIndex.LINE_NUMBER,
    )  # fmt: skip
    return tf.lookup.StaticHashTable(initializer, -1)


def with_table(folder: Path) -> Path:
    (folder / "words.txt").write_text("one\ntwo\n")
    module = tf.Module()
    module.table = table(str(folder / "words.txt"))
    module.run = tf.function(lambda x: {"y": module.table.lookup(x)}, input_signature=[TEXT])
    path = folder / "m"
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.run})
    return path


@GRAPHS.attack("lies outside", frameworks=ONLY)
def asset_outside(folder: Path, canaries: Canaries, framework: str) -> Built:
    def change(graph: Any) -> None:
        graph.asset_file_def[0].filename = "../../secret"

    return Built(url=changed(with_table(folder), change))


@GRAPHS.attack("lies outside", frameworks=ONLY)
def absolute_asset(folder: Path, canaries: Canaries, framework: str) -> Built:
    def change(graph: Any) -> None:
        graph.asset_file_def[0].filename = str(canaries.secret)

    return Built(url=changed(with_table(folder), change))


def declare(graph: Any, name: str, filename: str) -> None:
    """Declare an asset as TensorFlow 1 does, in a collection."""
    asset = meta_graph_pb2.AssetFileDef(filename=filename)
    asset.tensor_info.name = f"{name}:0"
    graph.collection_def["saved_model_assets"].any_list.value.add().Pack(asset)


@GRAPHS.attack("lies outside", frameworks=ONLY)
def asset_of_a_collection_outside(folder: Path, canaries: Canaries, framework: str) -> Built:
    def change(graph: Any) -> None:
        name = graph.asset_file_def[0].tensor_info.name
        graph.ClearField("asset_file_def")
        declare(graph, name.partition(":")[0], "../../secret")

    return Built(url=changed(with_table(folder), change))


@GRAPHS.attack("no asset", frameworks=ONLY)
def asset_of_a_collection_that_is_passed_over(
    folder: Path, canaries: Canaries, framework: str
) -> Built:
    """TensorFlow goes by the other declarations, and leaves the path in the constant."""

    def change(graph: Any) -> None:
        nodes = graph.graph_def.node
        nodes.add(name="table", op="HashTableV2")
        path = nodes.add(name="path", op="Const")
        path.attr["value"].tensor.string_val.append(str(canaries.secret).encode())
        nodes.add(name="attack", op="InitializeTableFromTextFileV2", input=["table", "path"])
        declare(graph, "path", "words.txt")

    return Built(url=changed(with_table(folder), change))


@GRAPHS.attack("no asset", frameworks=ONLY)
def table_of_a_constant(folder: Path, canaries: Canaries, framework: str) -> Built:
    """The table is filled from the path in a constant, and not from the asset."""

    def change(graph: Any) -> None:
        for function in graph.graph_def.library.function:
            for node in function.node_def:
                if node.op == "InitializeTableFromTextFileV2":
                    path = function.node_def.add(name="attack", op="Const")
                    path.attr["value"].tensor.string_val.append(str(canaries.secret).encode())
                    node.input[1] = "attack:output:0"

    return Built(url=changed(with_table(folder), change))


@GRAPHS.attack("no asset", frameworks=ONLY)
def table_of_another_object(folder: Path, canaries: Canaries, framework: str) -> Built:
    """What is bound to the initialiser is no asset any more."""

    def change(graph: Any) -> None:
        objects = graph.object_graph_def
        for node in objects.nodes:
            if node.HasField("asset"):
                node.ClearField("asset")
                node.constant.operation = "Const"

    return Built(url=changed(with_table(folder), change))


@GRAPHS.attack("claim more elements", error="FormatError", frameworks=ONLY)
def constant_without_end(folder: Path, canaries: Canaries, framework: str) -> Built:
    def change(graph: Any) -> None:
        node = graph.graph_def.node.add(name="attack", op="Const")
        node.attr["dtype"].type = 1
        tensor = node.attr["value"].tensor
        tensor.dtype = 1
        tensor.float_val.append(1.0)
        tensor.tensor_shape.dim.add(size=4_000_000_000)

    return Built(url=changed(saved(folder, identity), change))


@GRAPHS.attack("damaged protocol buffer", error="FormatError", frameworks=ONLY)
def messages_inside_messages(folder: Path, canaries: Canaries, framework: str) -> Built:
    data = b""
    for _ in range(2000):  # TensorShapeProto in TensorProto, and so on, without end
        tag = b"\x42"
        size = len(data)
        length = b""
        while size >= 0x80:
            length += bytes([size & 0x7F | 0x80])
            size >>= 7
        data = tag + length + bytes([size]) + data
    path = saved(folder, identity)
    (path / "saved_model.pb").write_bytes(data[: len(data) // 2])
    return Built(url=path)


@GRAPHS.attack("another form", frameworks=ONLY)
def another_form_of_the_graph(folder: Path, canaries: Canaries, framework: str) -> Built:
    path = saved(folder, identity)
    (path / "saved_model.pbtxt").write_text("saved_model_schema_version: 1\n")
    return Built(url=path)


@GRAPHS.attack("without an operation|malformed", error="FormatError", frameworks=ONLY)
def nodes_without_operations(folder: Path, canaries: Canaries, framework: str) -> Built:
    def change(graph: Any) -> None:
        for _ in range(1000):
            graph.graph_def.node.add()

    return Built(url=changed(saved(folder, identity), change))


@GRAPHS.attack("too short", error="IntegrityError", frameworks=ONLY)
def variables_outside_their_file(folder: Path, canaries: Canaries, framework: str) -> Built:
    module = tf.Module()
    module.variable = tf.Variable(tf.zeros([1000]))
    module.run = tf.function(
        lambda x: {"y": module.variable[0] + tf.strings.to_number(x)}, input_signature=[TEXT]
    )
    path = folder / "m"
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.run})
    shard = path / "variables" / "variables.data-00000-of-00001"
    shard.write_bytes(shard.read_bytes()[:100])
    return Built(url=path)


# SavedModels of Keras 2, whose metadata are configurations, and whose graphs run too.


def keras_2(folder: Path) -> Path:
    import tf_keras

    model = tf_keras.Sequential([tf_keras.layers.Input((4,)), tf_keras.layers.Dense(2)])
    path = folder / "m"
    model.save(str(path))
    return path


@GRAPHS.attack("WriteFile")
def keras_2_with_a_file(folder: Path, canaries: Canaries, framework: str) -> Built:
    def change(graph: Any) -> None:
        function = graph.graph_def.library.function[0]
        function.node_def.add(name="attack", op="WriteFile", input=["x", "x"])

    return Built(url=changed(keras_2(folder), change))


@GRAPHS.attack("Python code")
def keras_2_with_code(folder: Path, canaries: Canaries, framework: str) -> Built:
    import tf_keras

    written = str(canaries.written)

    attack = lambda x: ([open(written, "w")], x)[1]  # noqa: E731, SIM115 - stored as code
    model = tf_keras.Sequential([tf_keras.layers.Input((4,)), tf_keras.layers.Lambda(attack)])
    path = folder / "m"
    model.save(str(path))
    canaries.written.unlink(missing_ok=True)
    return Built(url=path)


@GRAPHS.attack("reads the file", frameworks=ONLY)
def keras_2_with_a_vocabulary(folder: Path, canaries: Canaries, framework: str) -> Built:
    path = keras_2(folder)
    metadata = path / "keras_metadata.pb"
    text = metadata.read_bytes()
    # "units" becomes as long a key that names a file.
    old, new = b'"activation": "linear"', b'"vocabulary": "/a/b/c"'
    assert len(old) == len(new)
    metadata.write_bytes(text.replace(old, new))
    return Built(url=path)


def constant(nodes: Any, name: str, value: str) -> None:
    """Add a text to the nodes of a graph or of a function."""
    node = nodes.add(name=name, op="Const")
    node.attr["dtype"].type = tf.string.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value.encode()))


@GRAPHS.attack("only the saver", frameworks=ONLY)
def call_the_saver_as_an_operation(folder: Path, canaries: Canaries, framework: str) -> Built:
    """A node whose operation has the name of a function calls it."""

    def change(graph: Any) -> None:
        library = graph.graph_def.library.function
        saver = next(each for each in library if "traced_save" in each.signature.name)
        other = next(each for each in library if "signature_wrapper" in each.signature.name)
        names = [each.name for each in saver.signature.input_arg]
        for name in names:
            constant(other.node_def, f"attack_{name}", str(canaries.written))
        inputs = [f"attack_{name}:output:0" for name in names]
        other.node_def.add(name="attack", op=saver.signature.name, input=inputs)

    return Built(url=changed(saved(folder, identity), change))


@GRAPHS.attack("only the saver", frameworks=ONLY)
def saver_as_a_gradient(folder: Path, canaries: Canaries, framework: str) -> Built:
    def change(graph: Any) -> None:
        library = graph.graph_def.library
        saver = next(each for each in library.function if "traced_save" in each.signature.name)
        library.registered_gradients.add(
            gradient_func=saver.signature.name, registered_op_type="attack"
        )

    return Built(url=changed(saved(folder, identity), change))


def filling(graph: Any, canaries: Canaries) -> Any:
    """Return the function that fills the table, whose work is given to another, and a path."""
    library = graph.graph_def.library.function
    initializer = next(
        each
        for each in library
        if any(node.op == "InitializeTableFromTextFileV2" for node in each.node_def)
    )
    inner = library.add()
    inner.CopyFrom(initializer)
    inner.signature.name = "__inference_attack_1"
    constant(initializer.node_def, "attack", str(canaries.secret))
    return initializer


@GRAPHS.attack("no asset", frameworks=ONLY)
def table_of_a_function_as_an_operation(folder: Path, canaries: Canaries, framework: str) -> Built:
    """The function that fills the table is called by its name, and given another path."""

    def change(graph: Any) -> None:
        outer = filling(graph, canaries)
        node = next(each for each in outer.node_def if each.op.startswith("InitializeTable"))
        inputs = [
            "attack:output:0" if each.name == node.input[1] else each.name
            for each in outer.signature.input_arg
        ]
        node.ClearField("attr")
        node.ClearField("input")
        node.op = "__inference_attack_1"
        node.input.extend(inputs)

    return Built(url=changed(with_table(folder), change))


@GRAPHS.attack("no asset", frameworks=ONLY)
def table_filled_in_a_loop(folder: Path, canaries: Canaries, framework: str) -> Built:
    """The second round of a loop gets what the first one has returned."""

    def change(graph: Any) -> None:
        outer = filling(graph, canaries)
        node = next(each for each in outer.node_def if each.op.startswith("InitializeTable"))
        inputs = [each.name for each in outer.signature.input_arg]
        node.ClearField("attr")
        node.ClearField("input")
        node.op = "While"
        node.attr["cond"].func.name = "__inference_attack_1"
        node.attr["body"].func.name = "__inference_attack_1"
        node.input.extend(inputs)

    return Built(url=changed(with_table(folder), change))


@GRAPHS.attack("ImmutableConst.*reach outside", frameworks=ONLY)
def file_as_a_constant(folder: Path, canaries: Canaries, framework: str) -> Built:
    def run(x: Any) -> Any:
        file = tf.raw_ops.ImmutableConst(
            dtype=tf.uint8, shape=[9], memory_region_name=str(canaries.secret)
        )
        return {"y": x, "file": file}

    return Built(url=saved(folder, run))


@GRAPHS.attack("DatasetFromGraph.*reach outside", frameworks=ONLY)
def graph_in_a_text(folder: Path, canaries: Canaries, framework: str) -> Built:
    dataset = tf.raw_ops.TextLineDataset(
        filenames=[str(canaries.secret)], compression_type="", buffer_size=0
    )
    hidden = tf.raw_ops.DatasetToGraphV2(input_dataset=dataset).numpy()

    def run(x: Any) -> Any:
        variant = tf.raw_ops.DatasetFromGraph(graph_def=tf.constant(hidden))
        lines = tf.raw_ops.DatasetToSingleElement(
            dataset=tf.raw_ops.TakeDataset(
                input_dataset=variant, count=tf.constant(1, tf.int64),
                output_types=[tf.string], output_shapes=[[]],
            ),
            output_types=[tf.string], output_shapes=[[]],
        )  # fmt: skip
        return {"y": x, "line": lines[0]}

    return Built(url=saved(folder, run))


def old_program(folder: Path, build: Callable[[Any], Any]) -> Path:
    """Save a program of TensorFlow 1 whose signature returns what ``build`` makes of ``x``."""
    v1 = tf.compat.v1
    path = folder / "m"
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.string, [], "x")
        y = build(x)
        weight = v1.get_variable("w", [], use_resource=False)
        session.run(weight.initializer)
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"serving_default": v1.saved_model.predict_signature_def({"x": x}, {"y": y})},
        )
        builder.save()
    return path


@GRAPHS.attack("SaveV2.*only the saver", frameworks=ONLY)
def signature_that_is_the_saver(folder: Path, canaries: Canaries, framework: str) -> Built:
    """A signature of TensorFlow 1 returns what the saver's declaration names."""

    def build(x: Any) -> Any:
        save = tf.raw_ops.SaveV2(
            prefix=str(canaries.written), tensor_names=["a"], shape_and_slices=[""], tensors=[x]
        )
        with tf.control_dependencies([save]):
            return tf.identity(x, "attack")

    def change(graph: Any) -> None:
        graph.saver_def.save_tensor_name = "attack:0"

    return Built(url=changed(old_program(folder, build), change))


@GRAPHS.attack("no asset", frameworks=ONLY)
def table_of_a_signature(folder: Path, canaries: Canaries, framework: str) -> Built:
    """Only the initialiser is given the asset's path; a signature takes the constant's."""

    def build(x: Any) -> Any:
        (folder / "words.txt").write_text("one\ntwo\n")
        words = table(str(folder / "words.txt"))
        graph = tf.compat.v1.get_default_graph()
        fill = next(
            each for each in graph.get_operations() if each.type.startswith("InitializeTable")
        )
        with tf.control_dependencies([fill]):
            return words.lookup(x)

    def change(graph: Any) -> None:
        nodes = {node.name: node for node in graph.graph_def.node}
        fill = next(node for node in nodes.values() if node.op.startswith("InitializeTable"))
        path = nodes[fill.input[1].partition(":")[0]]
        path.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(str(canaries.secret).encode()))
        del graph.collection_def["table_initializer"]  # nobody has filled it before

    return Built(url=changed(_with_asset(folder, build), change))


def _with_asset(folder: Path, build: Callable[[Any], Any]) -> Path:
    path = old_program(folder, build)

    def change(graph: Any) -> None:
        name = next(
            node.input[1]
            for node in graph.graph_def.node
            if node.op == "InitializeTableFromTextFileV2"
        )
        declare(graph, name.partition(":")[0], "words.txt")

    (path / "assets").mkdir(exist_ok=True)
    (path / "assets" / "words.txt").write_text("one\ntwo\n")
    return changed(path, change)
