"""Which modules of Keras hold building blocks of models, and which of their names are none.

Both generations import the module that a configuration names, look the name up there
and call what they find (``_retrieve_class_or_fn`` in saving/serialization_lib.py; Keras
3.15 limits it to packages of Keras' own, tf_keras 2.21 to nothing). So ``os.system``,
``builtins.exec`` and ``keras.utils.get_file`` are all within reach of a configuration.
"""

from __future__ import annotations

import builtins
import re

__all__ = [
    "is_foreign_module",
    "is_known_class",
    "is_known_function",
    "is_plain_name",
    "reads_files",
]

_PACKAGES = ("keras", "tf_keras")

_PREFIXES = {"api", "src", "engine", "__internal__", "legacy", "experimental", "v1", "v2"}
"""Parts of a module's path that say where it lies and not what it holds."""

_CLASSES = {
    "activations", "constraints", "dtype_policies", "feature_column", "initializers", "layers",
    "losses", "metrics", "mixed_precision", "models", "ops", "optimizers", "premade",
    "premade_models", "quantizers", "random", "regularizers",
    # Files of ``engine`` in Keras 2, and of ``trainers``.
    "functional", "sequential", "training", "input_layer", "base_layer", "compile_utils",
    "trainers",
}  # fmt: skip
"""Where classes of layers, losses and so on lie."""

_OF_APPLICATIONS = {"CustomScaleLayer", "LayerScale", "StochasticDepth"}
"""Layers in modules of ``applications``. What else has such a name there is a function that
builds a model, and downloads its weights."""

_FUNCTIONS = {
    "activations", "constraints", "initializers", "losses", "metrics", "ops", "random",
    "regularizers",
}  # fmt: skip
"""Where functions lie that compute with tensors and do nothing else."""

_TENSORFLOW = {"tensorflow.python.ops.init_ops", "tensorflow.python.ops.init_ops_v2"}
"""Modules of TensorFlow's own initialisers, which Keras 2 takes as well."""

_NO_FUNCTIONS = re.compile(r"get|(de)?serialize\w*|\w*keras_object|custom_gradient|_.*")
"""Functions in these modules that do something else."""

_CLASS_NAME = re.compile(r"_?[A-Z][A-Za-z0-9_]*")

_FUNCTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

_FILE_READERS = {"TFSMLayer", "TorchModuleWrapper", "VocabularyFileCategoricalColumn"}
"""Layers that read a file which their configuration names, or hold a pickle."""


def _family(module: str) -> str | None:
    """Return what a module of Keras holds, ``""`` for ``keras`` itself; ``None`` for others."""
    package, *parts = module.split(".")
    if package not in _PACKAGES or not all(part.isidentifier() for part in parts):
        return None
    return next((part for part in parts if part not in _PREFIXES), "")


def is_foreign_module(module: str) -> bool:
    """Whether a module is neither Keras nor Python's builtins."""
    return module != "builtins" and module.partition(".")[0] not in _PACKAGES


def is_known_class(module: str, name: str) -> bool:
    """Whether a name in a module of Keras is that of a building block."""
    family = _family(module)
    if family == "applications":
        return name in _OF_APPLICATIONS
    is_known = module in _TENSORFLOW or family in {"", *_CLASSES}
    return is_known and _CLASS_NAME.fullmatch(name) is not None


def is_known_function(module: str, name: str) -> bool:
    """Whether a name is that of a function which computes with tensors.

    Keras writes its own functions, and those that nobody has registered, as such of
    ``builtins``. tf_keras looks there, too, if it knows no other of this name.
    """
    if _FUNCTION_NAME.fullmatch(name) is None or _NO_FUNCTIONS.fullmatch(name):
        return False
    if module == "builtins":
        return not hasattr(builtins, name)
    return _family(module) in _FUNCTIONS


def is_plain_name(name: str) -> bool:
    """Whether a class's name without a module can be one that Keras 2 writes.

    Keras 2 looks such names up among those of one of its own modules, where it finds, and
    calls, functions as well.
    """
    short = name.rpartition(">")[2]
    return re.fullmatch(r"[\w>.-]+", name) is not None and not _NO_FUNCTIONS.fullmatch(short)


def reads_files(class_name: str) -> bool:
    """Whether a class of Keras reads what its configuration names, or unpickles it."""
    return class_name in _FILE_READERS
