"""What is judged by its name: functions of TensorFlow, operations, modules of Keras."""

from __future__ import annotations

import json
from typing import Any

import pytest

from remote_models.formats.safety import check_configuration
from remote_models.formats.safety._operations import is_denied_operation, refused_attribute
from remote_models.formats.safety._tensorflow_names import is_harmless_call

COMPUTING = [
    "__operators__.add", "__operators__.getitem", "cast", "clip_by_value",
    "compat.v1.transpose", "concat", "debugging.assert_equal", "expand_dims", "image.resize",
    "io.decode_base64", "keras.backend.clip", "linalg.matmul", "math.reduce_sum", "nn.relu",
    "nn.experimental.stateless_dropout", "one_hot", "ragged.constant", "random.normal",
    "raw_ops.AddV2", "reshape", "shape", "signal.stft", "sparse.to_dense", "strings.lower",
    "strings.regex_replace", "where",
]  # fmt: skip

DOING = [
    "io.decode_proto", "io.encode_proto", "random.fixed_unigram_candidate_sampler",
    "compat.v1.nn.fixed_unigram_candidate_sampler",
    "compat.v1.gfile.Remove", "compat.v1.py_func", "config.set_visible_devices",
    "data.TFRecordDataset", "distribute.Server", "experimental.dlpack.from_dlpack", "function",
    "io.gfile.rmtree", "io.read_file", "io.write_file", "keras.backend.set_floatx",
    "keras.utils.get_file", "load_library", "load_op_library", "math.__init__",
    "numpy_function", "print", "py_function", "raw_ops.PyFunc", "raw_ops.ReadFile",
    "raw_ops.WriteFile", "saved_model.load", "summary.write", "train.Checkpoint", "io.gfile",
    "compat.v1.load_op_library", "os.system", "..system",
]  # fmt: skip


@pytest.mark.parametrize("name", COMPUTING)
def test_functions_that_compute(name: str) -> None:
    assert is_harmless_call("TFOpLambda", {"function": name}) is True


@pytest.mark.parametrize("name", [*DOING, None, 3, ["io.read_file"]])
def test_functions_that_do_more(name: object) -> None:
    assert is_harmless_call("TFOpLambda", {"function": name}) is False


@pytest.mark.parametrize(
    ("name", "denied"),
    [
        ("MatMul", False),
        ("LookupTableFindV2", False),
        ("ReadVariableOp", False),
        ("ShardedFilename", False),
        ("TensorArrayReadV3", False),
        ("MapDataset", False),
        ("ReadFile", True),
        ("TFRecordDatasetV2", True),
        ("ReaderReadV2", True),
        ("ExperimentalLMDBDataset", True),
        ("IO>ReadFile", True),
        ("Vendor>NumpyFunction", True),
        ("SimpleMLLoadModelFromPathWithHandle", True),
        ("_ReadFile", True),
    ],
)
def test_operations(name: str, denied: bool) -> None:
    assert is_denied_operation(name) is denied


def test_attributes() -> None:
    assert not refused_attribute("PrintV2", "output_stream", (b"stderr",))
    assert refused_attribute("PrintV2", "output_stream", (b"file:///tmp/x",))
    assert not refused_attribute("DecodeProtoV2", "descriptor_source", (b"local://",))
    assert refused_attribute("DecodeProtoV2", "descriptor_source", (b"/tmp/x",))
    assert refused_attribute("FixedUnigramCandidateSampler", "vocab_file", (b"/etc/passwd",))


def found(configuration: object, *given: str) -> tuple[list[str], list[str]]:
    findings = check_configuration(configuration, given=given, where="m")
    return [str(each) for each in findings.unsafe], [each.name for each in findings.foreign]


@pytest.mark.parametrize(
    ("member", "owner", "may_leave_out"),
    [
        ({"compile_config": {"loss": "?"}}, "the loss of the model", True),
        ({"compile_config": {"metrics": [["?"]]}}, "a metric of the model", True),
        ({"compile_config": {"loss": {"metrics": "?"}}}, "the loss of the model", True),
        ({"compile_config": {"x": "?"}}, "compile_config of the model", True),
        ({"training_config": {"optimizer_config": "?"}}, "the optimizer of the model", True),
        ({"config": {"name": "m", "f": "?"}}, "layer 'm'", False),
        (
            {"config": {"name": "m", "x": {"class_name": "Dense", "config": {"name": "inner"},
                                           "compile_config": {"loss": "?"}}}},
            "the loss of layer 'inner'", False,
        ),
    ],
)  # fmt: skip
def test_what_a_model_was_compiled_with_has_its_own_name(
    member: dict[str, Any], owner: str, may_leave_out: bool
) -> None:
    code = json.dumps({"class_name": "__lambda__", "config": {"code": ""}})
    text = json.dumps({"class_name": "Sequential", "config": {"name": "m"}} | member)
    model = json.loads(text.replace('"?"', code))
    (finding,) = check_configuration(model, given=(), where="m").all
    assert finding.owner == owner
    assert ("compile=False" in finding.hint) is may_leave_out


def test_a_function_that_is_compiled_with_may_be_given_or_left_out() -> None:
    function = {"class_name": "function", "module": "mine", "config": "f"}
    model = {"class_name": "Sequential", "config": {}, "compile_config": {"loss": function}}
    (finding,) = check_configuration(model, given=(), where="m").foreign
    assert "custom_objects={'f': …}. load_model leaves it out" in finding.hint


def described(module: str | None, name: str, **more: object) -> dict[str, object]:
    return {"module": module, "class_name": name, "config": {"name": "x"}, **more}


def test_what_is_given_is_the_callers() -> None:
    own = described("mine.layers", "Mine", registered_name="pack>Mine")
    assert found(own) == ([], ["Mine"])
    assert found(own, "pack>Mine") == ([], [])
    assert found(own, "Mine") == ([], ["Mine"])  # under this name a framework does not look
    assert found(described("mine.layers", "Mine"), "Mine") == ([], [])


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("keras.layers", "Dense"),
        ("keras", "Sequential"),
        ("keras.src.models.functional", "Functional"),
        ("keras.src.ops.numpy", "Add"),
        ("keras.optimizers.schedules", "CosineDecay"),
        ("keras.optimizers.legacy", "Adam"),
        ("keras.dtype_policies", "DTypePolicy"),
        ("tensorflow.python.ops.init_ops_v2", "Constant"),
        (None, "Dense"),
        (None, "Guide>Mine"),
    ],
)
def test_building_blocks(module: str | None, name: str) -> None:
    assert found(described(module, name)) == ([], [])


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("keras.utils", "get_file"),
        ("keras.layers", "deserialize"),
        ("keras.saving", "load_model"),
        ("keras.callbacks", "LambdaCallback"),
        ("keras.layers", "Dense.__init__"),
        ("keras..layers", "Dense"),
        ("builtins", "exec"),
        ("builtins", "Exception"),
        (None, "deserialize_keras_object"),
        (None, "__import__"),
        (None, "os system"),
    ],
)
def test_no_building_blocks(module: str | None, name: str) -> None:
    unsafe, foreign = found(described(module, name))
    assert (len(unsafe), foreign) == (1, [])


def test_a_stranger_cannot_write_into_the_message() -> None:
    (unsafe,), _ = found(described(None, "os system\n\x1b[31m" + "x" * 1000))
    assert "\n" not in unsafe
    assert "\x1b" not in unsafe
    assert len(unsafe) < 300


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
@pytest.mark.parametrize(
    ("module", "name", "is_refused"),
    [
        ("convnext", "LayerScale", False),
        ("convnext", "StochasticDepth", False),
        ("inception_resnet_v2", "CustomScaleLayer", False),
        ("mobilenet_v2", "MobileNetV2", True),  # would download weights
        ("convnext", "ConvNeXtTiny", True),
    ],
)
def test_of_applications_layers_are_part_of_a_model(
    package: str, module: str, name: str, is_refused: bool
) -> None:
    layer = {
        "module": f"{package}.src.applications.{module}",
        "class_name": name,
        "config": {"name": "x", "weights": "imagenet"},
        "registered_name": name,
    }
    model = {"class_name": "Sequential", "config": {"name": "m", "layers": [layer]}}
    assert bool(check_configuration(model, given=(), where="m").all) is is_refused
