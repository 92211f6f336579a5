"""A model's configuration as Keras writes it, and what it says about stored variables.

Keras puts the layers of a model into a file under names that it makes from their
classes (``_save_container_state`` in keras/src/saving/saving_lib.py, Keras 3.15, and
in tf_keras/src/saving/saving_lib.py, 2.21). The same rule applied to the configuration
says which layer a group of the file belongs to.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from remote_models.errors import FormatError
from remote_models.formats._layer_variables import (
    LayerVariable,
    SubLayer,
    layer_variables,
    numbered,
    snake_case,
    sub_layers,
)

__all__ = [
    "MAX_ARCHITECTURE_BYTES",
    "TRAINING_MEMBERS",
    "StoredLayer",
    "architecture_of_json",
    "container_names",
    "has_bfloat16_variables",
    "optimizer_of",
    "parse_architecture",
    "stored_layers",
    "without_training",
]

MAX_ARCHITECTURE_BYTES = 64 * 1024 * 1024
"""Bytes of a configuration that are parsed; ResNet50's are 70 kB."""

_MAX_DEPTH = 32
"""Levels of layers inside layers that are looked at."""

_MAX_LAYERS = 100_000
"""Layers that are looked at. A ``Bidirectional`` doubles whatever it contains."""

TRAINING_MEMBERS = ("compile_config", "training_config")
"""Members of a model's configuration that say what it was compiled with."""

_MODELS = ("Functional", "Model", "Sequential")


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredLayer:
    """A layer of a configuration, and where a file keeps its variables.

    Attributes:
        key: The path of its group in a Keras 3 file; leading underscores are left out,
            because they differ between versions.
        class_name: Its class.
        name: Its name; empty if it is not in the names of its variables, ``None`` if only
            the file can tell.
        is_model: Whether it is a model made of layers, whose name is in no variable's.
        is_custom: Whether its class is not Keras' own: what is inside is not known.
        variables: Its own variables in the order of storage, ``None`` if not known.
        trainable: Whether it and every layer around it is trainable.
    """

    key: str
    class_name: str
    name: str | None
    is_model: bool
    is_custom: bool
    variables: Sequence[LayerVariable] | None
    trainable: bool


def without_training(architecture: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration without what the whole model was compiled with.

    Models inside of it keep theirs: Keras compiles these in any case.
    """
    return {key: each for key, each in architecture.items() if key not in TRAINING_MEMBERS}


def parse_architecture(data: bytes | str, *, where: str) -> dict[str, Any]:
    """Parse a configuration.

    Raises:
        FormatError: it is too large, damaged, or not the configuration of an object.
    """
    if len(data) > MAX_ARCHITECTURE_BYTES:
        raise FormatError(
            "the model's configuration is too large",
            where=where,
            expected=f"at most {MAX_ARCHITECTURE_BYTES} bytes of JSON",
        )
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FormatError(
            "the model's configuration is damaged",
            where=where,
            found=str(error),
            hint="Save or copy it again",
        ) from error
    if not isinstance(document, dict) or not isinstance(document.get("class_name"), str):
        raise FormatError(
            "the model's configuration describes no model",
            where=where,
            expected="a JSON object with class_name and config",
        )
    return document


def architecture_of_json(file: IO[bytes], *, where: str) -> dict[str, Any]:
    """Read a ``config.json`` or an architecture that was saved by itself.

    Raises:
        FormatError: it is too large, damaged, or not the configuration of an object.
    """
    return parse_architecture(file.read(MAX_ARCHITECTURE_BYTES + 1), where=where)


def stored_layers(architecture: Mapping[str, Any]) -> Sequence[StoredLayer]:
    """Return every layer of a model, in the order in which Keras collects variables.

    That is the order of an optimizer's slots too (``Layer.variables`` in
    keras/src/layers/layer.py). A layer that occurs twice is returned twice; the file
    holds it once, under the first of its keys. The model itself has the key ``""``.
    """
    walk = _Walk(keras_2=any("batch_input_shape" in each for each in _objects(architecture)))
    layers = walk.layers("", architecture, name=None, trainable=True, depth=_MAX_DEPTH)
    return list(itertools.islice(layers, _MAX_LAYERS))


def container_names(architecture: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the model and of the models nested in it.

    A variable that was created in a call of such a model bears its name in front,
    until the model is loaded again; so it is not part of the variable's name here.
    """
    waiting: list[tuple[Mapping[str, Any], int]] = [(architecture, 0)]
    names: set[str] = set()
    while waiting:
        described, depth = waiting.pop()
        name = _mapping(described.get("config")).get("name")
        if isinstance(name, str):
            names.add(name)
        if depth < _MAX_DEPTH:
            waiting += [(each, depth + 1) for each in _layers(described) if _is_model(each)]
    return frozenset(names)


def has_bfloat16_variables(architecture: Mapping[str, Any]) -> bool:
    """Whether a layer keeps its variables in bfloat16, by its dtype policy."""
    return any(_policy_name(each.get("dtype")) == "bfloat16" for each in _objects(architecture))


def optimizer_of(architecture: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """Return the class and the configuration of the optimizer that a model was saved with.

    Keras 2 writes what the caller said: ``"adam"`` means Adam with its defaults.
    """
    described = _mapping(architecture.get("compile_config")).get("optimizer")
    if isinstance(described, str):
        return described, {}
    optimizer = _mapping(described)
    class_name, config = optimizer.get("class_name"), optimizer.get("config")
    if not isinstance(class_name, str) or not isinstance(config, Mapping):
        return None
    return None if _is_custom(optimizer) else (class_name, config)


@dataclass(frozen=True, slots=True)
class _Walk:
    """A walk over a configuration.

    Attributes:
        keras_2: Whether Keras 2 wrote it.
    """

    keras_2: bool

    def layers(
        self, key: str, described: Mapping[str, Any], *, name: str | None, trainable: bool,
        depth: int,
    ) -> Iterator[StoredLayer]:  # fmt: skip
        """Yield a layer and those inside it."""
        class_name = _text(described.get("class_name"))
        config = _mapping(described.get("config"))
        is_model, is_custom = _is_model(described), _is_custom(described)
        trainable = trainable and config.get("trainable", True) is not False
        yield StoredLayer(
            key=key,
            class_name=class_name,
            name=name,
            is_model=is_model,
            is_custom=is_custom,
            variables=(
                None
                if is_custom or is_model
                else layer_variables(class_name, config, keras_2=self.keras_2)
            ),
            trainable=trainable,
        )
        for layer in self._inside(described) if depth else ():
            yield from self.layers(
                f"{key}/{layer.key}" if key else layer.key,
                layer.described,
                name=layer.name,
                trainable=trainable,
                depth=depth - 1,
            )

    def _inside(self, described: Mapping[str, Any]) -> Iterable[SubLayer]:
        if _is_model(described):
            return _members(described)
        if _is_custom(described):
            return ()
        config = _mapping(described.get("config"))
        return sub_layers(_text(described.get("class_name")), config, keras_2=self.keras_2)


def _members(described: Mapping[str, Any]) -> Iterator[SubLayer]:
    """Yield the layers of a model under the keys that Keras makes from their classes."""
    used: dict[str, int] = {}
    for each in _layers(described):
        if _is_operation(each):
            continue
        name = _mapping(each.get("config")).get("name", each.get("name"))
        key = numbered(snake_case(_text(each.get("class_name"))), used)
        yield SubLayer(f"layers/{key}", each, name if isinstance(name, str) else None)


def _objects(architecture: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield every JSON object of a model's configuration."""
    waiting: list[object] = [architecture.get("config")]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _layers(described: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    config = described.get("config")
    # Before Keras 2.2.3 the configuration of a Sequential model was the list itself.
    layers = config if isinstance(config, list) else _mapping(config).get("layers")
    return (
        [each for each in layers if isinstance(each, Mapping)] if isinstance(layers, list) else []
    )


def _is_model(described: Mapping[str, Any]) -> bool:
    if described.get("class_name") in _MODELS:
        return True
    config = _mapping(described.get("config"))
    return "layers" in config and "input_layers" in config  # a subclass of Functional


def _is_custom(described: Mapping[str, Any]) -> bool:
    """Whether a class is not Keras' own; Keras 2's HDF5 files do not say."""
    if ">" in _text(described.get("registered_name")):
        return True
    if "module" not in described:
        return False
    return _text(described["module"]).partition(".")[0] not in ("keras", "tf_keras")


def _is_operation(described: Mapping[str, Any]) -> bool:
    """Whether a member of a model is a function of ``keras.ops``, which Keras numbers not."""
    return ".ops" in _text(described.get("module"))


def _policy_name(policy: object) -> object:
    """Return the name of a dtype policy, which Keras 3 serialises as an object."""
    if isinstance(policy, Mapping):
        return _mapping(policy.get("config")).get("name")
    return policy


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
