"""Load a Keras 3 model without a file and without running its initialisers.

With ``_keras_state``, the only place that touches what Keras keeps private:
``_model_from_config``, ``_load_state``, ``_raise_loading_failure``,
``get_attr_skipset``, ``H5IOStore`` and ``DiskIOStore`` of ``saving_lib``,
``SafeModeScope`` of ``serialization_lib``, ``_value``, ``_initialize`` and
``_direct_assign`` of variables, and the list of those that wait for their
initialiser. Tried with Keras 3.8 to 3.15.

Keras' own ``load_own_variables`` decides which value goes where, so that layers with
ideas of their own load as ever; only the place that the values come from differs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, KeysView, Mapping
from contextlib import ContextDecorator, ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras.src.backend.common import global_state
from keras.src.saving import saving_lib, serialization_lib

from remote_models.frameworks._lent_array import LentArray
from remote_models.frameworks._read_ahead import ReadAhead

if TYPE_CHECKING:
    from remote_models.frameworks._framework import TensorStream

__all__ = [
    "UNBUILDABLE",
    "LoadingScope",
    "build_and_load",
    "build_model",
    "build_optimizer",
    "load_state",
]

UNBUILDABLE = (TypeError, ValueError, KeyError, AttributeError, IndexError, RuntimeError,
               ImportError, OverflowError)  # fmt: skip
"""What Keras raises for a configuration that it cannot make a model of."""

_UNINITIALIZED = "uninitialized_variables"
_OF_OPTIMIZERS = "saving_attr_skiplist_Optimizer"


def build_model(
    architecture: Mapping[str, Any],
    *,
    custom_objects: Mapping[str, Any] | None,
    safe_mode: bool,
) -> Any:
    """Return the model that ``architecture`` describes, not compiled.

    Raises:
        Exception: one of ``UNBUILDABLE``, as Keras raises them.
    """
    given = dict(custom_objects) if custom_objects else None
    return saving_lib._model_from_config(  # noqa: SLF001 - see the module
        json.dumps(architecture), given, False, safe_mode
    )


def build_and_load(
    architecture: Mapping[str, Any],
    tensors: TensorStream,
    *,
    custom_objects: Mapping[str, Any] | None,
    compile: bool,
    safe_mode: bool,
    assets: Path | None = None,
    scope: type[LoadingScope] | None = None,
) -> Any:
    """Return the model that ``architecture`` describes, its variables from ``tensors``.

    Each variable gets its value as it arrives, and no other before: initialisers cost
    more than the transfer, and their values would be thrown away.

    Args:
        architecture: The configuration, as a ``.keras`` archive holds it.
        tensors: The model's state by the keys of a weights file.
        custom_objects: As Keras takes them.
        compile: Whether to compile it as it was when saved.
        safe_mode: Whether Keras refuses to deserialise lambdas.
        assets: A folder with the files that layers have written, if there are any.
        scope: Gives values to variables; by default a :class:`LoadingScope`, for whose
            tensors reading begins at once.

    Raises:
        RemoteModelsError: reading a tensor failed.
        ValueError, TypeError: as Keras raises them.
    """
    with ExitStack() as stack:
        ahead = stack if scope is None else None
        loading = _Loading(tensors, skip_mismatch=False, assets=assets, ahead=ahead)
        scope = scope or LoadingScope
        with scope():
            model = build_model(architecture, custom_objects=custom_objects, safe_mode=safe_mode)
            loading.load(model)
        compile_config = architecture.get("compile_config")
        if compile and compile_config:
            with (
                keras.saving.custom_object_scope(custom_objects or {}),
                serialization_lib.SafeModeScope(safe_mode),
                _unbuilt(model),  # or Keras builds the optimizer, with values for every slot
            ):
                model.compile_from_config(compile_config)
                model.compiled = True
            build_optimizer(model)
            with _attributes_of_optimizers(), scope():
                loading.load(model)
        return model


@contextmanager
def _attributes_of_optimizers() -> Iterator[None]:
    """Let Keras know which attributes every optimizer has.

    To find out it makes one, each time, which a scope does not allow; it looks for what
    it has found out under another name than it keeps it (``get_attr_skipset``, 3.15).
    """
    before = global_state.get_global_attribute(_OF_OPTIMIZERS)
    known = saving_lib.get_attr_skipset("Optimizer")
    global_state.set_global_attribute(_OF_OPTIMIZERS, known)
    try:
        yield
    finally:
        global_state.set_global_attribute(_OF_OPTIMIZERS, before)


@contextmanager
def _unbuilt(model: Any) -> Iterator[None]:
    built = model.built
    model.built = False
    try:
        yield
    finally:
        model.built = built


def build_optimizer(model: Any) -> None:
    """Build the optimizer of a built model; its slots wait for their values.

    They get them, those that are assigned or those of their initialisers, in the next
    :class:`LoadingScope`. What an optimizer makes without an initialiser has a value at
    once, as Nadam's product has.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or not model.built or optimizer.built:
        return
    makers = [each for each in (optimizer, getattr(optimizer, "inner_optimizer", None)) if each]
    for maker in makers:
        maker.add_variable = _WithoutValue()(maker.add_variable)
    try:
        optimizer.build(model.trainable_variables)
    finally:
        for maker in makers:
            del maker.add_variable


class _WithoutValue(ContextDecorator):
    """Inside, a variable with an initialiser is made without a value, and keeps to that."""

    def __enter__(self) -> None:
        self._scope = keras.StatelessScope(initialize_variables=False)
        self._scope.__enter__()

    def __exit__(self, *error: object) -> None:
        self._scope.__exit__(*error)


def load_state(model: Any, tensors: TensorStream, *, skip_mismatch: bool) -> None:
    """Give the variables of a built model the values in ``tensors``.

    Raises:
        RemoteModelsError: reading a tensor failed.
        ValueError: the model and the tensors do not fit, as Keras says it.
    """
    with ExitStack() as stack:
        _Loading(tensors, skip_mismatch=skip_mismatch, closing=stack).load(model)


class _Loading:
    """Loads a model's parts, each once, however often it is asked to.

    With ``ahead``, reading begins at once and goes on while the model is built; it ends
    with that stack. For models without values: beside others it would be a second copy.
    """

    def __init__(
        self,
        tensors: TensorStream,
        *,
        skip_mismatch: bool,
        assets: Path | None = None,
        ahead: ExitStack | None = None,
        closing: ExitStack | None = None,
    ) -> None:
        self._store = _TensorStore(tensors, ahead, closing)
        self._assets = saving_lib.DiskIOStore(str(assets), mode="r") if assets else None
        self._skip_mismatch = skip_mismatch
        self._loaded: set[int] = set()

    def load(self, model: Any) -> None:
        self._loaded.discard(id(model))  # or nothing new below it would be looked at
        failed: set[int] = set()
        messages: dict[int, Any] = {}
        saving_lib._load_state(  # noqa: SLF001 - see the module
            model,
            self._store,
            self._assets,
            "",
            skip_mismatch=self._skip_mismatch,
            visited_saveables=self._loaded,
            failed_saveables=failed,
            error_msgs=messages,
        )
        self._store.raise_failure()
        if failed:
            saving_lib._raise_loading_failure(  # noqa: SLF001
                messages, warn_only=self._skip_mismatch
            )


class LoadingScope(keras.StatelessScope):  # type: ignore[misc]  # Keras ships no types
    """Inside, new variables wait for a value, and the first one assigned is theirs.

    On exit, variables that got none run their initialisers.
    """

    def add_update(self, update: tuple[Any, Any]) -> None:
        variable, value = update
        if variable._value is None:  # noqa: SLF001
            variable._initialize(value)  # noqa: SLF001
        else:
            variable._direct_assign(value)  # noqa: SLF001

    def __exit__(self, *error: object) -> None:
        waiting = global_state.get_global_attribute(_UNINITIALIZED) or []
        still = [each for each in waiting if each._value is None]  # noqa: SLF001
        global_state.set_global_attribute(_UNINITIALIZED, [] if any(error) else still)
        super().__exit__(*error)


class _TensorStore(saving_lib.H5IOStore):  # type: ignore[misc]  # Keras ships no types
    """What ``load_own_variables`` reads from: groups of tensors by their keys."""

    # The base class would open a file.
    def __init__(
        self, tensors: TensorStream, ahead: ExitStack | None, closing: ExitStack | None
    ) -> None:
        self._groups: dict[str, dict[str, str]] = {}
        self._paths: set[str] = set()
        for key in tensors.keys:
            group, _, name = key.rpartition("/")
            self._groups.setdefault(group, {})[name] = key
            self._paths.update(str(parent) for parent in PurePosixPath(key).parents)
        self._group: Mapping[str, str] = {}
        self._tensors = tensors
        self._streams: dict[bool, Iterator[tuple[str, Any]]] = {}
        self._arrived: dict[str, np.ndarray[Any, Any]] = {}
        self._used: set[str] = set()
        self._passed: set[str] = set()
        self._ahead = ahead
        self._closing = closing
        if ahead is not None:
            self._begin(of_optimizer=False)

    def get(self, path: str) -> _TensorStore:
        self._group = self._groups.get(f"{path}/vars" if path else "vars", {})
        for key in self._used:  # a layer may look at a value twice; hardly ever two layers do
            del self._arrived[key]
        self._passed.update(self._used)
        self._used.clear()
        return self

    def has_path(self, path: str) -> bool:
        return path in self._paths

    def keys(self) -> KeysView[str]:
        return self._group.keys()

    def __len__(self) -> int:
        return len(self._group)

    def __contains__(self, name: object) -> bool:
        return name in self._group

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        key = self._group[name]
        self.raise_failure()
        stream = self._stream_with(key)
        while key not in self._arrived:
            arrived, array = next(stream)
            is_array = isinstance(array, np.ndarray)  # else a variable that stands for one
            self._arrived[arrived] = LentArray.of(array) if is_array else array
        self._used.add(key)
        return self._arrived[key]

    def raise_failure(self) -> None:
        """Raise what went wrong while reading, which Keras has taken for a misfit."""
        if self._tensors.failures:
            raise self._tensors.failures[0]

    def _stream_with(self, key: str) -> Iterator[tuple[str, Any]]:
        """Return where the tensor comes from.

        The optimizer's come from a stream of their own, since they are needed later, and
        so does one that Keras asks for again, as it does after a failure.
        """
        if key in self._passed:
            return self._tensors.read([key])
        of_optimizer = _is_of_optimizer(key)
        if of_optimizer not in self._streams:
            self._begin(of_optimizer=of_optimizer)
        return self._streams[of_optimizer]

    def _begin(self, *, of_optimizer: bool) -> None:
        keys = [each for each in self._tensors.keys if _is_of_optimizer(each) is of_optimizer]
        stream = self._tensors.read(keys)
        if self._ahead is not None:
            stream = self._ahead.enter_context(ReadAhead(stream))
        elif self._closing is not None:  # else its threads wait for the garbage collector
            close = getattr(stream, "close", None)
            if close is not None:
                self._closing.callback(close)
        self._streams[of_optimizer] = stream


def _is_of_optimizer(key: str) -> bool:
    return key.startswith("optimizer/")
