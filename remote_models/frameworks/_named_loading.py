"""Give the variables of a Keras 3 model the tensors that have their names.

docs/names.md gives a variable the same name in every format and in both generations.
Where the generations still differ, as in a number at the end of an inner layer's name, a
tensor and a variable are matched by what is left, but only if one possibility is left and
the shapes agree. All match, one to one, or nothing is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras

from remote_models.errors import FormatError
from remote_models.formats.indexing import OptimizerNames
from remote_models.frameworks._learnt_summary import LearntSummary, learnt_summary
from remote_models.frameworks._named_tensors import NamedTensor, NamedTensors
from remote_models.tensors import Role

__all__ = ["load_optimizer", "load_weights", "named_variables"]

_COUNTER = re.compile(r"_\d+(?=/|$)")

_UNNAMED = re.compile(r"variable(_\d+)?")
"""How Keras 3 calls a variable that its layer gives no name."""

_RENAMED = {"depthwise_kernel": "kernel"}
"""The last part of a name in Keras 2 to that in Keras 3, where they differ."""

_OF_CHECKPOINT = "/.ATTRIBUTES/VARIABLE_VALUE"
"""The end of a variable's key in a checkpoint."""

_IN_HDF5 = "model_weights/"
"""Where an HDF5 file keeps the variables of each layer."""

_MAX_SHOWN = 5
"""Names that an error lists."""


def named_variables(model: Any) -> list[tuple[str, Any]]:
    """Return the variables of a built model with their names, each once, in its own order.

    The states of random generators are left out: Keras makes new ones.
    """
    named: dict[int, tuple[str, Any]] = {}
    for layer in _leaves(model):
        for variable in (*layer.variables, *learnt_summary(layer)):
            if not variable.path.endswith("seed_generator_state"):
                named.setdefault(id(variable), (_name(variable.path, layer.name), variable))
    return list(named.values())


def load_weights(
    model: Any, tensors: NamedTensors, *, by_key: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    """Give the variables of ``model`` the weights that are stored for them.

    Args:
        model: A model that is built.
        tensors: All that is stored.
        by_key: The variable of each key that tells it, for tensors without a name.

    Returns:
        The variable of each tensor by the tensor's name.

    Raises:
        FormatError: they do not match one to one; nothing has been changed.
        RemoteModelsError: reading a tensor failed.
    """
    matched = _match(model, tensors.of_role(Role.WEIGHT), tensors.where, by_key or {})
    for name, array in tensors.read(list(matched)):
        matched[name].assign(array)
    for layer in _leaves(model):
        if hasattr(layer, "finalize_state"):  # Normalization computes with what it has got
            layer.finalize_state()
    return matched


def load_optimizer(model: Any, tensors: NamedTensors, weights: Mapping[str, Any]) -> None:
    """Give the optimizer of a compiled model the state that is stored for it.

    Where nothing is stored for its slots, they stay as they are: the model was not trained
    before it was saved.

    Args:
        model: The model, its optimizer built.
        tensors: All that is stored.
        weights: The variable of each weight, as :func:`load_weights` returns it.

    Raises:
        FormatError: a slot is missing or is nobody's.
        RemoteModelsError: reading a tensor failed.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return
    paths = {name: variable.path for name, variable in weights.items()}
    stored = {_live_slot(each.name, paths): each for each in tensors.of_role(Role.OPTIMIZER)}
    name_of = OptimizerNames(list(paths.values()))
    named = [(name_of(variable.path), variable) for variable in optimizer.variables]
    live = dict(named)
    slots = [name for name, _ in named if name.count("/") > 1]
    missing = sorted(set(slots) - stored.keys())
    is_trained = any(each.shape for each in stored.values())
    if is_trained and (missing or len(set(slots)) < len(slots)):
        raise FormatError(
            "the optimizer's state does not match the model's variables",
            where=tensors.where,
            expected=_listed(missing),
            found=_listed(sorted(name for name in stored if name not in live)),
            hint="Pass compile=False to load the model without it",
        )
    matched = {stored[name].name: live[name] for name in live.keys() & stored.keys()}
    _refuse_shapes(matched, stored.values(), tensors.where)
    for name, array in tensors.read(list(matched)):
        matched[name].assign(array)


def _leaves(model: Any) -> Iterator[Any]:
    """Yield the innermost layers, and models that have variables of their own."""
    inside = [] if not isinstance(model, keras.Model) else model.layers
    for layer in inside:
        yield from _leaves(layer)
    if not inside or any(True for _ in _own_variables(model, inside)):
        yield model


def _own_variables(model: Any, layers: Iterable[Any]) -> Iterator[Any]:
    known = {id(variable) for layer in layers for variable in layer.variables}
    yield from (each for each in model.variables if id(each) not in known)


def _name(path: str, layer: str) -> str:
    """Return a path from the layer's own name on: not the models around it."""
    start = f"/{path}".find(f"/{layer}/")
    return path[start:] if start > 0 else path


def _match(
    model: Any, stored: Sequence[NamedTensor], where: str, by_key: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the variable of each tensor by the tensor's name."""
    live = named_variables(model)
    matched: dict[str, Any] = {}
    for each in stored:
        # A checkpoint's key leads to the layer, whose variables may be called otherwise.
        if each.key in by_key and (each.name == each.key or each.key.endswith(_OF_CHECKPOINT)):
            matched[each.name] = by_key[each.key]
    _match_in_layers(model, live, stored, matched)
    for alike in (_whole, _flat, _without_counters, _layer_and_last, _suffix):
        _match_alike(live, stored, alike, matched)
    _match_in_order(live, stored, matched)
    _match_in_models(model, live, stored, matched)
    _refuse_rest(live, stored, matched, where)
    _refuse_shapes(matched, stored, where)
    return matched


def _match_alike(
    live: Sequence[tuple[str, Any]],
    stored: Sequence[NamedTensor],
    alike: Callable[[str], str],
    matched: dict[str, Any],
) -> None:
    """Match what is alike, if nothing else on its side is alike, too."""
    variables = _unique((alike(name), each) for name, each in _rest(live, matched))
    names = _unique((alike(each.name), each.name) for each in stored if each.name not in matched)
    matched.update({names[each]: variables[each] for each in variables.keys() & names.keys()})


def _match_in_order(
    live: Sequence[tuple[str, Any]], stored: Sequence[NamedTensor], matched: dict[str, Any]
) -> None:
    """Match what is left of each layer in order, if kinds and shapes agree all along."""
    groups: dict[str, tuple[list[tuple[str, Any]], list[NamedTensor]]] = {}
    for name, variable in _rest(live, matched):
        groups.setdefault(name.partition("/")[0], ([], []))[0].append((name, variable))
    for tensor in stored:
        if tensor.name not in matched:
            groups.setdefault(tensor.name.partition("/")[0], ([], []))[1].append(tensor)
    for variables, tensors in groups.values():
        ours = [(_last(name), tuple(each.shape or ())) for name, each in variables]
        theirs = [(_last(each.name), each.shape) for each in tensors]
        if len(ours) == len(theirs) and all(map(_may_be_same, ours, theirs)):
            pairs = zip(tensors, variables, strict=True)
            matched.update({tensor.name: variable for tensor, (_, variable) in pairs})


def _match_in_layers(
    model: Any,
    live: Sequence[tuple[str, Any]],
    stored: Sequence[NamedTensor],
    matched: dict[str, Any],
) -> None:
    """Match what HDF5 keeps in the group of a layer, whatever its variables were called.

    The scope in a variable's name is another one once a model has been loaded and saved
    again (Keras 2.0 counted on: ``conv_1_1/kernel``) or a layer has been renamed.
    """
    layers = {
        id(each): layer.name
        for layer in model.layers
        if not isinstance(layer, keras.Model)
        for each in layer.variables
    }
    ours = _unique(
        (f"{layers[id(each)]}/{_last(name)}", each)
        for name, each in _rest(live, matched)
        if id(each) in layers
    )
    theirs = _unique(
        (f"{group}/{_last(each.key.removesuffix(':0'))}", each)
        for each in stored
        if each.key.endswith(":0") and each.name not in matched
        for group in [each.key.removeprefix(_IN_HDF5).partition("/")[0]]
    )
    for name in ours.keys() & theirs.keys():
        if tuple(ours[name].shape) == theirs[name].shape:
            matched[theirs[name].name] = ours[name]


def _match_in_models(
    model: Any,
    live: Sequence[tuple[str, Any]],
    stored: Sequence[NamedTensor],
    matched: dict[str, Any],
) -> None:
    """Match what has the same name in two nested models, where the key tells which it is in.

    So it is in HDF5 files, which keep the variables of each of the model's layers apart.
    """
    outer = {id(each): layer.name for layer in model.layers for each in layer.variables}
    variables = _unique((f"{outer.get(id(each))}/{name}", each) for name, each in live)
    for tensor in stored:
        inner = tensor.key.removeprefix(_IN_HDF5).removesuffix(":0")
        if tensor.name == tensor.key != inner and inner in variables:
            matched[tensor.name] = variables[inner]


def _may_be_same(live: tuple[str, tuple[int, ...]], stored: tuple[str, tuple[int, ...]]) -> bool:
    """Whether the last parts of two names and the shapes agree."""
    return live[1] == stored[1] and (
        live[0] == stored[0] or _UNNAMED.fullmatch(live[0]) is not None
    )


def _rest(live: Sequence[tuple[str, Any]], matched: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    taken = {_identity(variable) for variable in matched.values()}
    return ((name, each) for name, each in live if _identity(each) not in taken)


def _identity(variable: Any) -> int:
    return id(variable.layer if isinstance(variable, LearntSummary) else variable)


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    several = set()
    for name, value in pairs:
        if name in found:
            several.add(name)
        found[name] = value
    return {name: value for name, value in found.items() if name not in several}


def _whole(name: str) -> str:
    return name


def _flat(name: str) -> str:
    """Return a name as it is where Keras 3 allows no ``/`` in a layer's.

    Such a layer's may have one more ``_`` at its end, not to be called as another one is.
    """
    return f"{name.rpartition('/')[0].replace('/', '_').rstrip('_')}/{_last(name)}"


def _without_counters(name: str) -> str:
    layer, slash, rest = name.rpartition("/")[0].partition("/")
    return f"{layer}{slash}{_COUNTER.sub('', rest)}/{_last(name)}"


def _layer_and_last(name: str) -> str:
    return f"{name.partition('/')[0]}/{_last(name)}"


def _suffix(name: str) -> str:
    """Return a name without the outermost model, which one side may have left out."""
    return "/".join(name.split("/")[-2:])


def _last(name: str) -> str:
    last = name.rpartition("/")[2]
    return _RENAMED.get(last, last)


def _live_slot(name: str, paths: Mapping[str, str]) -> str:
    """Return the name of a slot of the variable that a stored slot's weight has gone to."""
    parts = name.split("/", 2)
    if len(parts) < 3:
        return name
    return f"{parts[0]}/{parts[1]}/{paths.get(parts[2], parts[2])}"


def _refuse_rest(
    live: Sequence[tuple[str, Any]],
    stored: Sequence[NamedTensor],
    matched: Mapping[str, Any],
    where: str,
) -> None:
    ours = [name for name, _ in _rest(live, matched)]
    theirs = [each.name for each in stored if each.name not in matched]
    if ours or theirs:
        raise FormatError(
            "the stored weights and the model's variables do not match",
            where=where,
            expected=_listed(ours),
            found=_listed(theirs),
            hint="Build the model and give it the tensors of open_model(url).weights yourself",
        )


def _refuse_shapes(matched: Mapping[str, Any], stored: Collection[NamedTensor], where: str) -> None:
    for tensor in stored:
        variable = matched.get(tensor.name)
        if variable is None or variable.shape is None:  # what was learnt has any shape
            continue
        if tuple(variable.shape) != tensor.shape:
            raise FormatError(
                "a stored tensor has another shape than the model's variable",
                where=f"{where}: {tensor.name}",
                expected=tuple(variable.shape),
                found=tensor.shape,
            )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
    return (", ".join(names[:_MAX_SHOWN]) + more) or "nothing"
