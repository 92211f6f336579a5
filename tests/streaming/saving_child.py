"""Run in a process of its own: what Keras 3 models are saved as, beside Keras' own files.

Prints one JSON object per case, and uses nothing of pytest.
"""

from __future__ import annotations

import io
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from fsspec.implementations.memory import MemoryFileSystem
from keras.src.legacy.saving import legacy_h5_format

import remote_models as rm
from remote_models.formats.streaming import LegacyWeights, legacy_model_file
from remote_models.frameworks._keras_state import HeldValue
from streaming.saved_files import (
    close,
    contents,
    members,
    read_back,
    refuse_copies,
    same,
    saved,
)

L = keras.layers

X = np.random.default_rng(0).random((16, 8), dtype="float32")
Y = X.sum(1, keepdims=True)


def trained(model: Any, optimizer: Any = "adam", data: Any = X, target: Any = Y) -> Any:
    model.compile(optimizer, "mean_squared_error", metrics=["mae"], run_eagerly=True)
    model.fit(data, target, epochs=1, verbose=0)
    return model


def mlp() -> Any:
    return trained(
        keras.Sequential(
            [L.Input((8,)), L.Dense(64, activation="relu", name="hidden"), L.Dropout(0.2, seed=7),
             L.Dense(33), L.Dense(1)]
        )
    )  # fmt: skip


def images() -> Any:
    model = keras.Sequential(
        [L.Input((8,)), L.Reshape((2, 2, 2)), L.Conv2D(40, 2, padding="same"),
         L.BatchNormalization(), L.DepthwiseConv2D(2), L.Flatten(), L.Dense(1)]
    )  # fmt: skip
    return trained(model, keras.optimizers.SGD(0.01, momentum=0.9))


def recurrent() -> Any:
    inputs = keras.Input((8,))
    x = L.Embedding(50, 24)(inputs)
    x = L.Bidirectional(L.LSTM(12, return_sequences=True))(x)
    x = L.MultiHeadAttention(2, 24)(x, x)
    return trained(keras.Model(inputs, L.Dense(1)(L.GRU(6)(x))), "rmsprop", np.floor(X * 50))


def shared_and_nested() -> Any:
    inner = keras.Sequential([L.Input((8,)), L.Dense(40), L.Dense(8)], name="inner")
    inputs = keras.Input((8,))
    shared = L.Dense(8, name="shared")
    return trained(keras.Model(inputs, L.Dense(1)(inner(shared(shared(inputs))))), "nadam")


def ema() -> Any:
    rate = keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.5)
    return trained(mlp(), keras.optimizers.AdamW(rate, use_ema=True, amsgrad=True))


def bfloat16() -> Any:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        return mlp()
    finally:
        keras.config.set_dtype_policy("float32")


def bfloat16_variables() -> Any:
    keras.config.set_dtype_policy("bfloat16")
    try:
        return keras.Sequential([L.Input((8,)), L.Dense(300), L.Dense(1)])
    finally:
        keras.config.set_dtype_policy("float32")


def loss_scale() -> Any:
    return trained(mlp(), keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()))


def normalization() -> Any:
    layer = L.Normalization()
    layer.adapt(X)
    return trained(keras.Sequential([L.Input((8,)), layer, L.Dense(1)]))


def vocabulary() -> Any:
    layer = L.IntegerLookup(output_mode="tf_idf")
    layer.adapt(np.arange(200).reshape(20, 10))
    inputs = keras.Input((8,), dtype="int64")
    return trained(keras.Model(inputs, L.Dense(1)(layer(inputs))), data=np.floor(X * 50))


def text() -> Any:
    layer = L.TextVectorization(output_mode="multi_hot")
    layer.adapt([f"word{number} or other" for number in range(40)])
    return keras.Sequential([keras.Input((), dtype="string"), layer, L.Dense(1)])


def quantized() -> Any:
    model = keras.Sequential([L.Input((8,)), L.Dense(600), L.Dense(1)])
    model.quantize("int8")
    return model


def lora() -> Any:
    model = mlp()
    model.layers[0].enable_lora(2)
    model.layers[0].lora_kernel_b.assign(np.ones(model.layers[0].lora_kernel_b.shape))
    model.build((None, 8))
    return trained(model)


def without_weights() -> Any:
    return keras.Sequential([L.Input((8,)), L.Rescaling(2.0)])


def uncompiled() -> Any:
    return keras.Sequential([L.Input((8,)), L.Dense(200), L.Dense(1)])


@keras.saving.register_keras_serializable("tests")
class Scale(keras.layers.Layer):  # type: ignore[misc]
    """Stores more than its variables, and looks at what it has stored."""

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")
        self.seed = keras.random.SeedGenerator(3)

    def call(self, x: Any) -> Any:
        return x * self.scale

    def save_own_variables(self, store: Any) -> None:
        super().save_own_variables(store)
        store["extra"] = np.arange(2000.0)
        store["gone"] = 3
        del store["gone"]
        store[f"count of {len(store)}"] = len(list(store.keys()))
        assert "extra" in store
        assert store["extra"].shape == (2000,)
        assert np.asarray(store["0"]).shape == self.scale.shape

    def load_own_variables(self, store: Any) -> None:
        self.scale.assign(store["0"])


@keras.saving.register_keras_serializable("tests")
class Subclassed(keras.Model):  # type: ignore[misc]
    extra: dict[str, Any]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.blocks = [L.Dense(40), L.Dense(8)]
        self.extra = {"scale": Scale(), "more": [L.Dense(8)]}
        self.head = L.Dense(1)

    def build(self, shape: Any) -> None:
        self.own = self.add_weight(shape=(40, 40), name="own")
        self.blocks[0].build(shape)
        self.blocks[1].build((None, 40))
        for each in (self.extra["scale"], self.extra["more"][0], self.head):
            each.build((None, 8))

    def call(self, x: Any) -> Any:
        for block in self.blocks:
            x = block(x)
        return self.head(self.extra["more"][0](self.extra["scale"](x)))

    def get_config(self) -> dict[str, Any]:
        return {}


def subclassed() -> Any:
    return trained(Subclassed())


@keras.saving.register_keras_serializable("tests")
class Doubling(keras.optimizers.SGD):  # type: ignore[misc]
    """Stores something else than its variables."""

    def save_own_variables(self, store: Any) -> None:
        for index, variable in enumerate(self.variables):
            store[str(index)] = 2 * variable.numpy()


def own_optimizer() -> Any:
    return trained(mlp(), Doubling(0.01, momentum=0.9))


@keras.saving.register_keras_serializable("tests")
class ForTheSave(L.Dense):  # type: ignore[misc, name-defined]
    """Stores other values than it goes on with."""

    def save_own_variables(self, store: Any) -> None:
        before = self.kernel.numpy()
        self.kernel.assign(before + 7)
        super().save_own_variables(store)
        self.kernel.assign(before)


def changed_for_the_save() -> Any:
    return trained(keras.Sequential([L.Input((8,)), ForTheSave(300), L.Dense(1)]))


def own_variable() -> Any:
    model = uncompiled()
    model.own = keras.Variable(np.ones((50, 50), "float32"), name="own")
    return model


CASES: Mapping[str, tuple[Callable[[], Any], str]] = {
    "mlp": (mlp, "wkh"),
    "images": (images, "wkh"),
    "recurrent": (recurrent, "wkh"),
    "shared_and_nested": (shared_and_nested, "wkh"),
    "ema": (ema, "wkh"),
    "bfloat16": (bfloat16, "wkh"),
    "bfloat16_variables": (bfloat16_variables, "wk"),  # Keras cannot load its own .h5 of it
    "loss_scale": (loss_scale, "wkh"),
    "normalization": (normalization, "wkh"),
    "vocabulary": (vocabulary, "k"),
    "text": (text, "k"),
    "quantized": (quantized, "wk"),
    "lora": (lora, "wk"),
    "without_weights": (without_weights, "wkh"),
    "uncompiled": (uncompiled, "wkh"),
    "subclassed": (subclassed, "wk"),
    "own_optimizer": (own_optimizer, "wk"),
    "own_variable": (own_variable, "h"),
    "changed_for_the_save": (changed_for_the_save, "wk"),
}

FORMATS = {"w": ".weights.h5", "h": ".h5", "k": ".keras"}


def same_state(left: Any, right: Any) -> bool:
    # Of a model, `variables` has the states of random generators too, which are not saved.
    lists = [getattr(each, "weights", each.variables) for each in (left, right)]
    pairs = list(itertools.zip_longest(*lists))
    return all(same(one.numpy(), other.numpy()) for one, other in pairs)


def inputs_of(model: Any, case: str) -> Any:
    if case == "text":
        return keras.ops.convert_to_tensor(["word3 or", "other word5"])
    return np.floor(X * 50) if case in ("recurrent", "vocabulary") else X


def compare(case: str, folder: Path) -> Iterator[dict[str, Any]]:
    build, formats = CASES[case]
    model = build()
    before = [np.array(each.numpy()) for each in model.variables]
    for letter in formats:
        suffix = FORMATS[letter]
        url = f"memory://saving/{case}{suffix}"
        ours = saved(model, url)
        path = folder / f"keras{suffix}"
        model.save_weights(path) if letter == "w" else model.save(path)
        theirs = path.read_bytes()
        read = members if letter == "k" else contents
        mine = folder / f"ours{suffix}"
        mine.write_bytes(ours)
        yield {
            "case": f"{case}{suffix}",
            "same": read(ours) == read(theirs),
            # Keras writes the variable of a functional model, and does not find it again.
            "loads": case == "own_variable" or loads(model, mine, path, case),
            "tensors": same_tensors(url, path),
            "unharmed": all(map(same, before, [each.numpy() for each in model.variables])),
        }


def loads(model: Any, mine: Path, theirs: Path, case: str) -> bool:
    """Whether plain Keras makes the same of both files."""
    inputs = inputs_of(model, case)
    if mine.name.endswith(".weights.h5"):
        with_ours, with_theirs = keras.models.clone_model(model), keras.models.clone_model(model)
        for each, path in ((with_ours, mine), (with_theirs, theirs)):
            each(inputs)  # which builds what is inside a subclassed model
            each.load_weights(path)
    else:
        with_ours, with_theirs = keras.saving.load_model(mine), keras.saving.load_model(theirs)
        if getattr(model, "optimizer", None) is not None and mine.suffix == ".keras":
            if not same_state(with_ours.optimizer, with_theirs.optimizer):
                return False
            if case not in ("own_optimizer", "lora") and not same_state(
                with_ours.optimizer, model.optimizer
            ):
                return False
    if not same_state(with_ours, with_theirs):
        return False
    of_both, of_model = (np.asarray(each(inputs)) for each in (with_theirs, model))
    others = ("lora", "changed_for_the_save")  # which store other values than they have
    return close(with_ours(inputs), of_both) and (case in others or close(of_both, of_model))


def same_tensors(url: str, theirs: Path) -> bool:
    """Whether the manifest leads to the same tensors as an index of Keras' own file."""
    with rm.open_model(url) as remote:
        keys = {tensor.key for tensor in remote.weights.values()}
        values = {tensor.key: np.asarray(tensor) for tensor in remote.weights.values()}
        rm.adopt_model(theirs, overwrite=True)
        with rm.open_model(theirs) as adopted:
            others = {tensor.key: np.asarray(tensor) for tensor in adopted.weights.values()}
        return keys == set(others) and all(
            values[key].tobytes() == others[key].tobytes() for key in keys
        )


def long_names() -> dict[str, Any]:
    """More names than an attribute holds are split as Keras splits them."""
    names = [f"layer_{number:05}" + "x" * 60 for number in range(2000)]
    weights = LegacyWeights(layers=[(name, []) for name in names], own=[], versions={})
    data = b"".join(bytes(chunk) for chunk in legacy_model_file({}, weights, []).chunks())
    with h5py.File(io.BytesIO(data)) as root, h5py.File(io.BytesIO(), "w") as theirs:
        ours = root["model_weights"].attrs
        legacy_h5_format.save_attributes_to_hdf5_group(
            theirs, "layer_names", [name.encode() for name in names]
        )
        return {
            "case": "long names",
            "count": len(ours),
            "same": {name: (repr(ours[name].dtype), list(ours[name])) for name in ours}
            == {n: (repr(theirs.attrs[n].dtype), list(theirs.attrs[n])) for n in theirs.attrs},
        }


class BrokenError(Exception):
    """A variable that cannot be read."""


def failing(suffix: str) -> dict[str, Any]:
    """A save that fails half-way publishes nothing and harms nothing."""
    url = f"memory://saving/failing{suffix}"
    model = mlp()
    before = saved(model, url)
    names = sorted(MemoryFileSystem.store)
    compiled = json.dumps(model.get_compile_config(), default=str)
    save = rm.save_weights if suffix == ".weights.h5" else rm.save_model
    calls, reading = itertools.count(), HeldValue.to_numpy

    def broken(value: HeldValue) -> Any:
        if next(calls) == 2:
            raise BrokenError
        return reading(value)

    HeldValue.to_numpy = broken  # type: ignore[method-assign, assignment]
    outcome = "saved"
    try:
        save(model, url, progress=False)
    except BrokenError:
        outcome = "broken"
    finally:
        HeldValue.to_numpy = reading  # type: ignore[method-assign]
    return {
        "case": f"failing{suffix}",
        "outcome": outcome,
        "kept": read_back(url) == before and rm.verify_model(url).ok,
        "names": sorted(MemoryFileSystem.store) == names,
        "compiled": json.dumps(model.get_compile_config(), default=str) == compiled,
        "again": len(saved(model, url)) == len(before),
    }


def main() -> None:
    refuse_copies()
    for case in sys.argv[2:] or CASES:
        for found in compare(case, Path(sys.argv[1])):
            print(json.dumps(found), flush=True)
        keras.backend.clear_session()
    if not sys.argv[2:]:
        print(json.dumps(long_names()), flush=True)
        for suffix in FORMATS.values():
            print(json.dumps(failing(suffix)), flush=True)


if __name__ == "__main__":
    main()
