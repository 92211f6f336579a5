"""Run in a process of its own: lazy loads of Keras 3 models beside whole ones.

Prints one JSON object per case, and uses nothing of pytest.
"""

from __future__ import annotations

import copy
import gc
import json
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from weights.counting_proxy import counting_proxy

import remote_models as rm
from remote_models import errors
from remote_models.frameworks._lazy_variable import LazyVariable
from remote_models.manifest import StoredManifest
from streaming import child, h5_child
from streaming.child import X, Y

L = keras.layers


def waiting(model: Any) -> list[str]:
    """Return the names of the variables that have not been read."""
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.variables, *(optimizer.variables if optimizer else ())]
    return [
        each.path
        for each in variables
        if isinstance(each._value, LazyVariable) and each._value.waits_for is not None
    ]


@contextmanager
def reads() -> Iterator[list[list[str]]]:
    """Note the names of the tensors of each read."""
    from remote_models.remote_model._weights import Weights

    own = Weights.stream
    noted: list[list[str]] = []

    def stream(self: Any, selector: Any = None) -> Any:
        noted.append(list(selector))
        return own(self, selector)

    Weights.stream = stream  # type: ignore[method-assign]
    try:
        yield noted
    finally:
        Weights.stream = own  # type: ignore[method-assign]


def compare(make: Callable[[], Any], folder: Path, extension: str) -> dict[str, Any]:
    model = make()
    path = folder / f"{make.__name__}{extension}"
    rm.save_model(model, path)
    whole = rm.load_model(path)
    with reads() as noted:
        lazy = rm.load_model(path, lazy=True)
        at_once = sum(map(len, noted))
    before = len(waiting(lazy))
    predictions = lazy.predict(X, verbose=0)
    return {
        "case": f"{make.__name__}{extension}",
        "at_once": at_once,
        "waited": before > 0,
        "predictions": bool(np.array_equal(whole.predict(X, verbose=0), predictions)),
        "state": child.equal(whole, lazy),
        "trainable": [(v.name, v.shape) for v in whole.trainable_variables]
        == [(v.name, v.shape) for v in lazy.trainable_variables],
        "compiled": whole.compiled == lazy.compiled,
        "continues": child.continues(whole, rm.load_model(path, lazy=True)),
    }


def chain(width: int = 8, layers: int = 4) -> Any:
    inputs = x = keras.Input((8,))
    for number in range(layers):
        x = L.Dense(width, name=f"layer_{number}")(x)
    return keras.Model(inputs, x)


class Case:
    """A saved chain of layers, and what it holds."""

    def __init__(self, folder: Path, name: str, extension: str = ".keras") -> None:
        self.model = chain()
        self.model.compile("adam", h5_child.LOSS)
        self.model.fit(X, np.tile(Y, 8), epochs=1, verbose=0)
        self.path = folder / f"{name}{extension}"
        rm.save_model(self.model, self.path)
        self.kernel = self.model.layers[1].kernel.numpy()
        self.outputs = np.asarray(self.model(X))

    def lazy(self, **options: Any) -> Any:
        return rm.load_model(self.path, lazy=True, **options)


def ways_of_reading(folder: Path) -> dict[str, Any]:
    case = Case(folder, "ways")
    expected = case.kernel

    def exported(model: Any) -> Any:
        model.export(folder / "exported", verbose=False)
        served = tf.saved_model.load(str(folder / "exported"))
        return served.serve(X)

    def checkpointed(model: Any) -> Any:
        prefix = tf.train.Checkpoint(v=model.layers[1].kernel).save(str(folder / "checkpoint"))
        return tf.train.load_checkpoint(prefix).get_tensor("v/.ATTRIBUTES/VARIABLE_VALUE")

    def saved_again(model: Any) -> Any:
        rm.save_model(model, folder / "again.keras")
        return keras.saving.load_model(folder / "again.keras").layers[1].kernel.numpy()

    def graph(model: Any) -> Any:
        kernel = model.layers[1].kernel
        return tf.function(lambda: kernel * 1.0)()

    def taped(model: Any) -> Any:
        kernel = model.layers[1].kernel
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(kernel * kernel)
        return tape.gradient(loss, kernel.value) / 2

    def conditional(model: Any) -> Any:
        kernel = model.layers[1].kernel
        return tf.function(lambda c: tf.cond(c, lambda: kernel + 0.0, lambda: kernel * 0.0))(
            tf.constant(value=True)
        )

    ways: dict[str, Callable[[Any], Any]] = {
        "numpy": lambda m: m.layers[1].kernel.numpy(),
        "asarray": lambda m: np.asarray(m.layers[1].kernel),
        "value": lambda m: m.layers[1].kernel.value.numpy(),
        "read_value": lambda m: m.layers[1].kernel.value.read_value(),
        "ops": lambda m: keras.ops.convert_to_numpy(m.layers[1].kernel),
        "tensor": lambda m: tf.convert_to_tensor(m.layers[1].kernel),
        "identity": lambda m: tf.identity(m.layers[1].kernel),
        "sum": lambda m: m.layers[1].kernel + 0,
        "index": lambda m: m.layers[1].kernel[:],
        "get_weights": lambda m: m.layers[1].get_weights()[0],
        "all_weights": lambda m: m.get_weights()[0],
        "cast": lambda m: tf.cast(m.layers[1].kernel, "float64"),
        "copy": lambda m: copy.deepcopy(m.layers[1].kernel).numpy(),
        "pickle": lambda m: pickle.loads(pickle.dumps(m)).layers[1].kernel.numpy(),
        "again": saved_again,
        "graph": graph,
        "conditional": conditional,
        "tape": taped,
        "checkpoint": checkpointed,
        "state_tree": lambda m: m.get_state_tree()["trainable_variables"]["layer_0"]["kernel"],
    }
    found = {}
    for name, way in ways.items():
        found[name] = bool(np.array_equal(np.asarray(way(case.lazy())), expected))
    outputs: dict[str, Callable[[Any], Any]] = {
        "call": lambda m: m(X),
        "function": lambda m: tf.function(m)(X),
        "predict": lambda m: m.predict(X, verbose=0),
        "on_batch": lambda m: m.predict_on_batch(X),
        "export": exported,
        "stateless": lambda m: m.stateless_call([v.value for v in m.trainable_variables], [], X)[0],
    }
    for name, call in outputs.items():
        found[name] = bool(np.allclose(np.asarray(call(case.lazy())), case.outputs, atol=1e-6))
    shown = repr(case.lazy().layers[1].kernel)
    found["repr"] = f"value={expected}" in shown
    return {"case": "ways_of_reading", **found}


def ways_of_writing(folder: Path) -> dict[str, Any]:
    case = Case(folder, "writing")
    other = np.random.default_rng(3).random((8, 8), dtype="float32")
    found = {}

    def after(name: str, write: Callable[[Any], Any], expected: Any) -> None:
        model = case.lazy()
        write(model)
        found[name] = bool(np.allclose(model.layers[1].kernel.numpy(), expected))
        found[f"{name}, the others"] = bool(
            np.array_equal(model.layers[2].kernel.numpy(), case.model.layers[2].kernel.numpy())
        )

    after("assign", lambda m: m.layers[1].kernel.assign(other), other)
    after("assign_add", lambda m: m.layers[1].kernel.assign_add(other), case.kernel + other)
    after("assign_sub", lambda m: m.layers[1].kernel.assign_sub(other), case.kernel - other)
    after("set_weights", lambda m: m.layers[1].set_weights([other, np.zeros(8)]), other)
    after("tensorflow", lambda m: m.layers[1].kernel.value.assign_add(other), case.kernel + other)
    after(
        "in a graph",
        lambda m: tf.function(lambda: m.layers[1].kernel.assign_add(other))(),
        case.kernel + other,
    )
    try:
        after("a wrong shape", lambda m: m.layers[1].kernel.value.assign(other[:2]), case.kernel)
    except ValueError:
        found["a wrong shape"] = True
    rm.save_weights(case.model, folder / "weights.weights.h5")
    with reads() as noted:
        model = case.lazy()
        rm.load_weights(model, folder / "weights.weights.h5")
        # Nothing of the old values is read but what lies in the new file.
        found["load_weights"] = len(noted) == 2 and not [
            path for path in waiting(model) if path.startswith("layer_")
        ]
    return {"case": "ways_of_writing", **found}


def what_moves(folder: Path) -> dict[str, Any]:
    case = Case(folder, "moves")
    with reads() as noted:
        model = case.lazy()
        model.summary(print_fn=lambda *_args, **_options: None)
        model.count_params()
        [v.shape for v in model.variables]
        model.layers[3].trainable = False
        part = keras.Model(model.input, model.layers[2].output)
        top = L.Dense(1)(model(keras.Input((8,))))  # computes shapes only
        nothing = not noted and top.shape == (None, 1)
        model.layers[2](X)
        layer = noted == [["layer_1/kernel", "layer_1/bias"]]
        part(X)
        both = noted[1:] == [["layer_0/kernel", "layer_0/bias"]]
        rate = float(model.optimizer.learning_rate)
        numbers = len(noted[2]) == 2 and rate > 0
        model.predict(X, verbose=0)
        no_slots = not any("momentum" in name for names in noted for name in names)
        model.fit(X, np.tile(Y, 8), verbose=0)
        slots = sum("momentum" in name for name in noted[-1]) == 8
    return {
        "case": "what_moves",
        "nothing": nothing,
        "layer": layer,
        "both": both,
        "numbers": numbers,
        "no_slots": no_slots,
        "slots": slots,
        "done": not waiting(model),
    }


def errors_surface(folder: Path) -> dict[str, Any]:
    """Replace the file under a lazy model: every access says so, and none is wrong."""
    case = Case(folder, "errors")
    whole = case.path.read_bytes()
    accesses: dict[str, Callable[[Any], Any]] = {
        "call": lambda m: m(X),
        "predict": lambda m: m.predict(X, verbose=0),
        "function": lambda m: tf.function(m)(X),
        "numpy": lambda m: m.layers[1].kernel.numpy(),
        "fit": lambda m: m.fit(X, np.tile(Y, 8), verbose=0),
        "save": lambda m: rm.save_model(m, folder / "other.keras"),
    }
    found = {}
    for name, access in accesses.items():
        model = case.lazy()
        case.path.write_bytes(bytes(len(whole)))
        kinds = []
        for _ in range(2):  # the second attempt tries again, and fails again
            try:
                access(model)
            except errors.IntegrityError as error:
                kinds.append(bool(error.where and error.hint))
        case.path.write_bytes(whole)
        found[name] = kinds == [True, True]
        found[f"{name}, again"] = bool(np.allclose(model(X), case.outputs, atol=1e-6))
    model = case.lazy()
    case.path.unlink()
    try:
        model(X)
    except errors.IntegrityError:
        found["gone"] = True
    case.path.write_bytes(whole)
    return {"case": "errors_surface", **found}


def threads(folder: Path) -> dict[str, Any]:
    """Many threads at once fetch each layer once, and all see the same."""
    case = Case(folder, "threads")
    outputs: list[Any] = []
    with reads() as noted:
        model = case.lazy()
        start = threading.Barrier(8)

        def run() -> None:
            start.wait()
            outputs.append(np.asarray(model(X)))

        workers = [threading.Thread(target=run) for _ in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        names = [name for each in noted for name in each]
    return {
        "case": "threads",
        "all": len(outputs) == 8,
        "same": all(np.array_equal(each, outputs[0]) for each in outputs)
        and bool(np.allclose(outputs[0], case.outputs, atol=1e-6)),
        "once": len(names) == len(set(names)) == 8,
    }


def settled(condition: Callable[[], bool]) -> bool:
    """Wait until something is so, which takes no time unless it never is."""
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.05)
    return False


def workers() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if "prefetch" in each.name]


def prefetching(folder: Path) -> dict[str, Any]:
    case = Case(folder, "prefetch")
    found = {}
    with reads() as noted:
        model = case.lazy(prefetch=True)
        found["everything"] = settled(lambda: not workers()) and sum(map(len, noted)) == 8
        found["held"] = len([path for path in waiting(model) if path.startswith("layer_")]) == 8
        model(X)
        found["no more"] = sum(map(len, noted)) == 8
    with reads() as noted:
        model = case.lazy(prefetch=1)
        found["nothing yet"] = not noted
        model.layers[1](X)
        found["one ahead"] = settled(lambda: len(noted) == 2 and not workers())
        model.layers[2](X)
        found["one more"] = settled(lambda: len(noted) == 3 and not workers())
        found["in order"] = [each[0] for each in noted] == [
            "layer_0/kernel", "layer_1/kernel", "layer_2/kernel",
        ]  # fmt: skip
        found["right"] = bool(np.allclose(model(X), case.outputs, atol=1e-6))
    whole = case.path.read_bytes()
    model = case.lazy(prefetch=2)
    case.path.write_bytes(bytes(len(whole)))
    try:
        model(X)
    except errors.IntegrityError:
        found["error"] = settled(lambda: not workers())
    case.path.write_bytes(whole)
    found["after the error"] = bool(np.allclose(model(X), case.outputs, atol=1e-6))
    return {"case": "prefetching", **found}


def garbage(folder: Path) -> dict[str, Any]:
    """A model that is gone leaves neither thread nor variable behind."""
    case = Case(folder, "garbage")
    model = case.lazy(prefetch=True)
    model.layers[1](X)
    del model
    gc.collect()
    left = [each for each in gc.get_objects() if isinstance(each, LazyVariable)]
    return {"case": "garbage", "threads": settled(lambda: not workers()), "variables": not left}


def distributed(path: Path) -> Any:
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        return rm.load_model(path, lazy=True)


def refusals(folder: Path) -> dict[str, Any]:
    model = chain()
    rm.save_weights(model, folder / "refused.weights.h5")
    model.save(folder / "stranger.keras")
    lookup = L.StringLookup()
    lookup.adapt(["a", "b"])
    assets = keras.Sequential([L.Input((1,), dtype="string"), lookup, L.Embedding(3, 2)])
    rm.save_model(assets, folder / "assets.keras")
    rm.save_model(model, folder / "plain.keras")
    rm.save_model(h5_child.unnamed(), folder / "unnamed.h5")
    tries: dict[str, tuple[type[Exception], Callable[[], Any]]] = {
        "weights": (
            errors.FormatError,
            lambda: rm.load_model(folder / "refused.weights.h5", lazy=True),
        ),
        "stranger": (
            errors.ManifestError, lambda: rm.load_model(folder / "stranger.keras", lazy=True)
        ),
        "assets": (errors.FormatError, lambda: rm.load_model(folder / "assets.keras", lazy=True)),
        "unnamed": (errors.FormatError, lambda: rm.load_model(folder / "unnamed.h5", lazy=True)),
        "eager prefetch": (
            errors.ArgumentError, lambda: rm.load_model(folder / "plain.keras", prefetch=True)
        ),
        "distributed": (errors.ArgumentError, lambda: distributed(folder / "plain.keras")),
        "negative": (
            errors.ArgumentError,
            lambda: rm.load_model(folder / "plain.keras", lazy=True, prefetch=-1),
        ),
    }  # fmt: skip
    found = {}
    for name, (kind, call) in tries.items():
        try:
            call()
        except kind as error:
            found[name] = bool(error.where)  # type: ignore[attr-defined]
        else:
            found[name] = False
    return {"case": "refusals", **found}


def requests(folder: Path) -> dict[str, Any]:
    """Count the bytes that a server in the environment sends."""
    base = os.environ["LAZY_BASE"]
    model = chain(width=256)
    model.compile("adam", h5_child.LOSS)
    model.optimizer.build(model.trainable_variables)
    found: dict[str, Any] = {"case": "requests"}
    for name in ("model.keras", "model.h5"):
        manifest = rm.save_model(model, f"{base}/{name}")
        with counting_proxy(os.environ["AWS_ENDPOINT_URL"]) as proxy:
            options = {"endpoint_url": proxy.endpoint_url}
            lazy = rm.load_model(f"{base}/{name}", lazy=True, storage_options=options)
            documents = sum(each.nbytes for each in manifest.documents)
            size = len(StoredManifest(current=manifest).to_bytes())
            # The manifest, with what lies around the object in the answer, and documents.
            found[f"{name}, load"] = proxy.nbytes == size + documents
            found[f"{name}, load, requests"] = proxy.requests == 1 + len(manifest.documents)
            for index in (2, 4):
                proxy.clear()
                part = keras.Model(lazy.layers[index - 1].output, lazy.layers[index].output)
                part(np.zeros((1, 256), "float32"))
                layer = sum(weight.nbytes for weight in model.layers[index].get_weights())
                found[f"{name}, layer {index}"] = layer <= proxy.nbytes <= layer + 4096
            proxy.clear()
            lazy.predict(X, verbose=0)
            rest = sum(w.nbytes for i in (1, 3) for w in model.layers[i].get_weights())
            found[f"{name}, the rest"] = rest <= proxy.nbytes <= rest + 8192
    return found


def versions(folder: Path) -> dict[str, Any]:
    """Load a version of a repository by an alias."""
    model = chain()
    repository = rm.Repository(folder / "versions")
    repository.save(model, save_format="keras")
    repository.set_alias("production", 1)
    lazy = repository.load("production", lazy=True)
    return {
        "case": "versions",
        "all waits": len(waiting(lazy)) == len(model.variables),
        "the same": bool(np.array_equal(lazy.predict(X, verbose=0), model.predict(X, verbose=0))),
    }


CHECKS = (
    ways_of_reading, ways_of_writing, what_moves, errors_surface, threads, prefetching,
    garbage, refusals, requests, versions,
)  # fmt: skip


# The others differ in nothing that is of interest here.
COMPARED: dict[str, tuple[Callable[[], Any], ...]] = {
    ".keras": (
        child.nested, child.frozen, child.ema, child.normalization, child.recurrent,
        child.quantized, child.lora, child.subclassed,
    ),
    ".h5": (child.mlp, child.functional_shared, h5_child.custom, h5_child.float16_scaled),
}  # fmt: skip


if __name__ == "__main__":
    target = Path(sys.argv[1])
    chosen = sys.argv[2:]
    for check in CHECKS:
        if not chosen or check.__name__ in chosen:
            print(json.dumps(check(target)), flush=True)
    for extension, cases in COMPARED.items():
        for case in cases:
            if not chosen or case.__name__ in chosen:
                print(json.dumps(compare(case, target, extension)), flush=True)
    # The process ends while this is read, and must neither wait nor crash.
    still_reading = Case(target, "end").lazy(prefetch=True)
