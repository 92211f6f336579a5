"""What a model of Keras 2 was compiled with, as Keras 3 serialises it.

Keras 2 writes ``training_config`` into HDF5 files and SavedModels
(``model_metadata`` in tf_keras/src/saving/legacy/saving_utils.py) and ``compile_config``
into ``.keras`` archives. Read from tf_keras/src/optimizers/ and keras/src/optimizers/.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from remote_models.frameworks._keras2._context import Context
from remote_models.frameworks._keras2._decoding import mapping, text
from remote_models.frameworks._keras2._objects import keras_object, registered_name

__all__ = ["translate_training"]

_OPTIMIZERS = {
    name.lower(): name
    for name in ("Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lion",
                 "LossScaleOptimizer", "Nadam", "RMSprop", "SGD")
} | {"lossscaleoptimizerv3": "LossScaleOptimizer"}  # fmt: skip

_SCHEDULES = ("CosineDecay", "CosineDecayRestarts", "ExponentialDecay", "InverseTimeDecay",
              "PiecewiseConstantDecay", "PolynomialDecay")  # fmt: skip

_LOSSES = ("BinaryCrossentropy", "BinaryFocalCrossentropy", "CategoricalCrossentropy",
           "CategoricalFocalCrossentropy", "CategoricalHinge", "CosineSimilarity", "Hinge",
           "Huber", "KLDivergence", "LogCosh", "MeanAbsoluteError",
           "MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogarithmicError",
           "Poisson", "SparseCategoricalCrossentropy", "SquaredHinge")  # fmt: skip

_METRICS = ("AUC", "Accuracy", "BinaryAccuracy", "BinaryCrossentropy", "BinaryIoU",
            "CategoricalAccuracy", "CategoricalCrossentropy", "CategoricalHinge",
            "CosineSimilarity", "F1Score", "FBetaScore", "FalseNegatives", "FalsePositives",
            "Hinge", "IoU", "KLDivergence", "LogCoshError", "Mean", "MeanAbsoluteError",
            "MeanAbsolutePercentageError", "MeanIoU", "MeanSquaredError",
            "MeanSquaredLogarithmicError", "OneHotIoU", "OneHotMeanIoU", "Poisson", "Precision",
            "PrecisionAtRecall", "R2Score", "Recall", "RecallAtPrecision",
            "RootMeanSquaredError", "SensitivityAtSpecificity", "SparseCategoricalAccuracy",
            "SparseCategoricalCrossentropy", "SparseTopKCategoricalAccuracy",
            "SpecificityAtSensitivity", "SquaredHinge", "Sum", "TopKCategoricalAccuracy",
            "TrueNegatives", "TruePositives")  # fmt: skip

_SHORT = {
    "acc": "accuracy", "ce": "crossentropy", "kl_divergence": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence", "kld": "kl_divergence",
    "KLD": "kl_divergence", "cosine_proximity": "cosine_similarity",
    "cosine": "cosine_similarity", "logcosh": "log_cosh",
}  # fmt: skip
"""Names that only Keras 2 has for losses and metrics, and Keras 3's."""

_UNSCALED = ("jit_compile", "is_legacy_optimizer")
"""Arguments of Keras 2's optimizers that say how and not what to compute."""


def translate_training(
    described: Mapping[str, Any], outputs: Sequence[str], context: Context
) -> dict[str, Any] | None:
    """Return the ``compile_config`` of a model, ``None`` if it was not compiled.

    Args:
        described: The model's decoded configuration.
        outputs: The names of its outputs where it has several.
        context: Where it stands.

    Raises:
        GenerationError: Keras 3 has no such optimizer, loss or metric.
    """
    legacy = mapping(described.get("training_config"))
    config = legacy or mapping(described.get("compile_config"))
    optimizer = config.get("optimizer_config") if legacy else config.get("optimizer")
    if optimizer is None:
        return None
    metric = _nested(lambda each: _metric(each, outputs, context))
    return {
        "optimizer": _optimizer(optimizer, context),
        "loss": _nested(lambda each: _loss(each, context))(config.get("loss")),
        "loss_weights": config.get("loss_weights") or None,
        "metrics": metric(config.get("metrics")),
        "weighted_metrics": metric(config.get("weighted_metrics")),
    }


def _nested(translate: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that goes through the lists and dictionaries of outputs."""

    def through(value: Any) -> Any:
        if isinstance(value, list):
            return [through(each) for each in value]
        if isinstance(value, Mapping) and "class_name" not in value:
            return {key: through(each) for key, each in value.items()}
        return None if value is None else translate(value)

    return through


def _optimizer(value: Any, context: Context) -> dict[str, Any]:
    described = {"class_name": value, "config": {}} if isinstance(value, str) else mapping(value)
    name = registered_name(described)
    config = dict(mapping(described.get("config")))
    if name in context.custom:
        return {"module": None, "class_name": name, "config": config, "registered_name": name}
    class_name = _OPTIMIZERS.get(name.rpartition(">")[2].lower())
    if class_name is None:
        raise context.unknown("optimizer", name or value)
    if class_name == "LossScaleOptimizer":
        return _loss_scale(config, context)
    config = {
        {"lr": "learning_rate"}.get(key, key): each
        for key, each in config.items()
        if key not in _UNSCALED
    }
    rate = config.get("learning_rate")
    if isinstance(rate, Mapping):
        config["learning_rate"] = _schedule(rate, context)
    decay = config.pop("decay", 0.0)
    if decay:
        if not isinstance(rate, float):
            raise context.argument(class_name, "decay", decay)
        config["learning_rate"] = _decaying(rate, decay)
    config.pop("schedule_decay", None)  # of Nadam before Keras 2.3, whose momentum it warms up
    if config.get("epsilon", 0.0) is None:
        del config["epsilon"]
    if config.get("amsgrad") is False and class_name not in ("Adam", "AdamW"):
        del config["amsgrad"]
    return keras_object("keras.optimizers", class_name, config)


def _schedule(described: Mapping[str, Any], context: Context) -> dict[str, Any]:
    name = registered_name(described)
    config = mapping(described.get("config"))
    if name in context.custom:
        return {"module": None, "class_name": name, "config": config, "registered_name": name}
    class_name = name.rpartition(">")[2]
    if class_name not in _SCHEDULES:
        raise context.unknown("learning rate schedule", name)
    config = {key: each for key, each in config.items() if each is not None}
    return keras_object("keras.optimizers.schedules", class_name, config)


def _decaying(rate: float, decay: float) -> dict[str, Any]:
    """Return the schedule that the argument ``decay`` of legacy optimizers stands for."""
    config = {"initial_learning_rate": rate, "decay_steps": 1, "decay_rate": decay}
    return keras_object("keras.optimizers.schedules", "InverseTimeDecay", config)


def _loss_scale(config: Mapping[str, Any], context: Context) -> dict[str, Any]:
    if config.get("dynamic") is False:
        raise context.argument("LossScaleOptimizer", "dynamic", value=False)
    inner = _optimizer(config.get("inner_optimizer", config.get("optimizer")), context)
    taken = {
        key: config[key]
        for key in ("name", "initial_scale", "dynamic_growth_steps")
        if config.get(key) is not None
    }
    return keras_object(
        "keras.optimizers", "LossScaleOptimizer", {"inner_optimizer": inner, **taken}
    )


def _loss(value: Any, context: Context) -> Any:
    if isinstance(value, str):
        return _short_name(value, context)
    described = mapping(value)
    name = registered_name(described)
    config = dict(mapping(described.get("config")))
    if described.get("class_name") == "function":
        return _short_name(text(described.get("config")), context)
    if name in context.custom:
        return {"module": None, "class_name": name, "config": config, "registered_name": name}
    function = config.pop("fn", None)
    class_name = name.rpartition(">")[2]
    if class_name == "LossFunctionWrapper" and isinstance(function, str):
        return _short_name(function, context)
    if class_name not in _LOSSES:
        raise context.unknown("loss", name or value)
    if config.get("reduction") == "auto":
        config["reduction"] = "sum_over_batch_size"
    return keras_object("keras.losses", class_name, config)


def _metric(value: Any, outputs: Sequence[str], context: Context) -> Any:
    if isinstance(value, str):
        return _short_name(value, context)
    described = mapping(value)
    name = registered_name(described)
    config = dict(mapping(described.get("config")))
    if described.get("class_name") == "function":
        return _short_name(text(described.get("config")), context)
    config["name"] = _own_name(text(config.get("name")), outputs)
    if name in context.custom:
        return {"module": None, "class_name": name, "config": config, "registered_name": name}
    function = text(config.pop("fn", None))
    class_name = name.rpartition(">")[2]
    if class_name in ("MeanMetricWrapper", "SumOverBatchSizeMetricWrapper"):
        class_name = "".join(part.title() for part in function.split("_"))
    if class_name not in _METRICS:
        if function in context.custom:
            return _function(function)
        raise context.unknown("metric", function or name or value)
    return keras_object("keras.metrics", class_name, config)


def _own_name(name: str, outputs: Sequence[str]) -> str:
    """Return a metric's name without the output's in front, which Keras puts there again."""
    for output in outputs:
        if name.startswith(f"{output}_"):
            return name.removeprefix(f"{output}_")
    return name


def _short_name(name: str, context: Context) -> Any:
    if name in context.custom:
        return _function(name)
    return _SHORT.get(name.rpartition(">")[2], name.rpartition(">")[2])


def _function(name: str) -> dict[str, Any]:
    """Return a function of the caller's."""
    return {"module": "builtins", "class_name": "function", "config": name, "registered_name": name}
