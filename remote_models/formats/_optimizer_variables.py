"""The variables that Keras' own optimizers keep, in the order in which they store them.

Keras 3's files number them and do not name them. The table was read from
keras/src/optimizers/ (Keras 3.15) and tf_keras/src/optimizers/ (tf_keras 2.21): first
the optimizer's own variables, then, for each slot or group of slots, one for every
trainable variable of the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from remote_models.formats._names import optimizer_slot_name

__all__ = ["OPTIMIZERS_WITH_NAMES", "Weight", "inner_optimizer_of", "optimizer_variables"]


@dataclass(frozen=True, slots=True)
class Weight:
    """A trainable variable: its name and its shape."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Slots:
    """Slots that an optimizer makes in one pass over the variables.

    Attributes:
        words: Their words; with two, those of one variable lie side by side.
        flag: The argument without which they are not made; ``None``: always made.
    """

    words: tuple[str, ...]
    flag: str | None = None


_ALL = (_Slots(("average",), "use_ema"),
        _Slots(("gradient_accumulator",), "gradient_accumulation_steps"))  # fmt: skip
"""What any optimizer makes first (keras/src/optimizers/base_optimizer.py, ``build``)."""

_ADAM = (_Slots(("momentum", "velocity")), _Slots(("velocity_hat",), "amsgrad"))

_SLOTS: dict[str, tuple[_Slots, ...]] = {
    "Adadelta": (_Slots(("accumulated_grad", "accumulated_delta_var")),),
    "Adagrad": (_Slots(("accumulator",)),),
    "Adam": _ADAM,
    "AdamW": _ADAM,
    "Adamax": (_Slots(("momentum", "norm")),),
    "Ftrl": (_Slots(("accumulator", "linear")),),
    "Lamb": (_Slots(("momentum", "velocity")),),
    "Lion": (_Slots(("momentum",)),),
    "Nadam": (_Slots(("momentum", "velocity")),),
    "RMSprop": (
        _Slots(("velocity",)),
        _Slots(("momentum",), "momentum"),
        _Slots(("average_gradient",), "centered"),
    ),
    "SGD": (_Slots(("momentum",), "momentum"),),
    "ScheduleFreeAdamW": (_Slots(("momentum", "velocity")),),
}

_LOSS_SCALE = "LossScaleOptimizer"

_WITH_ITERATION = ("Adafactor", "Muon")  # what slots these make depends on more than the names

_ITERATION = "optimizer/iteration"

OPTIMIZERS_WITH_NAMES = (*_SLOTS, _LOSS_SCALE)
"""Classes whose variables get names; those of any other get their keys."""

_CLASSES = {name.lower(): name for name in (*OPTIMIZERS_WITH_NAMES, *_WITH_ITERATION)}

_Expected = list[tuple[str | None, tuple[int, ...]]]


def optimizer_variables(
    class_name: str,
    config: Mapping[str, Any],
    weights: Sequence[Weight],
    shapes: Sequence[tuple[int, ...]],
) -> Sequence[str | None]:
    """Return the name of each of an optimizer's stored variables.

    Args:
        class_name: The optimizer's class, in any case (``adam``).
        config: Its configuration.
        weights: The model's trainable variables, in the model's order.
        shapes: The shapes of the stored variables, in the file's order.

    Returns:
        One name for each shape; ``None`` where it is not known, and for all but the
        first if number or shapes are not those that the optimizer would make.
    """
    class_name = _CLASSES.get(class_name.lower(), class_name)
    for expected in _arrangements(class_name, config, weights):
        if [shape for _, shape in expected] == list(shapes):
            return [name for name, _ in expected]
    names: list[str | None] = [None] * len(shapes)
    if class_name in (*_SLOTS, *_WITH_ITERATION) and shapes and shapes[0] == ():
        names[0] = _ITERATION
    return names


def inner_optimizer_of(
    class_name: str, config: Mapping[str, Any]
) -> tuple[str, Mapping[str, Any]] | None:
    """Return what Keras 2's loss scale optimizer wraps, which its files keep apart."""
    inner = config.get("inner_optimizer")
    if not class_name.startswith(_LOSS_SCALE) or not isinstance(inner, Mapping):
        return None
    name, inside = inner.get("class_name"), inner.get("config")
    return (name, inside) if isinstance(name, str) and isinstance(inside, Mapping) else None


def _arrangements(
    class_name: str, config: Mapping[str, Any], weights: Sequence[Weight]
) -> Iterator[_Expected]:
    if class_name == _LOSS_SCALE:
        yield from _scaled(config, weights)
        return
    if class_name not in _SLOTS:
        return
    enabled = [each for each in _ALL if config.get(each.flag or "")]
    enabled += [each for each in _SLOTS[class_name] if not each.flag or config.get(each.flag)]
    choices = [enabled]
    if class_name == "SGD" and not config.get("momentum"):
        choices.append([*enabled, *_SLOTS["SGD"]])  # Keras 2 makes it even if it is zero
    for slots in choices:
        # A schedule is no variable, and tf_keras does not store the learning rate.
        for own in (["iteration", "learning_rate"], ["iteration"]):
            expected: _Expected = [(f"optimizer/{name}", ()) for name in own]
            expected += [each for group in slots for each in _slots(group, weights)]
            yield expected
            if class_name == "Nadam":
                yield [*expected, (None, ())]  # Keras 3 stores a product that it does not name


def _slots(slots: _Slots, weights: Sequence[Weight]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for weight in weights:
        for word in slots.words:
            yield optimizer_slot_name(word, weight.name), weight.shape


def _scaled(config: Mapping[str, Any], weights: Sequence[Weight]) -> Iterator[_Expected]:
    """Yield what a loss scale optimizer stores: its own variables, then the inner one's.

    It has an iteration and a learning rate of its own, both without a use.
    """
    inner = config.get("inner_optimizer")
    if not isinstance(inner, Mapping) or not isinstance(inner.get("config"), Mapping):
        return
    own: _Expected = [(None, ()), (None, ())]
    own += [("optimizer/step_counter", ()), ("optimizer/dynamic_scale", ())]
    if inner.get("class_name") in _SLOTS:
        for expected in _arrangements(inner["class_name"], inner["config"], weights):
            yield own + expected
