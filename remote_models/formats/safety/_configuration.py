"""What a model's configuration would have a framework run or read.

A configuration names classes and functions by module and name, in any place and depth.
The frameworks' own safe modes stop little of that, so everything that looks like a name
is held against a list here, before a framework sees it.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from remote_models.errors import FormatError
from remote_models.formats._architecture import TRAINING_MEMBERS
from remote_models.formats.safety._findings import Finding, shorten
from remote_models.formats.safety._modules import (
    is_foreign_module,
    is_known_class,
    is_known_function,
    is_plain_name,
    reads_files,
)
from remote_models.formats.safety._tensorflow_names import is_harmless_call

__all__ = [
    "FILE_ARGUMENTS",
    "ConfigurationFindings",
    "check_configuration",
]

_MAX_DEPTH = 400
"""Objects and arrays inside each other; a nested model takes four for each level."""

_VALUES = {
    "CompositeTensor", "TensorShape", "TypeSpec", "__bytes__", "__ellipsis__",
    "__keras_tensor__", "__numpy__", "__slice__", "__tensor__", "__tuple__",
}  # fmt: skip
"""Classes of plain values in both generations' JSON."""

_SPEC_MODULE = re.compile(r"tensorflow\.python\.(framework|ops)\.[a-z_.]+")
_SPEC_NAME = re.compile(r"[A-Za-z]+Spec")

FILE_ARGUMENTS = ("vocabulary", "vocabulary_file", "idf_weights")
"""Arguments of Keras' layers that may be the path of a file."""

_CODE_TYPES = ("function_type", "output_shape_type", "mask_type")

_CODE_HINT = "Keep computations in a class of your own, given in custom_objects="

_PARTS = {"loss": "the loss", "metrics": "a metric", "weighted_metrics": "a metric",
          "optimizer": "the optimizer", "optimizer_config": "the optimizer"}  # fmt: skip

_MODEL = "the model"

_TRAINING_HINT = "load_model leaves it out with compile=False"


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfigurationFindings:
    """What a configuration names that is no building block of Keras.

    Attributes:
        unsafe: Code, and functions of Keras that do more than compute.
        files: Files that layers read.
        foreign: Classes and functions by a path outside of Keras, that nobody has given.
    """

    unsafe: tuple[Finding, ...]
    files: tuple[Finding, ...]
    foreign: tuple[Finding, ...]

    @property
    def all(self) -> tuple[Finding, ...]:
        """All of them."""
        return self.unsafe + self.files + self.foreign


@dataclass(frozen=True, kw_only=True, slots=True)
class _Owner:
    """Whose configuration something stands in.

    Attributes:
        model: The layer or the whole model, in words.
        part: What of its training it belongs to, in words; empty if to none.
    """

    model: str = _MODEL
    part: str = ""

    def __str__(self) -> str:
        return f"{self.part} of {self.model}" if self.part else self.model

    @property
    def hint(self) -> str:
        """How to do without it."""
        return _TRAINING_HINT if self.part and self.model == _MODEL else ""

    def of(self, described: Mapping[str, Any]) -> _Owner:
        """Return who owns what stands in the description of an object."""
        config = described.get("config")
        name = config.get("name") if isinstance(config, Mapping) else None
        return self if self.part or not isinstance(name, str) else _Owner(model=f"layer {name!r}")

    def member(self, key: object, *, of_whole: bool) -> _Owner:
        """Return who owns a member of what is described; ``of_whole``: of the whole model."""
        if key in TRAINING_MEMBERS and not self.part:
            return _Owner(model=_MODEL if of_whole else self.model, part=str(key))
        is_part = self.part in TRAINING_MEMBERS and key in _PARTS
        return replace(self, part=_PARTS[str(key)]) if is_part else self


def check_configuration(
    configuration: object, *, given: Container[str], where: str
) -> ConfigurationFindings:
    """Look at every class, function and file that a configuration names.

    Args:
        configuration: What stands in the JSON: whatever it is, it is gone through.
        given: The names under which the caller has registered or passed objects.
            Whatever stands in the configuration of one of these is looked at, too.
        where: The artifact, for messages.

    Raises:
        FormatError: it is nested too deeply.
    """
    unsafe: list[Finding] = []
    files: list[Finding] = []
    foreign: list[Finding] = []
    for described, owner in _descriptions(configuration, where):
        for finding in _check(described, str(owner), given):
            kind = foreign if finding.name else files if finding.is_file else unsafe
            kind.append(_with_hint(finding, owner.hint))
    return ConfigurationFindings(unsafe=tuple(unsafe), files=tuple(files), foreign=tuple(foreign))


def _with_hint(finding: Finding, hint: str) -> Finding:
    both = f"{finding.hint}. {hint}" if finding.name else hint
    return replace(finding, hint=both) if hint else finding


def _descriptions(value: object, where: str) -> Iterator[tuple[Mapping[str, Any], _Owner]]:
    """Yield each description of an object, and the layer in whose configuration it stands."""
    waiting: list[tuple[Any, _Owner, int]] = [(value, _Owner(), 0)]
    while waiting:
        each, owner, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            raise FormatError(
                "the model's configuration is nested too deeply",
                where=where,
                expected=f"at most {_MAX_DEPTH} levels",
            )
        if isinstance(each, Mapping):
            if isinstance(each.get("class_name"), str):
                owner = owner.of(each)
                yield each, owner
            waiting += [
                (inner, owner.member(key, of_whole=depth == 0), depth + 1)
                for key, inner in each.items()
            ]
        elif isinstance(each, list):
            waiting += [(inner, owner, depth + 1) for inner in each]


def _check(described: Mapping[str, Any], owner: str, given: Container[str]) -> Iterator[Finding]:
    class_name = described["class_name"]
    if class_name == "__lambda__":
        yield Finding(owner=owner, problem="holds Python code", hint=_CODE_HINT)
    elif class_name == "__typespec__":
        yield from _check_spec(described, owner)
    elif class_name == "function":
        yield from _check_function(described, owner, given)
    elif class_name not in _VALUES and not _is_given_class(described, given):
        yield from _check_class(described, owner)


def _is_given_class(described: Mapping[str, Any], given: Container[str]) -> bool:
    # As both generations look it up; the short name counts only where no other is.
    return described.get("registered_name", described["class_name"]) in given


def _check_spec(described: Mapping[str, Any], owner: str) -> Iterator[Finding]:
    module, name = described.get("module"), described.get("spec_name")
    is_known = (
        isinstance(module, str)
        and isinstance(name, str)
        and _SPEC_MODULE.fullmatch(module)
        and _SPEC_NAME.fullmatch(name)
        and described.get("registered_name") in (None, name)
    )
    if not is_known:
        yield Finding(owner=owner, problem=f"names the type {shorten(name)} of {shorten(module)}")


def _check_function(
    described: Mapping[str, Any], owner: str, given: Container[str]
) -> Iterator[Finding]:
    name, module = described.get("config"), described.get("module")
    if isinstance(name, str) and name in given:
        return
    # Some paths of both generations look for the registered name in that module.
    for each in dict.fromkeys([name, described.get("registered_name")]):
        if each is None or each == "function":
            continue
        if not isinstance(each, str):
            yield Finding(owner=owner, problem=f"names the function {shorten(each)}")
        elif module is not None:
            yield from _judge(owner, "function", module, each, is_known_function)


def _check_class(described: Mapping[str, Any], owner: str) -> Iterator[Finding]:
    name, module = described["class_name"], described.get("module")
    registered = described.get("registered_name")
    if module is not None:
        yield from _judge(owner, "class", module, name, is_known_class)
        if isinstance(registered, str) and registered != name and ">" not in registered:
            yield from _judge(owner, "class", module, registered, is_known_class)
    elif not is_plain_name(name):
        yield Finding(owner=owner, problem=f"names the class {shorten(name)}")
    # Where there is no class of the one name, tf_keras takes that of the other.
    for each in dict.fromkeys(each for each in (name, registered) if isinstance(each, str)):
        yield from _check_by_name(each.rpartition(">")[2], described.get("config"), owner)


def _check_by_name(class_name: str, config: object, owner: str) -> Iterator[Finding]:
    if reads_files(class_name):
        yield Finding(owner=owner, problem=f"is a {class_name}, which reads files that it names")
    if isinstance(config, Mapping):
        yield from _check_arguments(class_name, config, owner)


def _judge(owner: str, kind: str, module: object, name: str, is_known: Any) -> Iterator[Finding]:
    if isinstance(module, str) and is_known(module, name):
        return
    text = f"names the {kind} {shorten(name)} of the module {shorten(module)}"
    if isinstance(module, str) and is_foreign_module(module):
        yield Finding(
            owner=owner,
            problem=f"{text}, which is neither Keras' nor given",
            hint=f"If it is your own, pass custom_objects={{'{shorten(name)}': …}}",
            name=name,
        )
    else:
        yield Finding(owner=owner, problem=f"{text}, which is no part of a model")


def _check_arguments(class_name: str, config: Mapping[str, Any], owner: str) -> Iterator[Finding]:
    for argument in FILE_ARGUMENTS:
        if isinstance(config.get(argument), str):
            yield Finding(
                owner=owner,
                problem=f"reads the file {shorten(config[argument])} ({argument})",
                hint="Give the layer its vocabulary as a list and save the model again",
                is_file=True,
            )
    if class_name == "Lambda" and _holds_code(config):
        yield Finding(owner=owner, problem="(Lambda) holds Python code", hint=_CODE_HINT)
    if is_harmless_call(class_name, config) is False:
        called = config.get("function", config.get("method_name", config.get("node_def")))
        yield Finding(
            owner=owner, problem=f"calls {shorten(called)} of TensorFlow, which may do anything"
        )


def _holds_code(config: Mapping[str, Any]) -> bool:
    """Whether a Lambda layer has more than the name of a function.

    ``get_config`` in tf_keras/src/layers/core/lambda_layer.py: the members ``…_type`` are
    ``lambda`` where code is stored, and ``function`` where a name is.
    """
    function = config.get("function")
    is_name = function is None or isinstance(function, str) or _is_reference(function)
    return not is_name or any(config.get(kind) == "lambda" for kind in _CODE_TYPES)


def _is_reference(value: object) -> bool:
    return isinstance(value, Mapping) and value.get("class_name") not in (None, *_VALUES)
