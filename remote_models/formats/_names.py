"""One name for a variable, whatever the format and the generation of Keras.

The rules are docs/names.md. What the frameworks write was read in
keras/src/optimizers/ (Keras 3.15), tf_keras/src/optimizers/ and
tf_keras/src/optimizers/legacy/ (tf_keras 2.21).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace

from remote_models.tensors import StoredTensor

__all__ = [
    "SLOT_WORDS",
    "OptimizerNames",
    "metric_variable_name",
    "optimizer_slot_name",
    "optimizer_variable_name",
    "unique_names",
    "variable_name",
]

SLOT_WORDS = {
    "m": "momentum",  # Adam, AdamW, Adamax, Nadam, Lion, SGD
    "v": "velocity",  # Adam, AdamW, Nadam, Adafactor
    "vhat": "velocity_hat",  # Adam(amsgrad=True)
    "u": "norm",  # Adamax
    "rms": "velocity",  # legacy RMSprop
    "mg": "average_gradient",  # legacy RMSprop(centered=True)
    "accum_grad": "accumulated_grad",  # legacy Adadelta
    "accum_var": "accumulated_delta_var",  # legacy Adadelta
}
"""Keras 2's word for a slot to Keras 3's, where the two differ."""

_ADAMAX_WORDS = {"v": "norm"}  # only the legacy Adamax has a `v`; its successors say `u`

_KERAS_3_WORDS = frozenset(SLOT_WORDS.values()) | {
    "accumulator",  # Adagrad, Ftrl
    "linear",  # Ftrl
    "average",  # any optimizer with use_ema=True
    "gradient_accumulator",  # any with gradient_accumulation_steps
}

_LONGEST_WORD_FIRST = sorted(_KERAS_3_WORDS, key=len, reverse=True)

_OWN_WORDS = {
    "iter": "iteration",  # legacy optimizers
    "iterations": "iteration",  # Keras 2.0 to 2.3
    "lr": "learning_rate",  # Keras 2.0 to 2.3
    "current_loss_scale": "dynamic_scale",  # Keras 2's LossScaleOptimizer
    "good_steps": "step_counter",  # Keras 2's LossScaleOptimizer
}
"""An older word for an optimizer's own variable to Keras 3's, where they differ."""

_TRAINING_SCOPE = re.compile(r"training(_\d+)?")  # Keras 2.0 to 2.3 built optimizers inside it

_MAX_LENGTH = 1024
"""Characters of a name that are looked at: longer ones are nobody's, and would cost."""

_MAX_SCOPES = 8
"""Leading parts of an optimizer variable's name that may belong to the optimizer."""


def variable_name(raw: str) -> str:
    """Return a variable's name without TensorFlow's ``:0``.

    >>> variable_name("conv1/kernel:0")
    'conv1/kernel'
    """
    return raw.removesuffix(":0")


def optimizer_slot_name(word: str, weight: str, *, optimizer: str = "") -> str:
    """Return the name of a slot of a known variable.

    Args:
        word: The optimizer's word for the slot, of either generation.
        weight: The name of the variable that it belongs to.
        optimizer: The optimizer's own name, where known.

    >>> optimizer_slot_name("m", "conv1/kernel")
    'optimizer/momentum/conv1/kernel'
    """
    if optimizer.lower() == "adamax":
        word = _ADAMAX_WORDS.get(word, word)
    return f"optimizer/{SLOT_WORDS.get(word, word)}/{weight}"


def metric_variable_name(metric: str, raw: str) -> str:
    """Return the name of a metric's variable.

    >>> metric_variable_name("loss", "total:0")
    'metrics/loss/total'
    """
    return f"metrics/{metric}/{variable_name(raw).rpartition('/')[2]}"


def optimizer_variable_name(raw: str, weights: Collection[str]) -> str:
    """Return the name of one optimizer variable; see :class:`OptimizerNames`.

    >>> optimizer_variable_name("Adam/m/conv1/kernel:0", ["conv1/kernel"])
    'optimizer/momentum/conv1/kernel'
    """
    return OptimizerNames(weights)(raw)


class OptimizerNames:
    """The names of the optimizer variables of one model.

    Args:
        weights: The names of all the model's weights. Without them Keras 3's
            flattened names cannot be taken apart and stay as they are.

    >>> name = OptimizerNames(["conv1/kernel"])
    >>> name("adam/conv1_kernel_velocity")  # Keras 3
    'optimizer/velocity/conv1/kernel'
    >>> name("Adam/v/conv1/kernel:0")  # Keras 2
    'optimizer/velocity/conv1/kernel'
    >>> name("training/Adam/conv1/kernel/v:0")  # Keras 2, legacy optimizers
    'optimizer/velocity/conv1/kernel'
    >>> name("m/conv1/kernel:0")  # Keras 2, made before training
    'optimizer/momentum/conv1/kernel'
    >>> name("Adam/iter:0")
    'optimizer/iteration'
    """

    def __init__(self, weights: Collection[str]) -> None:
        self._weights = frozenset(weights)
        flat = Counter(weight.replace("/", "_") for weight in self._weights)
        self._by_flat_name = {
            name: weight
            for weight in self._weights
            if flat[name := weight.replace("/", "_")] == 1  # else nobody knows which it was
        }

    def __call__(self, raw: str) -> str:
        """Return the name of the variable that the framework calls ``raw``."""
        name = variable_name(raw)
        if len(name) > _MAX_LENGTH:
            return f"optimizer/{name}"
        parts = name.split("/")
        if len(parts) > 1 and _TRAINING_SCOPE.fullmatch(parts[0]):
            del parts[0]
        return (
            self._slot_of_known_weight(parts)
            or self._flattened_slot(parts)
            or _slot_by_its_word(parts)
            or _own_variable(parts)
        )

    def _slot_of_known_weight(self, parts: list[str]) -> str | None:
        """Match ``OPTIMIZER/SLOT/WEIGHT`` and the legacy ``OPTIMIZER/WEIGHT/SLOT``.

        The optimizer's name is missing where its variables were made before training.
        """
        for start in range(min(len(parts), _MAX_SCOPES)):
            if start and (weight := "/".join(parts[start:])) in self._weights:
                return optimizer_slot_name(parts[start - 1], weight, optimizer=parts[0])
            if (weight := "/".join(parts[start:-1])) in self._weights:
                return optimizer_slot_name(parts[-1], weight, optimizer=parts[0])
        return None

    def _flattened_slot(self, parts: list[str]) -> str | None:
        """Match Keras 3's ``OPTIMIZER/LAYER_VARIABLE_SLOT``."""
        last = parts[-1]
        for word in _LONGEST_WORD_FIRST:
            weight = self._by_flat_name.get(last.removesuffix(f"_{word}"))
            if weight is not None and last.endswith(f"_{word}"):
                return optimizer_slot_name(word, weight)
        if len(parts) > 1:  # a custom optimizer's word: the longest weight wins
            end = last.rfind("_")
            while end > 0:
                if (weight := self._by_flat_name.get(last[:end])) is not None:
                    return optimizer_slot_name(last[end + 1 :], weight)
                end = last.rfind("_", 0, end)
        return None


def unique_names(tensors: Iterable[StoredTensor]) -> list[StoredTensor]:
    """Give every tensor a name that no other has: its own, or else its key.

    Tensors without a name get their key, and so do all those that share one.
    The keys must differ.
    """
    tensors = list(tensors)
    holders: dict[str, list[int]] = {}
    for index, tensor in enumerate(tensors):
        holders.setdefault(tensor.name or tensor.key, []).append(index)
    shared = [name for name, indices in holders.items() if len(indices) > 1]
    while shared:  # a key may itself be another's name, which then gives way in turn
        name = shared.pop()
        indices = holders[name]
        holders[name] = [index for index in indices if tensors[index].key == name]
        for index in indices:
            key = tensors[index].key
            if key != name:
                holders.setdefault(key, []).append(index)
                if len(holders[key]) > 1:
                    shared.append(key)
    names = {index: name for name, indices in holders.items() for index in indices}
    return [replace(tensor, name=names[index]) for index, tensor in enumerate(tensors)]


def _slot_by_its_word(parts: list[str]) -> str | None:
    """Match the two Keras 2 orders by the slot's word alone, the weight being unknown."""
    for start in (1, 0):
        if len(parts) > start + 1 and _is_slot(parts[start]):
            return optimizer_slot_name(
                parts[start], "/".join(parts[start + 1 :]), optimizer=parts[0]
            )
    if len(parts) > 2 and _is_slot(parts[-1]):
        return optimizer_slot_name(parts[-1], "/".join(parts[1:-1]), optimizer=parts[0])
    return None


def _is_slot(word: str) -> bool:
    return word in SLOT_WORDS or word in _KERAS_3_WORDS


def _own_variable(parts: list[str]) -> str:
    rest = parts[1:] or parts
    rest[-1] = _OWN_WORDS.get(rest[-1], rest[-1])
    return f"optimizer/{'/'.join(rest)}"
