"""Keras' functions that save and load, swapped for those of remote_models on a remote URL.

A test calls ``model.save("/tmp/x/m.keras")``; swapped, that is
``remote_models.save_model(model, "memory://…/tmp/x/m.keras")``, and the artifact is
then pulled to ``/tmp/x``, because tests look into the file themselves: what they see
there are the bytes that went through the store. A load comes from the URL; bytes that
the test wrote or changed at the path are pushed there first.

Methods of models need no swap of their own: they only forward to the functions.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import remote_models

__all__ = ["Calls", "Swap"]

_IS_INSIDE: ContextVar[bool] = ContextVar("_IS_INSIDE", default=False)
"""Whether a swapped function is being served, so that Keras' own ones must do the work:
remote_models calls them, and they call each other."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Swapped:
    """A function of Keras and what stands in for it.

    Attributes:
        module: Where Keras defines it.
        name: Its name there.
        verb: The function of remote_models, which takes the same arguments by name.
        extra: What the function's own name says and ours takes as an argument.
    """

    module: str
    name: str
    verb: Callable[..., Any]
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_save(self) -> bool:
        """Whether it writes."""
        return self.verb in (remote_models.save_model, remote_models.save_weights)


_API = "keras.src.saving.saving_api"
_LIB = "keras.src.saving.saving_lib"
_HDF5 = "keras.src.legacy.saving.legacy_h5_format"
_TF_KERAS = "tf_keras.src.saving.saving_api"

# Both frameworks are imported, so each loader has to say which one it stands for.
_KERAS_3 = {"framework": "keras"}
_KERAS_2 = {"framework": "tf_keras"}

_SWAPPED = (
    _Swapped(module=_API, name="save_model", verb=remote_models.save_model),
    _Swapped(module=_API, name="load_model", verb=remote_models.load_model, extra=_KERAS_3),
    _Swapped(module=_API, name="save_weights", verb=remote_models.save_weights),
    _Swapped(module=_API, name="load_weights", verb=remote_models.load_weights),
    _Swapped(module=_LIB, name="save_model", verb=remote_models.save_model),
    _Swapped(module=_LIB, name="load_model", verb=remote_models.load_model, extra=_KERAS_3),
    _Swapped(module=_LIB, name="save_weights_only", verb=remote_models.save_weights),
    _Swapped(module=_LIB, name="load_weights_only", verb=remote_models.load_weights),
    _Swapped(
        module=_HDF5,
        name="save_model_to_hdf5",
        verb=remote_models.save_model,
        extra={"save_format": "h5"},
    ),
    _Swapped(
        module=_HDF5, name="load_model_from_hdf5", verb=remote_models.load_model, extra=_KERAS_3
    ),
    # The tests of the legacy format write with Keras 2 what they read with Keras 3.
    _Swapped(module=_TF_KERAS, name="save_model", verb=remote_models.save_model),
    _Swapped(module=_TF_KERAS, name="load_model", verb=remote_models.load_model, extra=_KERAS_2),
    _Swapped(module=_TF_KERAS, name="save_weights", verb=remote_models.save_weights),
    _Swapped(module=_TF_KERAS, name="load_weights", verb=remote_models.load_weights),
)


@dataclass(kw_only=True, slots=True)
class Calls:
    """How often a test called swapped functions.

    Attributes:
        remote: With a path: served by remote_models on a URL.
        local: With an open file, which has no URL: served by Keras itself.
    """

    remote: int = 0
    local: int = 0


class Swap:
    """The swap, with one URL for each local path.

    Args:
        root: The URL below which every path gets its own.
    """

    def __init__(self, root: str) -> None:
        self.calls = Calls()
        self._root = root
        self._known: dict[Path, dict[Path, str]] = {}

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Replace the functions, under every name by which Keras exports them."""
        with ExitStack() as stack:
            for swapped in _SWAPPED:
                original = getattr(importlib.import_module(swapped.module), swapped.name)
                replacement = self._replacement(original, swapped)
                for module in _modules_with(original, swapped.name):
                    stack.enter_context(mock.patch.object(module, swapped.name, replacement))
            yield

    def _replacement(self, original: Callable[..., Any], swapped: _Swapped) -> Callable[..., Any]:
        signature = inspect.signature(original)

        @functools.wraps(original)
        def replacement(*args: Any, **kwargs: Any) -> Any:
            if _IS_INSIDE.get():
                return original(*args, **kwargs)
            token = _IS_INSIDE.set(True)
            try:
                arguments = _arguments_given(signature, args, kwargs)
                path = arguments.pop("filepath")
                if not isinstance(path, str | os.PathLike):
                    self.calls.local += 1
                    return original(*args, **kwargs)
                self.calls.remote += 1
                return self._serve(swapped, Path(path).absolute(), arguments)
            finally:
                _IS_INSIDE.reset(token)

        return replacement

    def _serve(self, swapped: _Swapped, path: Path, arguments: dict[str, Any]) -> Any:
        url = f"{self._root}{path.as_posix()}"
        model = [arguments.pop("model")] if "model" in arguments else []
        if swapped.is_save:
            swapped.verb(*model, url, **swapped.extra, **arguments)
            self._pull(url, path)
            return None
        self._push_if_changed(path, url)
        return swapped.verb(*model, url, **swapped.extra, **arguments)

    def _pull(self, url: str, path: Path) -> None:
        """Put the artifact's files where the test expects them, and nothing else.

        A store has no directories to make first; locally they are made here.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            files = remote_models.pull_model(url, Path(folder, "pulled"))
            copies = [Path(shutil.move(file, path.parent / file.name)) for file in files]
        self._known[path] = _digests(copies)

    def _push_if_changed(self, path: Path, url: str) -> None:
        if not path.exists():
            return
        known = self._known.get(path, {})
        if known and _digests(file for file in known if file.exists()) == known:
            return
        remote_models.push_model(path, url)
        self._known[path] = _digests([path])


def _modules_with(function: object, name: str) -> list[Any]:
    """Return Keras' imported modules in which ``function`` goes by ``name``."""
    return [
        module
        for module_name, module in list(sys.modules.items())
        if module_name.partition(".")[0] in ("keras", "tf_keras")
        and vars(module).get(name) is function
    ]


def _arguments_given(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """Return by name what the test gave: methods forward all of their own, given or not."""
    arguments: dict[str, Any] = {}
    for name, value in signature.bind(*args, **kwargs).arguments.items():
        parameter = signature.parameters[name]
        if parameter.kind is parameter.VAR_KEYWORD:
            arguments.update({key: each for key, each in value.items() if each is not None})
        elif value is not parameter.default:
            arguments[name] = value
    return arguments


def _digests(files: Iterator[Path] | list[Path]) -> dict[Path, str]:
    return {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
