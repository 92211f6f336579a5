"""Configurations that have a framework run code, call functions or read files.

The same payloads are put into every format that holds a configuration, since each
reaches the frameworks on another way.
"""

from __future__ import annotations

import base64
import io
import json
import marshal
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from attacks.attack import BOTH, KERAS_OWN, Built, Canaries, Registry

__all__ = [
    "CONFIGURATIONS",
    "PAYLOADS",
    "dense",
    "input_layer",
    "keras_archive",
    "sequential",
    "weights",
]

CONFIGURATIONS = Registry("configuration")

Layers = list[dict[str, Any]]


def layer(class_name: str, config: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A layer as both generations write it."""
    name = more.pop("name", class_name.lower())
    described = {
        "module": "keras.layers",
        "class_name": class_name,
        "config": {"name": name, "trainable": True, "dtype": "float32", **config},
        "registered_name": None,
    }
    return {**described, **more}


def input_layer(framework: str, shape: tuple[int, ...] = (4,), dtype: str = "float32") -> Any:
    key = "batch_shape" if framework == "keras" else "batch_input_shape"
    config = {key: [None, *shape], "dtype": dtype, "name": "input"}
    return {**layer("InputLayer", {}), "config": config}


def dense(activation: Any = "linear", **config: Any) -> dict[str, Any]:
    return layer("Dense", {"units": 2, "activation": activation, "use_bias": True, **config})


def sequential(*layers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "sequential", "trainable": True, "layers": list(layers)},
        "registered_name": None,
        **more,
    }


def weights(units: int = 2) -> bytes:
    """A ``model.weights.h5`` for the layer ``dense``."""
    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        group = file.create_group("layers/dense/vars")
        group.attrs["name"] = "dense"
        group["0"] = np.ones((4, units), "float32")
        group["1"] = np.ones(units, "float32")
    return data.getvalue()


def metadata(framework: str) -> bytes:
    version = "3.15.1" if framework == "keras" else "2.21.0"
    return json.dumps({"keras_version": version, "date_saved": "2026-11-01@00:00:00"}).encode()


def keras_archive(
    path: Path, configuration: Any, framework: str, data: bytes | None = None
) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", metadata(framework))
        archive.writestr("config.json", json.dumps(configuration))
        archive.writestr("model.weights.h5", weights() if data is None else data)
    return path


def legacy_h5(path: Path, configuration: Any, framework: str) -> Path:
    configuration = dict(configuration)
    training = configuration.pop("compile_config", None)
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "3.15.1" if framework == "keras" else "2.21.0"
        file.attrs["backend"] = "tensorflow"
        file.attrs["model_config"] = json.dumps(configuration)
        if training is not None:
            file.attrs["training_config"] = json.dumps(
                {"optimizer_config": training["optimizer"], "loss": training["loss"],
                 "metrics": training["metrics"], "weighted_metrics": None, "loss_weights": None}
            )  # fmt: skip
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"dense"]
        inner = group.create_group("dense")
        inner.attrs["weight_names"] = [b"dense/kernel:0", b"dense/bias:0"]
        inner["dense/kernel:0"] = np.ones((4, 2), "float32")
        inner["dense/bias:0"] = np.ones(2, "float32")
    return path


def as_keras(folder: Path, configuration: Any, framework: str) -> Built:
    return Built(url=keras_archive(folder / "m.keras", configuration, framework))


def as_adopted(folder: Path, configuration: Any, framework: str) -> Built:
    return Built(url=keras_archive(folder / "m.keras", configuration, framework), adopt=True)


def as_lazy(folder: Path, configuration: Any, framework: str) -> Built:
    url = keras_archive(folder / "m.keras", configuration, framework)
    return Built(url=url, adopt=True, verb="lazy")


def as_h5(folder: Path, configuration: Any, framework: str) -> Built:
    return Built(url=legacy_h5(folder / "m.h5", configuration, framework))


def as_adopted_h5(folder: Path, configuration: Any, framework: str) -> Built:
    return Built(url=legacy_h5(folder / "m.h5", configuration, framework), adopt=True)


def as_json(folder: Path, configuration: Any, framework: str) -> Built:
    path = folder / "m.json"
    path.write_text(json.dumps(configuration))
    return Built(url=path, verb="load_architecture")


FORMATS: Mapping[str, Callable[[Path, Any, str], Built]] = {
    ".keras": as_keras,
    ".keras with manifest": as_adopted,
    "lazy .keras": as_lazy,
    ".h5": as_h5,
    ".h5 with manifest": as_adopted_h5,
    ".json": as_json,
}


def function(module: str | None, name: str, registered_name: str = "function") -> dict[str, Any]:
    return {
        "module": module, "class_name": "function", "config": name,
        "registered_name": registered_name,
    }  # fmt: skip


def code(canaries: Canaries) -> list[Any]:
    """Python code in the form in which Keras stores it, which writes the canary."""
    source = f"(lambda x: (open({str(canaries.written)!r}, 'w').close(), x)[1])"
    compiled = compile(source, "<attack>", "eval").co_consts[0]
    return [base64.b64encode(marshal.dumps(compiled)).decode(), None, None]


def lambda_3(canaries: Canaries) -> dict[str, Any]:
    text, defaults, closure = code(canaries)
    inner = {"code": text, "defaults": defaults, "closure": closure}
    return {"class_name": "__lambda__", "config": inner}


Payload = Callable[[Canaries, str], Any]

PAYLOADS: dict[str, tuple[str, Payload]] = {
    "Lambda with code": (
        "Python code",
        lambda c, f: sequential(input_layer(f), layer("Lambda", {"function": lambda_3(c)})),
    ),
    "Lambda of Keras 2 with code": (
        "Python code",
        lambda c, f: sequential(
            input_layer(f),
            layer("Lambda", {"function": code(c), "function_type": "lambda", "arguments": {}}),
        ),
    ),
    "Lambda behind a registered name": (
        "Python code",
        lambda c, f: sequential(
            input_layer(f),
            layer("Harmless", {"function": code(c), "function_type": "lambda", "arguments": {}},
                  registered_name="Lambda"),
        ),
    ),
    "TFSMLayer behind a registered name": (
        "TFSMLayer",
        lambda c, f: sequential(
            input_layer(f), layer("Harmless", {"filepath": str(c.secret.parent)},
                                  registered_name="TFSMLayer"),
        ),
    ),
    "code in an output shape": (
        "Python code",
        lambda c, f: sequential(
            input_layer(f),
            layer("Lambda", {"function": function("keras.ops", "abs"),
                             "output_shape": lambda_3(c)}),
        ),
    ),
    "code in an activation": (
        "Python code", lambda c, f: sequential(input_layer(f), dense(lambda_3(c))),
    ),
    "os.system as an activation": (
        "function system of the module os",
        lambda c, f: sequential(input_layer(f), dense(function("os", "system"))),
    ),
    "os.system behind a registered name": (
        "system",
        lambda c, f: sequential(input_layer(f), dense(function("os", "relu", "system"))),
    ),
    "builtins.exec as an activation": (
        "function exec of the module builtins",
        lambda c, f: sequential(input_layer(f), dense(function("builtins", "exec"))),
    ),
    "a class of subprocess": (
        "class Popen of the module subprocess",
        lambda c, f: sequential(
            input_layer(f), layer("Popen", {"args": ["touch", str(c.written)]},
                                  module="subprocess", registered_name="Popen"),
        ),
    ),
    "keras.utils.get_file as an activation": (
        "get_file",
        lambda c, f: sequential(input_layer(f), dense(function("keras.utils", "get_file"))),
    ),
    "keras.utils.get_file as a class": (
        "get_file",
        lambda c, f: sequential(
            input_layer(f), layer("get_file", {"origin": f"file://{c.secret}"},
                                  module="keras.utils"),
        ),
    ),
    "keras.saving.load_model": (
        "load_model",
        lambda c, f: sequential(input_layer(f), dense(function("keras.saving", "load_model"))),
    ),
    "keras.config.enable_unsafe_deserialization": (
        "enable_unsafe_deserialization",
        lambda c, f: sequential(
            input_layer(f),
            dense(function("keras.config", "enable_unsafe_deserialization")),
        ),
    ),
    "a function through a module that imports it": (
        "load_img|file_utils",
        lambda c, f: sequential(
            input_layer(f),
            dense(function("keras.src.layers.preprocessing.index_lookup", "file_utils.load_img")),
        ),
    ),
    "numpy.load through a module of losses": (
        "np.load",
        lambda c, f: sequential(input_layer(f), dense(function("keras.src.losses.losses",
                                                               "np.load"))),
    ),
    "keras.losses.deserialize": (
        "deserialize",
        lambda c, f: sequential(input_layer(f), dense(function("keras.losses", "deserialize"))),
    ),
    "a SavedModel by its path": (
        "TFSMLayer",
        lambda c, f: sequential(
            input_layer(f), layer("TFSMLayer", {"filepath": str(c.secret.parent),
                                                "call_endpoint": "serve"}),
        ),
    ),
    "a pickled torch module": (
        "TorchModuleWrapper",
        lambda c, f: sequential(
            input_layer(f), layer("TorchModuleWrapper", {"module": "gASVAAAAAAAAAAA="}),
        ),
    ),
    "the vocabulary of StringLookup": (
        "reads the file",
        lambda c, f: sequential(
            input_layer(f, (1,), "string"), layer("StringLookup", {"vocabulary": str(c.secret)}),
        ),
    ),
    "the vocabulary of TextVectorization": (
        "reads the file",
        lambda c, f: sequential(
            input_layer(f, (1,), "string"),
            layer("TextVectorization", {"vocabulary": str(c.secret)}),
        ),
    ),
    "the vocabulary of IntegerLookup": (
        "reads the file",
        lambda c, f: sequential(
            input_layer(f, (1,), "int64"), layer("IntegerLookup", {"vocabulary": str(c.secret)}),
        ),
    ),
    "tf.io.write_file in a functional model": (
        "io.write_file",
        lambda c, f: sequential(
            input_layer(f),
            layer("TFOpLambda", {"function": "io.write_file"},
                  module="keras.src.layers.core.tf_op_layer"),
        ),
    ),
    "tf.io.gfile.remove in a functional model": (
        "io.gfile.remove",
        lambda c, f: sequential(
            input_layer(f),
            layer("TFOpLambda", {"function": "io.gfile.remove"},
                  module="keras.src.layers.core.tf_op_layer"),
        ),
    ),
    "an operation as a node": (
        "of TensorFlow",
        lambda c, f: sequential(
            input_layer(f),
            layer("TensorFlowOpLayer", {"node_def": json.dumps({"op": "WriteFile", "name": "w"}),
                                        "constants": {}},
                  module="keras.src.layers.core.tf_op_layer"),
        ),
    ),
    "a type of another module": (
        "of os",
        lambda c, f: sequential(
            input_layer(f),
            layer("RaggedTensor", {"spec": {"class_name": "__typespec__", "spec_name": "system",
                                            "module": "os", "registered_name": None,
                                            "config": [str(c.secret)]}}),
        ),
    ),
    "an initialiser of another module": (
        "module subprocess",
        lambda c, f: sequential(
            input_layer(f),
            dense(kernel_initializer={"module": "subprocess", "class_name": "Popen",
                                      "config": {"args": "true"}, "registered_name": "Popen"}),
        ),
    ),
    "a module that runs when it is imported": (
        "module this",
        lambda c, f: sequential(
            input_layer(f), layer("Zen", {}, module="this", registered_name="Zen"),
        ),
    ),
    "a loss of another module": (
        "module os",
        lambda c, f: sequential(
            input_layer(f), dense(),
            compile_config={"optimizer": "adam", "loss": function("os", "system"),
                            "metrics": None},
        ),
    ),
    "a loss with code": (
        "the loss of the model holds Python code.*compile=False",
        lambda c, f: sequential(
            input_layer(f), dense(),
            compile_config={"optimizer": "adam", "loss": lambda_3(c), "metrics": None},
        ),
    ),
    "an optimizer of another module": (
        "module shutil",
        lambda c, f: sequential(
            input_layer(f), dense(),
            compile_config={
                "optimizer": {"module": "shutil", "class_name": "rmtree",
                              "config": {"path": str(c.secret.parent)},
                              "registered_name": "rmtree"},
                "loss": "mse", "metrics": None,
            },
        ),
    ),
    "code in a nested model": (
        "Python code",
        lambda c, f: sequential(
            input_layer(f),
            {**sequential(input_layer(f), layer("Lambda", {"function": lambda_3(c)})),
             "name": "inner"},
        ),
    ),
    "os.system inside a wrapper": (
        "module os",
        lambda c, f: sequential(
            input_layer(f, (3, 4)),
            layer("TimeDistributed", {"layer": dense(function("os", "system"))}),
        ),
    ),
}  # fmt: skip
"""By what they try: what the message says, and the configuration."""

_ALWAYS = (".keras",)

_SOME = (
    "Lambda with code",
    "Lambda of Keras 2 with code",
    "a module that runs when it is imported",
    "os.system as an activation",
    "builtins.exec as an activation",
    "keras.utils.get_file as an activation",
    "the vocabulary of StringLookup",
    "tf.io.write_file in a functional model",
    "a loss of another module",
    "code in a nested model",
)
"""Payloads that are tried in every format."""

_FOREIGN = {"os.system as an activation", "a loss of another module",
            "a module that runs when it is imported"}  # fmt: skip
"""tf_keras looks these up among its own names in .h5 files, and finds nothing: it says so."""


def _register(name: str, format: str, match: str, payload: Payload) -> None:
    make = FORMATS[format]
    frameworks: tuple[str, ...] = ("keras",) if format.startswith("lazy") else BOTH

    def build(folder: Path, canaries: Canaries, framework: str) -> Built:
        return make(folder, payload(canaries, framework), framework)

    if ".h5" in format and name in _FOREIGN:
        frameworks = ("keras",)
        CONFIGURATIONS.attack(
            "", error=KERAS_OWN, frameworks=("tf_keras",), name=f"{name} ({format}, Keras 2)"
        )(build)
    CONFIGURATIONS.attack(match, frameworks=frameworks, name=f"{name} ({format})")(build)


for _name, (_match, _payload) in PAYLOADS.items():
    for _format in FORMATS if _name in _SOME else _ALWAYS:
        if _format != ".json" or "compile" not in str(_name):
            _register(_name, _format, _match, _payload)


@CONFIGURATIONS.attack("nested too deeply|damaged", error="FormatError")
def nested_without_end(folder: Path, canaries: Canaries, framework: str) -> Built:
    path = keras_archive(folder / "m.keras", 0, framework)
    deep = '{"class_name": "Sequential", "config": ' + "[" * 900 + "]" * 900 + "}"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", metadata(framework))
        archive.writestr("config.json", deep)
        archive.writestr("model.weights.h5", weights())
    return Built(url=path)


@CONFIGURATIONS.attack("does not hold", error="FormatError")
def units_without_number(folder: Path, canaries: Canaries, framework: str) -> Built:
    configuration = sequential(input_layer(framework), dense(units=2_000_000_000))
    return as_keras(folder, configuration, framework)


@CONFIGURATIONS.attack("does not hold", error="FormatError")
def units_without_number_in_h5(folder: Path, canaries: Canaries, framework: str) -> Built:
    configuration = sequential(input_layer(framework), dense(units=2_000_000_000))
    return as_h5(folder, configuration, framework)


@CONFIGURATIONS.attack("does not hold", error="FormatError")
def units_without_number_with_manifest(folder: Path, canaries: Canaries, framework: str) -> Built:
    configuration = sequential(input_layer(framework), dense(units=2_000_000_000))
    return as_adopted(folder, configuration, framework)


@CONFIGURATIONS.attack("does not hold", error="FormatError")
def input_without_end(folder: Path, canaries: Canaries, framework: str) -> Built:
    configuration = sequential(input_layer(framework, (1_000_000_000,)), dense())
    return as_keras(folder, configuration, framework)


@CONFIGURATIONS.attack("does not hold", error="FormatError")
def embedding_without_number(folder: Path, canaries: Canaries, framework: str) -> Built:
    configuration = sequential(
        input_layer(framework, (4,), "int32"),
        layer("Embedding", {"input_dim": 100_000_000, "output_dim": 64}),
    )
    return as_keras(folder, configuration, framework)


@CONFIGURATIONS.attack("does not hold", error="FormatError")
def many_layers(folder: Path, canaries: Canaries, framework: str) -> Built:
    layers = [layer("Dense", {"units": 4096}, name=f"d{index}") for index in range(40)]
    return as_keras(folder, sequential(input_layer(framework), *layers), framework)
