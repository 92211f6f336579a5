"""Which generation of Keras handles a model or an artifact."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

from remote_models.errors import ArgumentError, MissingDependencyError
from remote_models.frameworks._framework import Framework

__all__ = ["choose_framework", "framework_of"]

_NAMES = ("keras", "tf_keras")
_BY_GENERATION = {2: "tf_keras", 3: "keras"}
_EXTRAS = {"keras": "keras", "tf_keras": "tf-keras"}


def framework_of(model: Any) -> Framework:
    """Return the framework that ``model`` is an object of.

    Raises:
        ArgumentError: it is no Keras model.
    """
    roots = {each.__module__.partition(".")[0] for each in type(model).__mro__}
    for name in ("tf_keras", "keras"):
        if name in roots and hasattr(model, "get_config"):
            return _framework(name)
    raise ArgumentError(
        "not a Keras model",
        where="model",
        expected="a model of keras 3 or tf_keras",
        found=f"{type(model).__module__}.{type(model).__qualname__}",
    )


def choose_framework(generation: int | None, name: str | None) -> Framework:
    """Return the framework to load an artifact with.

    It is the one called ``name`` if there is a name; else the one that wrote the
    artifact, unless this process has imported only Keras 3, which opens what Keras 2
    wrote, too; else, where nobody knows who wrote it, the one that has been imported
    (``tf_keras`` before ``keras``, since TensorFlow imports Keras 3 by itself); else
    the one that is installed.

    Raises:
        ArgumentError: ``name`` is no framework.
        MissingDependencyError: it is not installed, or none is.
    """
    if name is not None:
        if name not in _NAMES:
            raise ArgumentError(
                "unknown framework", where="framework", expected="'keras' or 'tf_keras'",
                found=repr(name),
            )  # fmt: skip
        return _framework(name)
    imported = [each for each in ("tf_keras", "keras") if each in sys.modules]
    wanted = _BY_GENERATION.get(generation or 3, "keras")
    if generation is None or (wanted == "tf_keras" and imported == ["keras"]):
        wanted = (*imported, wanted)[0]
    for candidate in (wanted, *_NAMES):
        if _is_installed(candidate):
            return _framework(candidate)
    raise _missing(wanted)


def _framework(name: str) -> Framework:
    if not _is_installed(name):
        raise _missing(name)
    if name == "tf_keras":
        from remote_models.frameworks.tf_keras import TFKeras

        return TFKeras()
    from remote_models.frameworks.keras import Keras3

    return Keras3()


def _is_installed(name: str) -> bool:
    return name in sys.modules or importlib.util.find_spec(name) is not None


def _missing(name: str) -> MissingDependencyError:
    return MissingDependencyError(
        f"loading a model needs {name}, which is not installed",
        hint=f"pip install 'remote_models[{_EXTRAS[name]}]'",
    )
